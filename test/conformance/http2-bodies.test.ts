/** Bodies and trailers over HTTP/2, and what of them crosses to HTTP/1.1 and back: lengths that lie (F58, F68), ends that are none. */
import { connect } from 'node:http2';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startFaultyUpstream, type FaultName, type FaultyUpstream } from '../support/faulty-upstream.ts';
import { gatewayFixture, type GatewayFixture } from '../support/gateway.ts';
import { Code, data, Flag, frame, H2Connection, headers, rstStream, Type, type Fields } from '../support/h2-frames.ts';
import { valuesOf } from '../support/http1.ts';
import { until } from '../support/until.ts';
import type { Echo } from '../support/upstream.ts';
import { get, post } from './http2-heads.ts';

let origin: FaultyUpstream;
let gateway: GatewayFixture;

beforeAll(async () => {
  origin = await startFaultyUpstream('origin');
  gateway = await gatewayFixture({
    files: {
      'origin.yaml': {
        pools: { origin: { endpoints: [origin.url], health: { passive: false } } },
        routes: [
          { name: 'all', pool: 'origin', retry: false },
          { name: 'small', match: { path: '/small/*' }, pool: 'origin', retry: false, limits: { body: '1KiB' } },
        ],
      },
    },
  });
});

beforeEach(() => {
  origin.clear();
  origin.heads.length = 0;
  origin.malformed.length = 0;
});

const open = () => H2Connection.open(gateway.port);

/** Whatever was sent, the next request here and on the upstream’s connections is in step. */
async function expectInOrder(connection: H2Connection): Promise<void> {
  if (!connection.hasEnded) {
    const { status, body } = await connection.ask(101, get('/probe'));
    expect(status).toBe(200);
    expect(JSON.parse(body.toString()) as Echo).toMatchObject({ target: '/probe', body: '' });
  }
  connection.close();
  const another = await open();
  expect(await another.ask(1, post('/after'), 'body')).toMatchObject({ status: 200, isWhole: true });
  another.close();
  expect(origin.malformed).toEqual([]);
  expect(origin.seen.map(({ target }) => target)).not.toContain('/evil');
}

const EMBEDDED = 'GET /evil HTTP/1.1\r\nHost: any.test\r\n\r\n';
const length = (bytes: number) => ['content-length', String(bytes)] as const;

describe('a length that lies', () => {
  /** What is sent behind the head. */
  type Lie = [what: string, head: Fields, flags: number, behind: readonly Buffer[]];
  const LIES: Lie[] = [
    ['ten bytes, and the end at once', post('/t', length(10)), Flag.endStream, []],
    ['ten bytes, and an empty end', post('/t', length(10)), Flag.none, [data(1, '', Flag.endStream)]],
    ['ten bytes, and nine', post('/t', length(10)), Flag.none, [data(1, 'nine byte', Flag.endStream)]],
    ['ten bytes of a GET, and the end', get('/t', length(10)), Flag.endStream, []],
    ['none, and some', post('/t', length(0)), Flag.none, [data(1, EMBEDDED, Flag.endStream)]],
    ['two bytes, and a request', post('/t', length(2)), Flag.none, [data(1, `ok${EMBEDDED}`, Flag.endStream)]],
    ['two bytes, and a request in another frame', post('/t', length(2)), Flag.none, [data(1, 'ok'), data(1, EMBEDDED)]],
    [
      'two bytes, and a request behind the end',
      post('/t', length(2)),
      Flag.none,
      [data(1, 'ok', Flag.endStream), data(1, EMBEDDED, Flag.endStream)],
    ],
    [
      'ten bytes, and trailers after two',
      post('/t', length(10)),
      Flag.none,
      [data(1, 'ok'), headers(1, [['x-trailer', 'x']])],
    ],
  ];
  it.each(LIES)('completes no request at the upstream, and adds none: %s', async (what, head, flags, behind) => {
    const connection = await open();
    connection.send(headers(1, head, flags), ...behind);
    const outcome = await connection.outcome(1);
    // What stands behind the end is an error of its own; the request was good.
    if (!what.endsWith('behind the end')) {
      if (outcome.status !== undefined) expect(outcome.status).toBe(400);
      // Node’s parser calls too many bytes an error of its own, and of the whole connection.
      else expect([Code.protocolError, Code.internalError]).toContain(outcome.reset ?? outcome.goaway);
    }
    // As many bytes as were announced may be at the upstream before the others come; never more.
    const announced = what.startsWith('two bytes') ? 'ok' : what.startsWith('none') ? '' : undefined;
    expect(origin.seen.map(({ body }) => body.toString()).filter((body) => body !== announced)).toEqual([]);
    await expectInOrder(connection);
  });
});

describe('a body', () => {
  it('is one body at the upstream, with a length or in chunks, whatever frames it came in', async () => {
    const connection = await open();
    const pieces = ['one', '', 'two', ''].map((text) => data(1, text));
    connection.send(headers(1, post('/t'), Flag.none), ...pieces, data(1, 'three', Flag.endStream));
    expect((await connection.outcome(1)).status).toBe(200);
    connection.send(headers(3, post('/t', length(6)), Flag.none), data(3, 'one'), data(3, 'two', Flag.endStream));
    expect((await connection.outcome(3)).status).toBe(200);
    expect(origin.seen.map(({ body }) => body.toString())).toEqual(['onetwothree', 'onetwo']);
    expect(origin.seen.map(({ fields }) => valuesOf(fields, 'content-length'))).toEqual([[], ['6']]);
    await expectInOrder(connection);
  });

  it.each(['GET', 'HEAD', 'DELETE', 'OPTIONS'])(
    'of a %s that is a request stays a body, or is refused',
    async (method) => {
      const connection = await open();
      const fields = post('/t').map(([name, value]) => [name, name === ':method' ? method : value] as const);
      const { status } = await connection.ask(1, fields, EMBEDDED);
      if (status === 200) expect(origin.seen.map(({ body }) => body.toString())).toEqual([EMBEDDED]);
      else expect(origin.seen).toEqual([]);
      await expectInOrder(connection);
    },
  );

  it.each([
    ['with its length', [length(1025)]],
    ['without', []],
  ])('one byte over the limit is 413, %s, and the upstream sees no whole request', async (_, more) => {
    const connection = await open();
    const { status } = await connection.ask(1, post('/small/t', ...more), 'x'.repeat(1025));
    expect(status).toBe(413);
    expect((await connection.ask(3, post('/small/t'), 'x'.repeat(1024))).status).toBe(200);
    expect(origin.seen.map(({ body }) => body.length)).toEqual([1024]);
    await expectInOrder(connection);
  });

  it.each([
    ['CANCEL', Code.cancel],
    ['NO_ERROR', Code.noError],
    ['INTERNAL_ERROR', Code.internalError],
  ])('that its client takes back never becomes a whole request: %s', async (_, code) => {
    const connection = await open();
    connection.send(headers(1, post('/t'), Flag.none), data(1, 'half'));
    await until(() => origin.heads.length === 1, 'the head at the upstream');
    connection.send(rstStream(1, code));
    await until(() => origin.open === 0, 'its connection closed');
    expect(origin.seen).toEqual([]);
    await expectInOrder(connection);
  });

  it('that stops with its connection never becomes a whole request', async () => {
    const connection = await open();
    connection.send(headers(1, post('/t', length(10)), Flag.none), data(1, 'half'));
    await until(() => origin.heads.length === 1, 'the head at the upstream');
    connection.close();
    await until(() => origin.open === 0, 'its connection closed');
    expect(origin.seen).toEqual([]);
    await expectInOrder(await open());
  });
});

describe('a trailer', () => {
  /** A request that ends with these. */
  const ending = (fields: Fields, flags: number = Flag.endStream) => [
    headers(1, post('/t'), Flag.none),
    data(1, 'ok'),
    headers(1, fields, flags),
  ];

  it.each<[string, Fields]>([
    [':path', [[':path', '/evil']]],
    [':method', [[':method', 'GET']]],
    [':authority', [[':authority', 'evil.test']]],
    ['an unknown pseudo field', [[':evil', 'x']]],
    ['connection', [['connection', 'x-a']]],
    ['transfer-encoding', [['transfer-encoding', 'chunked']]],
    ['upper case', [['X-Evil', 'x']]],
  ])('that is malformed completes no request at the upstream: %s', async (_, fields) => {
    const connection = await open();
    connection.send(...ending(fields));
    const { status, reset, goaway } = await connection.outcome(1);
    if (status !== undefined) expect(status).toBe(400);
    else expect(reset ?? goaway).toBe(Code.protocolError);
    expect(origin.seen).toEqual([]);
    await expectInOrder(connection);
  });

  it('without the end of the stream is an error', async () => {
    const connection = await open();
    connection.send(...ending([['x-trailer', 'x']], Flag.none));
    const { reset, goaway } = await connection.outcome(1);
    expect(reset ?? goaway).toBe(Code.protocolError);
    expect(origin.seen).toEqual([]);
    await expectInOrder(connection);
  });

  it.each(['content-length', 'host', 'authorization', 'x-forwarded-for', 'cookie', '__proto__', 'te'])(
    '%s is never merged',
    async (name) => {
      const connection = await open();
      connection.send(...ending([[name, name === 'content-length' ? '2' : name === 'te' ? 'trailers' : 'evil.test']]));
      const { status } = await connection.outcome(1);
      if (status === 200) {
        const { fields, body } = origin.seen[0]!;
        expect(body.toString()).toBe('ok');
        expect(valuesOf(fields, name)).not.toContain('evil.test');
        expect(valuesOf(fields, 'host')).toEqual(['any.test']);
      } else expect(origin.seen).toEqual([]);
      await expectInOrder(connection);
    },
  );

  it('with a line end adds nothing', async () => {
    const connection = await open();
    connection.send(...ending([['x-trailer', `x\r\n\r\n${EMBEDDED}`]]));
    await connection.outcome(1);
    for (const { trailers } of origin.seen) expect(trailers.join()).not.toContain('evil');
    await expectInOrder(connection);
  });
});

describe('an answer', () => {
  it.each<FaultName>([
    'reset-mid-body',
    'close-mid-body',
    'close-mid-chunk',
    'close-before-last-chunk',
    'bad-chunk-size',
  ])('that its upstream breaks off is no whole one: %s', async (fault) => {
    const connection = await open();
    const { isWhole, reset } = await connection.ask(1, get(`/${fault}`));
    expect(isWhole).toBe(false);
    expect(reset).toBe(Code.internalError);
    await expectInOrder(connection);
  });

  it.each<FaultName>([
    'cr-in-field',
    'nul-in-field',
    'folded-field',
    'space-before-colon',
    'two-lengths',
    'both-framings',
    'interim-flood',
    'continue-flood',
  ])('that is malformed is 502: %s', async (fault) => {
    const connection = await open();
    expect(await connection.ask(1, get(`/${fault}`))).toMatchObject({ status: 502, isWhole: true });
    await expectInOrder(connection);
  });

  it.each<FaultName>(['body-on-204', 'answer-on-204', 'answer-on-304', 'extra-bytes', 'unasked-upgrade'])(
    'with bytes where none belong never reaches the next client: %s',
    async (fault) => {
      const connection = await open();
      const { body } = await connection.ask(1, get(`/${fault}`));
      expect(body.toString()).not.toContain('smuggled');
      const next = await connection.ask(3, get('/next'));
      expect(JSON.parse(next.body.toString())).toMatchObject({ target: '/next' });
      await expectInOrder(connection);
    },
  );

  it.each<FaultName>([
    'early-hints',
    'early-prototype',
    'unasked-continue',
    'one-byte-chunks',
    'until-close',
    'http-1.0',
  ])('that is only unusual arrives whole: %s', async (fault) => {
    const connection = await open();
    expect(await connection.ask(1, get(`/${fault}`))).toMatchObject({ status: 200, isWhole: true });
    await expectInOrder(connection);
  });

  it('to a HEAD has no body, and names its length', async () => {
    const { headers: fields, body } = await asNode('/t', 'HEAD');
    expect(fields).toMatchObject({ ':status': 200, 'content-type': 'application/json' });
    expect(Number(fields['content-length'])).toBeGreaterThan(0);
    expect(body).toBe('');
  });

  it('holds no field of one connection of HTTP/1.1, and trailers where there are some', async () => {
    const { headers: fields } = await asNode('/hop-by-hop');
    expect(fields).toMatchObject({ ':status': 200, 'x-kept': '1' });
    for (const name of ['connection', 'keep-alive', 'x-secret-hop', 'transfer-encoding'])
      expect(fields).not.toHaveProperty(name);
    const { trailers, body } = await asNode('/trailers');
    expect(body).toBe('ok');
    expect(trailers).toMatchObject({ 'x-checksum': '42' });
  });

  it('that comes before the request is whole is given, and the rest of it is not read', async () => {
    const connection = await open();
    connection.send(headers(1, post('/early-answer'), Flag.none), data(1, 'half'));
    const { status, body } = await connection.outcome(1);
    expect(status).toBe(403);
    expect(body.toString()).toBe('no!');
    // RFC 9113 §8.1: NO_ERROR asks the client to stop, once the answer is whole.
    await connection.wait(() => connection.now(1).reset !== undefined, 'the rest is refused');
    expect(connection.now(1).reset).toBe(Code.noError);
    await expectInOrder(connection);
  });

  /** A client that was written elsewhere, and refuses what is malformed. */
  async function asNode(path: string, method = 'GET') {
    const session = connect(gateway.url);
    try {
      const stream = session.request({ ':path': path, ':method': method, ':authority': 'any.test' });
      let head: Record<string, unknown> = {};
      let trailers: Record<string, unknown> = {};
      stream.on('response', (fields) => (head = fields));
      stream.on('trailers', (fields) => (trailers = fields));
      let body = '';
      for await (const chunk of stream) body += String(chunk);
      return { headers: head, trailers, body };
    } finally {
      session.destroy();
    }
  }
});

describe('padding', () => {
  it('is no part of a body', async () => {
    const connection = await open();
    const padded = Buffer.concat([Buffer.from([200]), Buffer.from('ok'), Buffer.alloc(200, 'p')]);
    connection.send(
      headers(1, post('/t', length(2)), Flag.none),
      frame(Type.data, Flag.padded | Flag.endStream, 1, padded),
    );
    expect((await connection.outcome(1)).status).toBe(200);
    expect(origin.seen[0]!.body.toString()).toBe('ok');
    await expectInOrder(connection);
  });

  it('longer than its frame ends the connection', async () => {
    const connection = await open();
    const padded = Buffer.concat([Buffer.from([200]), Buffer.from('ok')]);
    connection.send(headers(1, post('/t'), Flag.none), frame(Type.data, Flag.padded | Flag.endStream, 1, padded));
    expect(await connection.end('padding of 200 bytes in 3')).toBe(Code.protocolError);
    expect(origin.seen).toEqual([]);
    await expectInOrder(connection);
  });
});
