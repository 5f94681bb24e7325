import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { request as open, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Transform } from 'node:stream';
import { promisify } from 'node:util';
import {
  brotliDecompressSync,
  createBrotliDecompress,
  createGunzip,
  createZstdDecompress,
  gunzipSync,
  gzipSync,
  zstdDecompressSync,
} from 'node:zlib';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { seededRandom } from '../../src/clock.ts';
import { gatewayFixture, type GatewayFixture } from '../../test/support/gateway.ts';
import { valuesOf } from '../../test/support/http1.ts';
import { ask, RawConnection, request, type RawResponse } from '../../test/support/raw-client.ts';
import { until, within } from '../../test/support/until.ts';
import { byPath, echo, startUpstream, type Answer, type Upstream } from '../../test/support/upstream.ts';
import type { Coding } from './accept-encoding.ts';
import compress from './index.ts';

const CODINGS: readonly Coding[] = ['zstd', 'br', 'gzip'];
const DECODE = { zstd: zstdDecompressSync, br: brotliDecompressSync, gzip: gunzipSync };
const DECODER = { zstd: createZstdDecompress, br: createBrotliDecompress, gzip: createGunzip };

/** Many times what may wait anywhere on the way. */
const MIB = 16;

let gateway: GatewayFixture;
let service: Upstream;
/** What the service answers to /…/custom, and what it writes to afterwards. */
let custom: Answer = echo;

/** Prose that nobody would read, but of the kind that is sent: to a third by gzip. */
function prose(bytes: number): Buffer {
  const random = seededRandom(bytes);
  let text = '';
  while (text.length < bytes) text += `${Math.floor(random() * 1e9).toString(36)} lorem `;
  return Buffer.from(text.slice(0, bytes));
}

const BODIES: Readonly<Record<string, Buffer>> = Object.fromEntries(
  [0, 1, 1023, 1024, 8192, 8193, 65_536, 1024 * 1024].map((size) => [String(size), prose(size)]),
);

const whole =
  (fields: Readonly<Record<string, string>> = {}, status = 200, body = BODIES['8192']!): Answer =>
  (_request, response) => {
    response.writeHead(status, { 'content-type': 'text/plain', 'content-length': body.length, ...fields });
    response.end(body);
  };

const chunked: Answer = (incoming, response) => {
  response.writeHead(200, { 'content-type': 'text/plain' });
  response.end(BODIES[incoming.url!.split('/').at(-1)!]);
};

const files = (changes: object = {}) => ({
  pools: { service: { endpoints: [service.url] } },
  routes: [
    route('true', true),
    route('least', { minSize: '0B' }),
    route('one', { concurrency: 1, ...changes }),
    route('identity', { upstream: 'identity' }),
    route('off', false),
    route('gzip', { encodings: ['gzip'], types: ['image/*'], levels: { gzip: 9 } }),
  ],
});

const route = (name: string, options: object | boolean) => ({
  name,
  match: { path: `/${name}/*` },
  pool: 'service',
  retry: false,
  compress: options,
});

beforeAll(async () => {
  const sizes = Object.entries(BODIES).map(([size, body]): [string, Answer] => [size, whole({}, 200, body)]);
  service = await startUpstream('a', (incoming, response, upstream) => {
    if (incoming.url!.includes('/chunked/')) chunked(incoming, response, upstream);
    else
      byPath({ ...Object.fromEntries(sizes), custom: (...message) => custom(...message) })(
        incoming,
        response,
        upstream,
      );
  });
  gateway = await gatewayFixture({ files: { 'a.yaml': files() } });
});

beforeEach(() => service.clear());

async function get(target: string, fields: readonly string[] = ['Accept-Encoding: gzip'], method = 'GET') {
  const { responses, malformed } = await ask(gateway.port, request(method, target, 'a.test', fields), {
    methods: [method],
  });
  expect(malformed).toBeUndefined();
  return responses[0]!;
}

const accepting = (coding: string) => [`Accept-Encoding: ${coding}`];

function decoded(response: RawResponse): Buffer {
  const coding = response.field('content-encoding');
  return coding === undefined ? response.body : DECODE[coding as Coding](response.body);
}

function expectAsItIs(response: RawResponse, body = BODIES['8192']!): void {
  expect(response.field('content-encoding')).toBeUndefined();
  expect(response.body.equals(body)).toBe(true);
}

/** A request whose answer is read as it comes, decoded. */
async function stream(target: string, coding: Coding): Promise<{ answer: IncomingMessage; body: Transform }> {
  const asked = open({ port: gateway.port, path: target, headers: { 'accept-encoding': coding } }).end();
  asked.on('error', () => {});
  const [answer] = (await within(once(asked, 'response'), 'a head')) as [IncomingMessage];
  expect(answer.headers['content-encoding']).toBe(coding);
  const body = DECODER[coding]();
  answer.on('error', (error) => body.destroy(error));
  return { answer, body: answer.pipe(body) };
}

describe.each(CODINGS)('%s', (coding) => {
  it.each(Object.keys(BODIES))('gives back the same %s bytes, announced or not', async (size) => {
    for (const target of [`/least/${size}`, `/least/chunked/${size}`]) {
      const response = await get(target, accepting(coding));
      expect(decoded(response).equals(BODIES[size]!), target).toBe(true);
      if (Number(size) < 1023) continue;
      expect(response.field('content-encoding'), target).toBe(coding);
      expect(response.body.length).toBeLessThan(Number(size) * 0.8);
    }
  });

  it(`gives back ${MIB} MiB that stream through`, async () => {
    const block = BODIES['1048576']!;
    custom = (_request, response) => {
      response.writeHead(200, { 'content-type': 'text/plain' });
      void writeAll(response, Array<Buffer>(MIB).fill(block));
    };
    const { body } = await stream('/true/custom', coding);
    const hash = createHash('sha256');
    for await (const bytes of body) hash.update(bytes as Buffer);
    const expected = createHash('sha256');
    for (let at = 0; at < MIB; at++) expected.update(block);
    expect(hash.digest('hex')).toBe(expected.digest('hex'));
  });

  it('gives back what comes byte by byte', async () => {
    const text = BODIES['65536']!;
    custom = (_request, response) => {
      response.writeHead(200, { 'content-type': 'text/plain' });
      for (const byte of text) response.write(Buffer.of(byte));
      response.end();
    };
    const response = await get('/true/custom', accepting(coding));
    expect(response.field('content-encoding')).toBe(coding);
    expect(decoded(response).equals(text)).toBe(true);
    // Not a block of its own for each.
    expect(response.body.length).toBeLessThan(text.length * 0.8);
  });

  it('holds nothing back while the upstream thinks', async () => {
    let writing: ServerResponse | undefined;
    custom = (_request, response) => {
      response.writeHead(200, { 'content-type': 'application/x-ndjson' });
      response.flushHeaders();
      writing = response;
    };
    // The head comes before any byte of the body.
    const { body } = await stream('/true/custom', coding);
    let text = '';
    body.on('data', (bytes: Buffer) => (text += bytes.toString()));
    for (const line of ['{"a":1}\n', '{"b":2}\n', '{"c":3}\n']) {
      writing!.write(line);
      await until(() => text.endsWith(line), line);
    }
    writing!.end('last');
    await within(once(body, 'end'), 'the end');
    expect(text).toBe('{"a":1}\n{"b":2}\n{"c":3}\nlast');
  });
});

async function writeAll(response: ServerResponse, blocks: readonly Buffer[]): Promise<void> {
  for (const block of blocks) if (!response.write(block)) await once(response, 'drain');
  response.end();
}

describe('an answer that is whole at once', () => {
  it('keeps a length, and leaves in one piece', async () => {
    for (const coding of CODINGS) {
      const response = await get('/true/8192', accepting(coding));
      expect(response.framing).toBe('length');
      expect(decoded(response).equals(BODIES['8192']!)).toBe(true);
    }
  });

  it('goes as it is below minSize, and where nothing is gained', async () => {
    const small = await get('/true/chunked/1023');
    expectAsItIs(small, BODIES['1023']);
    expect(small.field('vary')).toBe('Accept-Encoding');
    const noise = Buffer.from(Array.from({ length: 4_096 }, seededRandom(3)).map((value) => value * 256));
    custom = whole({ etag: '"1"' }, 200, noise);
    const response = await get('/true/custom');
    expectAsItIs(response, noise);
    expect(response.field('etag')).toBe('"1"');
    expect(response.field('content-length')).toBe('4096');
  });

  it('has its trailers behind it', async () => {
    custom = (_request, response) => {
      response.writeHead(200, { 'content-type': 'text/plain', trailer: 'x-sum, content-digest' });
      response.addTrailers({ 'x-sum': '7', 'content-digest': 'sha-256=:AAAA:' });
      response.end(BODIES['8192']);
    };
    for (const coding of CODINGS) {
      const response = await get('/true/custom', accepting(coding));
      expect(decoded(response).equals(BODIES['8192']!)).toBe(true);
      expect(response.trailers).toEqual(['x-sum', '7']);
    }
  });
});

describe('the fields', () => {
  it('say what it is now, and nothing of what it was', async () => {
    custom = whole({
      ETag: '"abc"',
      'Accept-Ranges': 'bytes',
      'Content-MD5': 'Q2hlY2sgSW50ZWdyaXR5IQ==',
      Digest: 'sha-256=AAAA',
      'Content-Digest': 'sha-256=:AAAA:',
      'Repr-Digest': 'sha-256=:AAAA:',
      'Content-Encoding': 'identity',
      'X-Other': 'stays',
    });
    const response = await get('/true/custom');
    expect(valuesOf(response.fields, 'content-encoding')).toEqual(['gzip']);
    expect(response.field('etag')).toBe('W/"abc"');
    expect(response.field('vary')).toBe('Accept-Encoding');
    expect(response.field('x-other')).toBe('stays');
    expect(Number(response.field('content-length'))).toBe(response.body.length);
    for (const name of ['accept-ranges', 'content-md5', 'digest', 'content-digest', 'repr-digest']) {
      expect(response.field(name), name).toBeUndefined();
    }
  });

  it('of an answer that this client takes as it is stay, but for Vary', async () => {
    custom = whole({ ETag: '"abc"', 'Accept-Ranges': 'bytes', 'Repr-Digest': 'sha-256=:AAAA:' });
    for (const fields of [
      [],
      accepting('identity'),
      accepting('deflate'),
      ['Cache-Control: no-transform', ...accepting('br')],
    ]) {
      const response = await get('/true/custom', fields);
      expectAsItIs(response);
      expect(response.field('vary')).toBe('Accept-Encoding');
      expect(response.field('etag')).toBe('"abc"');
      expect(response.field('accept-ranges')).toBe('bytes');
      expect(response.field('repr-digest')).toBe('sha-256=:AAAA:');
    }
  });

  it('add to a Vary that is there, unless it covers it', async () => {
    for (const [before, after] of [
      ['Origin', ['Origin', 'Accept-Encoding']],
      ['accept-encoding, Origin', ['accept-encoding, Origin']],
      ['*', ['*']],
    ] as const) {
      custom = whole({ Vary: before, ETag: 'W/"1"' });
      const response = await get('/true/custom');
      expect(valuesOf(response.fields, 'vary')).toEqual(after);
      expect(response.field('etag')).toBe('W/"1"');
    }
  });

  it('of a HEAD are those of a GET', async () => {
    custom = whole({ ETag: '"abc"', 'Accept-Ranges': 'bytes' });
    const [head, got] = [await get('/true/custom', undefined, 'HEAD'), await get('/true/custom')];
    for (const name of ['content-encoding', 'vary', 'etag', 'accept-ranges', 'content-type']) {
      expect(head.field(name), name).toBe(got.field(name));
    }
    expect(head.field('content-length')).toBeUndefined();
    const plain = await get('/true/custom', [], 'HEAD');
    expect(plain.field('content-length')).toBe('8192');
    expect(plain.field('vary')).toBe('Accept-Encoding');
  });
});

describe('what goes as it is', () => {
  it.each([
    ['an event stream', { 'content-type': 'text/event-stream' }],
    ['gRPC', { 'content-type': 'application/grpc+proto' }],
    ['a picture', { 'content-type': 'image/png' }],
    ['what has no type', { 'content-type': '' }],
    ['what must not be transformed', { 'cache-control': 'max-age=60, No-Transform' }],
    ['a part', { 'content-range': 'bytes 0-8191/20000' }],
  ])('%s', async (_what, fields) => {
    custom = whole({ etag: '"1"', 'accept-ranges': 'bytes', ...fields });
    const response = await get('/true/custom');
    expectAsItIs(response);
    expect(response.field('vary')).toBeUndefined();
    expect(response.field('etag')).toBe('"1"');
    expect(response.field('accept-ranges')).toBe('bytes');
  });

  it('what the upstream has compressed, byte for byte', async () => {
    const body = gzipSync(BODIES['8192']!);
    custom = whole({ 'content-encoding': 'gzip', etag: '"1"' }, 200, body);
    for (const fields of [accepting('gzip'), accepting('zstd, br'), []]) {
      const response = await get('/true/custom', fields);
      expect(response.body.equals(body)).toBe(true);
      expect(response.field('etag')).toBe('"1"');
      expect(valuesOf(response.fields, 'content-encoding')).toEqual(['gzip']);
    }
  });

  it('206', async () => {
    custom = whole({ 'content-range': 'bytes 0-8191/20000' }, 206);
    expectAsItIs(await get('/true/custom', [...accepting('gzip'), 'Range: bytes=0-8191']));
  });

  it('204 and 304, which have no body', async () => {
    for (const code of [204, 304]) {
      custom = (_request, response) =>
        void response.writeHead(code, { etag: '"1"', 'content-type': 'text/plain' }).end();
      const response = await get('/true/custom');
      expect(response.status).toBe(code);
      expect(response.field('content-encoding')).toBeUndefined();
      expect(response.field('etag')).toBe('"1"');
    }
  });

  it('but a 304 to whoever has the compressed form speaks of that', async () => {
    custom = (_request, response) => void response.writeHead(304, { etag: '"1"' }).end();
    const response = await get('/true/custom', [...accepting('gzip'), 'If-None-Match: "0", W/"1"']);
    expect(response.field('etag')).toBe('W/"1"');
    expect(response.field('vary')).toBe('Accept-Encoding');
    expect((await get('/true/custom', ['If-None-Match: "1"'])).field('etag')).toBe('"1"');
  });

  it('all of a route that is off', async () => {
    const response = await get('/off/8192');
    expectAsItIs(response);
    expect(response.field('vary')).toBeUndefined();
  });

  it('interim answers', async () => {
    custom = (incoming, response, upstream) => {
      response.writeEarlyHints({ link: '</style.css>; rel=preload' });
      whole()(incoming, response, upstream);
    };
    const { interim, responses } = await ask(gateway.port, request('GET', '/true/custom', 'a.test', accepting('gzip')));
    expect(interim[0]?.status).toBe(103);
    expect(decoded(responses[0]!).equals(BODIES['8192']!)).toBe(true);
  });
});

describe('errors of the service', () => {
  it('are compressed as other answers are', async () => {
    custom = whole({ 'content-type': 'application/problem+json' }, 500);
    const response = await get('/true/custom');
    expect(response.status).toBe(500);
    expect(decoded(response).equals(BODIES['8192']!)).toBe(true);
  });
});

describe('the upstream', () => {
  it('is asked for what the client accepts, and compresses itself if it likes', async () => {
    custom = (incoming, response, upstream) => {
      expect(incoming.headers['accept-encoding']).toBe('br;q=0.5, gzip');
      whole()(incoming, response, upstream);
    };
    expect((await get('/true/custom', accepting('br;q=0.5, gzip'))).field('content-encoding')).toBe('gzip');
  });

  it('is asked for identity where the route says so', async () => {
    const asked: (string | undefined)[] = [];
    custom = (incoming, response, upstream) => {
      asked.push(incoming.headers['accept-encoding']);
      whole()(incoming, response, upstream);
    };
    expect((await get('/identity/custom', accepting('br'))).field('content-encoding')).toBe('br');
    expectAsItIs(await get('/identity/custom', []));
    expect(asked).toEqual(['identity', 'identity']);
  });
});

describe('when things go wrong', () => {
  /** Sends a first part, then waits for the test. */
  function paused(parts: Buffer = BODIES['65536']!): Promise<ServerResponse> {
    return new Promise((resolve) => {
      custom = (_request, response) => {
        response.writeHead(200, { 'content-type': 'text/plain' });
        response.write(parts);
        resolve(response);
      };
    });
  }

  it('an upstream that dies in the middle leaves a broken answer, never a short one that looks whole', async () => {
    for (const coding of CODINGS) {
      const answering = paused();
      const connection = await RawConnection.open(gateway.port);
      connection.send(request('GET', '/true/custom', 'a.test', accepting(coding)));
      const response = await answering;
      await connection.wait(() => connection.received.length > 1000, 'a first part');
      response.destroy();
      await connection.wait(() => false, 'the close');
      const { responses } = connection.read();
      expect(responses).toEqual([]);
      expect(connection.closed).not.toBe('open');
      expect(connection.received.subarray(-5).toString()).not.toBe('0\r\n\r\n');
    }
  });

  it('an upstream that dies before the body leaves no compressed nothing', async () => {
    custom = (_request, response) => {
      response.writeHead(200, { 'content-type': 'text/plain', 'content-length': '4096' });
      response.flushHeaders();
      setImmediate(() => response.destroy());
    };
    const { responses } = await ask(gateway.port, request('GET', '/true/custom', 'a.test', accepting('br')));
    // A 502 where it died before the client had a head.
    expect(responses.filter(({ status }) => status < 500)).toEqual([]);
  });

  it('a client that leaves ends the upstream’s work, and gives its place back', async () => {
    for (let round = 0; round < 3; round++) {
      const answering = paused();
      const { answer, body } = await stream('/one/custom', CODINGS[round]!);
      await answering;
      body.on('error', () => {});
      // A mere FIN may be that of a client who still reads: while nothing is sent to it, nobody can tell.
      answer.socket.resetAndDestroy();
      await until(() => service.aborted === round + 1, 'the upstream to hear of it');
    }
    expect((await get('/one/65536')).field('content-encoding')).toBe('gzip');
  });

  it('beyond its bound answers go as they are, whole ones aside', async () => {
    const answering = paused();
    const { answer, body } = await stream('/one/custom', 'gzip');
    const response = await answering;
    for (const target of ['/one/65536', '/one/chunked/65536']) {
      const busy = await get(target);
      expectAsItIs(busy, BODIES['65536']);
      expect(busy.field('vary')).toBe('Accept-Encoding');
    }
    expect((await get('/one/8192')).field('content-encoding')).toBe('gzip');
    body.resume();
    response.end();
    await within(once(answer, 'end'), 'the end');
    expect((await get('/one/65536')).field('content-encoding')).toBe('gzip');
  });

  it.each(CODINGS)('a client that reads nothing stops the upstream (%s), and gets all when it does', async (coding) => {
    // Nothing that compresses much, or all of it would fit between them.
    const random = seededRandom(9);
    const noise = Buffer.from(Array.from({ length: 1024 * 1024 }, () => 33 + Math.floor(random() * 90)));
    const blocks = 512;
    const block = (at: number) => noise.subarray((at % 16) * 65_536, ((at % 16) + 1) * 65_536);
    let sent = 0;
    custom = (_request, response) => {
      response.writeHead(200, { 'content-type': 'text/plain' });
      const more = () => {
        while (sent < blocks) {
          if (!response.write(block(sent++))) return void response.once('drain', more);
        }
        response.end();
      };
      more();
    };
    const { body } = await stream('/true/custom', coding);
    let before = 0;
    let still = 0;
    await until(() => {
      still = sent === before && sent > 0 ? still + 1 : 0;
      before = sent;
      return still === 15;
    }, 'the upstream to stand still');
    expect(sent).toBeLessThan(blocks / 2);
    let length = 0;
    for await (const bytes of body) length += (bytes as Buffer).length;
    expect(length).toBe(blocks * 65_536);
  });

  it('a reload leaves streams to the configuration that they began with', async () => {
    const answering = paused();
    const { body } = await stream('/one/custom', 'br');
    const response = await answering;
    const chunks: Buffer[] = [];
    body.on('data', (bytes: Buffer) => chunks.push(bytes));
    await gateway.write('a.yaml', files({ encodings: ['gzip'], concurrency: 2 }));
    expect((await gateway.reload()).status).toBe(200);
    expect((await get('/one/65536', accepting('br'))).field('content-encoding')).toBeUndefined();
    expect((await get('/one/65536', accepting('br, gzip'))).field('content-encoding')).toBe('gzip');
    response.end('the end');
    await within(once(body, 'end'), 'the end');
    expect(Buffer.concat(chunks).equals(Buffer.concat([BODIES['65536']!, Buffer.from('the end')]))).toBe(true);
    await gateway.write('a.yaml', files());
    expect((await gateway.reload()).status).toBe(200);
  });
});

describe('clients that nobody here wrote', () => {
  it('curl decodes it', async () => {
    const url = `${gateway.url}/true/1048576`;
    const { stdout } = await promisify(execFile)('curl', ['-sS', '--compressed', '-m', '5', url], {
      encoding: 'buffer',
      maxBuffer: 4 * 1024 * 1024,
    });
    expect(stdout.equals(BODIES['1048576']!)).toBe(true);
  });

  it('fetch decodes it, many times over one connection', async () => {
    for (let at = 0; at < 20; at++) {
      const response = await fetch(`${gateway.url}/true/${at % 2 === 0 ? 8192 : 65536}`);
      expect(response.headers.get('content-encoding')).not.toBeNull();
      expect(Buffer.from(await response.arrayBuffer()).equals(BODIES[at % 2 === 0 ? '8192' : '65536']!)).toBe(true);
    }
  });

  it('one that speaks HTTP/1.0 gets it until the close', async () => {
    const connection = await RawConnection.open(gateway.port);
    connection.send('GET /true/65536 HTTP/1.0\r\nHost: a.test\r\nAccept-Encoding: gzip\r\n\r\n');
    await connection.wait(() => false, 'the close');
    const [response] = connection.read().responses;
    expect(response!.framing).toBe('close');
    expect(decoded(response!).equals(BODIES['65536']!)).toBe(true);
  });
});

describe('the options', () => {
  it('decide what is offered, of what, and how hard it is tried', async () => {
    custom = whole({ 'content-type': 'image/svg+xml' });
    expect((await get('/gzip/custom', accepting('zstd, br, gzip;q=0.1'))).field('content-encoding')).toBe('gzip');
    expectAsItIs(await get('/gzip/8192'));
  });

  it('are checked', () => {
    const faults = (types: readonly string[]) =>
      compress.check!({ types } as never, {} as never, new Set()).map(({ path, message }) => [path.at(-1), message]);
    expect(faults(['text/*', 'application/*+json'])).toEqual([]);
    expect(faults(['text/html', 'Text/Event-Stream', 'application/grpc', '*/*', 'text/*ml', 'image/svg*'])).toEqual([
      [1, expect.stringContaining('never compressed')],
      [2, expect.stringContaining('never compressed')],
      [3, expect.stringContaining('neither')],
      [4, expect.stringContaining('neither')],
      [5, expect.stringContaining('neither')],
    ]);
  });

  it('are counted by what became of answers', async () => {
    await get('/gzip/8192');
    const { body } = await gateway.admin('/metrics');
    expect(body).toMatch(/aya_compression_answers_total\{route="gzip",outcome="unfit"\} [1-9]/);
    expect(body).toMatch(/aya_compression_answers_total\{route="one",outcome="busy"\} 2\n/);
    const [, into, out] = /"true",direction="in"\} (\d+)\n.*"true",direction="out"\} (\d+)/.exec(body) ?? [];
    expect(Number(into)).toBeGreaterThan(Number(out));
  });
});
