import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../clock.ts';
import { ResponseFault } from '../faults.ts';
import { ResponseParser } from './response-parser.ts';

interface Heard {
  informed: number[];
  status: number;
  fields: string[];
  body: string;
  trailers: string[] | undefined;
  complete: boolean;
  reusable: boolean;
}

function parserFor(limits = { headBytes: 32 * 1024, fields: 200 }, toHead = false) {
  const heard: Heard = {
    informed: [],
    status: 0,
    fields: [],
    body: '',
    trailers: undefined,
    complete: false,
    reusable: false,
  };
  const parser = new ResponseParser(
    {
      onInformation: (status) => void heard.informed.push(status),
      onSwitch: (fields, upgrade, rest) => Object.assign(heard, { fields, upgrade, body: rest.toString('latin1') }),
      onHead: (status, fields) => Object.assign(heard, { status, fields }),
      onBody: (bytes) => void (heard.body += bytes.toString('latin1')),
      onComplete: (trailers, reusable) => Object.assign(heard, { trailers, reusable, complete: true }),
    },
    limits,
  );
  parser.expect(toHead);
  return { parser, heard };
}

function read(text: string, toHead = false): Heard {
  const { parser, heard } = parserFor(undefined, toHead);
  parser.read(Buffer.from(text, 'latin1'));
  return heard;
}

const head = (...lines: string[]) => `${lines.join('\r\n')}\r\n\r\n`;
const CHUNKED = head('HTTP/1.1 200 OK', 'Transfer-Encoding: chunked', 'X-A: 1');

describe('an answer in good order', () => {
  it('with a length ends where the length says', () => {
    const heard = read(`${head('HTTP/1.1 200 OK', 'Content-Length: 5', 'X-Case:  kept  ')}hello`);
    expect(heard).toMatchObject({ status: 200, body: 'hello', complete: true, reusable: true });
    expect(heard.fields).toEqual(['X-Case', 'kept', 'content-length', '5']);
  });

  it('in chunks is put together, with its trailers', () => {
    const heard = read(`${CHUNKED}3;ext="x"\r\nabc\r\n02\r\nde\r\n0\r\nX-Sum: 9\r\nContent-Length: 3\r\n\r\n`);
    expect(heard).toMatchObject({ body: 'abcde', complete: true, reusable: true, trailers: ['X-Sum', '9'] });
  });

  it('without either ends with the connection, which is then worn', () => {
    const { parser, heard } = parserFor();
    parser.read(Buffer.from(`${head('HTTP/1.1 200 OK')}some`));
    parser.read(Buffer.from('thing'));
    expect(heard.complete).toBe(false);
    expect(parser.finish()).toBe(true);
    expect(heard).toMatchObject({ body: 'something', complete: true, reusable: false });
  });

  it.each([204, 304])('%i has no body', (status) => {
    expect(read(head(`HTTP/1.1 ${status} X`))).toMatchObject({ complete: true, reusable: true });
  });

  it('to HEAD keeps the length it would have had', () => {
    const heard = read(head('HTTP/1.1 200 OK', 'Content-Length: 500'), true);
    expect(heard).toMatchObject({ complete: true, reusable: true, fields: ['content-length', '500'] });
  });

  it('comes after any number of interim ones', () => {
    const interim = head('HTTP/1.1 100 Continue') + head('HTTP/1.1 103 Early Hints', 'Link: </x>');
    expect(read(interim + head('HTTP/1.1 200 OK', 'Content-Length: 0'))).toMatchObject({
      informed: [103],
      status: 200,
    });
  });

  it('loses the fields of the connection it came on, and those that Connection names', () => {
    const heard = read(
      head(
        'HTTP/1.1 200 OK',
        'Connection: close, X-Secret',
        'Keep-Alive: timeout=5',
        'X-Secret: 1',
        'X-Kept: 2',
        'Content-Length: 0',
      ),
    );
    expect(heard.fields).toEqual(['X-Kept', '2', 'content-length', '0']);
    expect(heard.reusable).toBe(false);
  });

  it('of HTTP/1.0 keeps its connection only when it says so', () => {
    expect(read(head('HTTP/1.0 200 OK', 'Content-Length: 0')).reusable).toBe(false);
    expect(read(head('HTTP/1.0 200 OK', 'Connection: Keep-Alive', 'Content-Length: 0')).reusable).toBe(true);
  });

  it('with a body where none may be costs the connection, not the answer', () => {
    expect(read(head('HTTP/1.1 304 X', 'Transfer-Encoding: chunked'))).toMatchObject({
      complete: true,
      reusable: false,
    });
  });

  it('reads the same however it is cut', () => {
    const text =
      head('HTTP/1.1 103 Early Hints', 'Link: </x>') +
      CHUNKED +
      `5\r\nhello\r\n1f\r\n${'y'.repeat(31)}\r\n0\r\nX-T: 1\r\nX-U: 2\r\n\r\n`;
    const whole = read(text);
    expect(whole.complete).toBe(true);
    const random = seededRandom(7);
    for (let round = 0; round < 300; round++) {
      const { parser, heard } = parserFor();
      let rest = Buffer.from(text, 'latin1');
      while (rest.length > 0) {
        const size = 1 + Math.floor(random() * 12);
        parser.read(rest.subarray(0, size));
        rest = rest.subarray(size);
      }
      expect(heard).toEqual(whole);
    }
  });
});

describe('an answer that could be read in two ways is refused', () => {
  it.each([
    ['both framings', head('HTTP/1.1 200 OK', 'Content-Length: 5', 'Transfer-Encoding: chunked')],
    ['two lengths', head('HTTP/1.1 200 OK', 'Content-Length: 5', 'Content-Length: 5')],
    ['a list of lengths', head('HTTP/1.1 200 OK', 'Content-Length: 5, 5')],
    ['a signed length', head('HTTP/1.1 200 OK', 'Content-Length: +5')],
    ['an empty length', head('HTTP/1.1 200 OK', 'Content-Length:')],
    ['an unknown coding', head('HTTP/1.1 200 OK', 'Transfer-Encoding: gzip, chunked')],
    ['two codings', head('HTTP/1.1 200 OK', 'Transfer-Encoding: chunked', 'Transfer-Encoding: chunked')],
    ['chunks in HTTP/1.0', head('HTTP/1.0 200 OK', 'Transfer-Encoding: chunked')],
    ['another version', head('HTTP/2.0 200 OK', 'Content-Length: 0')],
    ['a folded field', head('HTTP/1.1 200 OK', 'X-A: 1', ' 2', 'Content-Length: 0')],
    ['a space before the colon', head('HTTP/1.1 200 OK', 'Content-Length : 0')],
    ['a bare line feed', 'HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n'],
    ['bare line feeds all the way, as soon as it is seen', 'HTTP/1.1 200 OK\nContent-Length: 0\n\n'],
    ['a NUL in a value', head('HTTP/1.1 200 OK', 'X-A: a\0b')],
    ['no name', head('HTTP/1.1 200 OK', ': x')],
    ['garbage', 'SSH-2.0-OpenSSH_9.2p1\r\n\r\n'],
    ['a switch nobody asked for', head('HTTP/1.1 101 Switching Protocols', 'Upgrade: x')],
    ['a chunk size that is none', `${CHUNKED}0x5\r\nhello\r\n`],
    ['a signed chunk size', `${CHUNKED}+5\r\nhello\r\n`],
    ['a chunk longer than its size', `${CHUNKED}3\r\nhello\r\n`],
    ['a chunk line ended by a line feed', `${CHUNKED}3\nabc\r\n`],
    ['an endless chunk line', `${CHUNKED}3;${'x'.repeat(5000)}`],
    ['malformed trailers', `${CHUNKED}0\r\nX A: 1\r\n\r\n`],
  ])('%s', (_what, text) => {
    expect(() => read(text)).toThrow(ResponseFault);
  });

  it('more interim answers than any service means are not passed on for ever', () => {
    const { parser, heard } = parserFor();
    const flood = head('HTTP/1.1 103 Early Hints', 'Link: </x>').repeat(100);
    expect(() => parser.read(Buffer.from(flood))).toThrow('too many interim answers');
    expect(heard.informed).toHaveLength(32);
  });

  it('bytes after its end never become the next answer', () => {
    const { parser, heard } = parserFor();
    expect(() =>
      parser.read(Buffer.from(`${head('HTTP/1.1 200 OK', 'Content-Length: 2')}okHTTP/1.1 200 OK\r\n`)),
    ).toThrow('bytes after the end');
    expect(heard).toMatchObject({ body: 'ok', complete: true });
  });

  it('a head over its limits is refused before it is whole', () => {
    const { parser } = parserFor({ headBytes: 100, fields: 3 });
    parser.read(Buffer.from('HTTP/1.1 200 OK\r\nX: '));
    expect(() => parser.read(Buffer.from('x'.repeat(200)))).toThrow('head too large');
    expect(() => read(head('HTTP/1.1 200 OK', ...Array.from({ length: 201 }, (_, at) => `x-${at}: 1`)))).toThrow(
      'too many fields',
    );
  });
});
