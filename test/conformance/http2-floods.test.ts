/**
 * Clients that use HTTP/2 to make much work of little (F52–F57, F60): each connection ends, what it has begun ends with it,
 * and others are served meanwhile. Numbers are small here; FLOOD=100000 sends as many of each.
 */
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { gatewayFixture, type GatewayFixture } from '../support/gateway.ts';
import {
  block,
  Code,
  data,
  Flag,
  frame,
  H2Connection,
  headers,
  indexed,
  ping,
  remembered,
  rstStream,
  Setting,
  settings,
  Type,
  windowUpdate,
} from '../support/h2-frames.ts';
import { until } from '../support/until.ts';
import { byPath, hang, startUpstream, type Answer, type Upstream } from '../support/upstream.ts';
import { get, post } from './http2-heads.ts';

const FLOOD = Number(process.env['FLOOD'] ?? 2_000);
const MOST_STREAMS = 100;
const KIB = 1024;
const MIB = 1024 * KIB;

let upstream: Upstream;
let gateway: GatewayFixture;
/** Bytes that the upstream could write into answers to /large. */
let written = 0;

/** Writes until told to wait; 8 MiB in all. */
const large: Answer = (_request, response) => {
  const chunk = Buffer.alloc(64 * KIB, 'x');
  let left = 128;
  const write = () => {
    while (left-- > 0) {
      written += chunk.length;
      if (!response.write(chunk)) return void response.once('drain', write);
    }
    response.end();
  };
  write();
};

beforeAll(async () => {
  upstream = await startUpstream('upstream', byPath({ hang, large }));
  const at = (limits: object) => ({ host: '127.0.0.1', port: 0, limits });
  gateway = await gatewayFixture({
    gateway: { listen: [at({ connectionsPerClient: 2_000 }), at({ connectionsPerClient: 20 })] },
    files: {
      'all.yaml': {
        pools: {
          all: { endpoints: [upstream.url], health: { passive: false }, connections: { max: 1_000, idle: '100ms' } },
        },
        routes: [
          { name: 'all', pool: 'all', retry: false },
          { name: 'stalled', match: { path: '/stalled/*' }, pool: 'all', retry: false, timeout: { idle: '500ms' } },
        ],
      },
    },
  });
});

beforeEach(() => upstream.clear());

const open = () => H2Connection.open(gateway.port);
const odd = (at: number) => at * 2 + 1;

/** Another client is served, and nothing of the flood is still under way. */
async function expectCalm(flooding: H2Connection): Promise<void> {
  await expectServed();
  flooding.close();
  await until(() => upstream.open <= 1, 'no upstream connection held');
}

async function expectServed(): Promise<void> {
  const another = await open();
  expect((await another.ask(1, get('/probe'))).status).toBe(200);
  another.close();
}

describe('requests that are taken back', () => {
  it('at once end the connection, and few of them reach the upstream', async () => {
    const flooding = await open();
    flooding.send(
      ...Array.from({ length: 150 }, (_, at) => [headers(odd(at), get('/hang')), rstStream(odd(at))]).flat(),
    );
    expect(await flooding.end('rapid resets')).toBe(Code.enhanceYourCalm);
    expect(upstream.requests).toBeLessThanOrEqual(MOST_STREAMS);
    await expectCalm(flooding);
  });

  it('without end reach the upstream no more often', async () => {
    const flooding = await open();
    await flooding.flood(FLOOD, (at) => [headers(odd(at), get('/hang')), rstStream(odd(at))]);
    await flooding.end('rapid resets');
    expect(upstream.requests).toBeLessThanOrEqual(MOST_STREAMS);
    await expectCalm(flooding);
  });

  it('once they are at the upstream end the connection too', async () => {
    const flooding = await open();
    const BATCH = 20;
    let asked = 0;
    while (asked < 300 && !flooding.hasEnded) {
      const batch = Array.from({ length: BATCH }, () => odd(asked++));
      flooding.send(...batch.map((stream) => headers(stream, get('/hang'))));
      await until(() => upstream.requests === asked || flooding.hasEnded, 'the requests at the upstream');
      // What is sent into a connection that is being closed could cost its last words.
      flooding.send(...batch.map((stream) => rstStream(stream)), ping());
      await flooding.wait(() => flooding.of(Type.ping).length * BATCH === asked || flooding.hasEnded, 'a word back');
    }
    expect(await flooding.end('resets')).toBe(Code.enhanceYourCalm);
    expect(asked).toBeLessThanOrEqual(200);
    await expectCalm(flooding);
  });

  it('now and then are good manners', async () => {
    const polite = await open();
    for (let at = 0; at < 50; at++) polite.send(headers(odd(at), get('/hang')), rstStream(odd(at)));
    expect((await polite.ask(odd(50), get('/t'))).status).toBe(200);
    expect(polite.hasEnded).toBe(false);
    await expectCalm(polite);
  });
});

/** CVE-2025-8671: the client resets nothing itself. */
describe('requests that the gateway is made to reset', () => {
  it.each<[string, (stream: number) => Buffer[]]>([
    ['a window that grows by 0', (stream) => [headers(stream, get('/hang')), windowUpdate(stream, 0)]],
    [
      'a window that grows beyond all numbers',
      (stream) => [headers(stream, get('/hang')), windowUpdate(stream, 2 ** 31 - 1)],
    ],
    ['data behind the end', (stream) => [headers(stream, get('/hang')), data(stream, 'x')]],
    ['a second head behind the end', (stream) => [headers(stream, get('/hang')), headers(stream, get('/hang'))]],
    [
      'more than was announced',
      (stream) => [headers(stream, post('/hang', ['content-length', '1']), Flag.none), data(stream, 'xx')],
    ],
    ['a priority of the wrong size', (stream) => [headers(stream, get('/hang')), frame(Type.priority, 0, stream)]],
    ['a head that is malformed', (stream) => [headers(stream, [...get('/hang'), ['connection', 'close']])]],
  ])('end the connection, and few of them reach the upstream: %s', async (_, frames) => {
    const flooding = await open();
    await flooding.flood(500, (at) => frames(odd(at)), 20);
    await flooding.end('resets that were provoked');
    expect(upstream.requests).toBeLessThanOrEqual(2 * MOST_STREAMS);
    await expectCalm(flooding);
  });
});

describe('a head', () => {
  const begun = frame(Type.headers, Flag.endStream, 1, block(get('/t')));

  it.each([
    ['of 1 KiB each', KIB],
    ['that are empty', 0],
  ])('that goes on in frames without end ends the connection: %s', async (_, size) => {
    const flooding = await open();
    flooding.send(begun);
    const more = frame(
      Type.continuation,
      Flag.none,
      1,
      Buffer.concat([block([['x-a', 'x'.repeat(1_018)]])]).subarray(0, size),
    );
    await flooding.flood(FLOOD, () => [more]);
    await flooding.end('endless CONTINUATION');
    expect(upstream.requests).toBe(0);
    await expectCalm(flooding);
  });

  it('that is left inside breaks nothing, a hundred times', async () => {
    const left = await Promise.all(Array.from({ length: 100 }, open));
    for (const [at, one] of left.entries()) {
      one.send(begun, frame(Type.continuation, Flag.none, 1, Buffer.from([0])));
      if (at % 2 === 0) one.socket.resetAndDestroy();
      else one.close();
    }
    await expectServed();
    expect(upstream.requests).toBe(1);
  });

  it('that repeats one entry of the table ten thousand times is not unpacked', async () => {
    const flooding = await open();
    const bomb = Buffer.concat([
      block(get('/t')),
      remembered('x-a', 'x'.repeat(4_000)),
      Buffer.alloc(10_000, indexed(62)),
    ]);
    flooding.send(frame(Type.headers, Flag.endHeaders | Flag.endStream, 1, bomb));
    const { status, reset, goaway } = await flooding.outcome(1);
    if (status !== undefined) expect(status).toBe(431);
    else expect([Code.enhanceYourCalm, Code.compressionError]).toContain(reset ?? goaway);
    expect(upstream.requests).toBe(0);
    await expectCalm(flooding);
  });

  it('that uses an entry of the table in each of many requests is bounded as any other', async () => {
    const flooding = await open();
    const fill = Buffer.concat([block(get('/t')), remembered('x-a', 'x'.repeat(3_000))]);
    flooding.send(frame(Type.headers, Flag.endHeaders | Flag.endStream, 1, fill));
    expect((await flooding.outcome(1)).status).toBe(200);
    const bomb = Buffer.concat([block(get('/t')), Buffer.alloc(90, indexed(62))]);
    flooding.send(frame(Type.headers, Flag.endHeaders | Flag.endStream, 3, bomb));
    const { status, reset } = await flooding.outcome(3);
    if (status !== undefined) expect(status).toBe(431);
    else expect([Code.enhanceYourCalm, Code.refusedStream]).toContain(reset);
    expect(upstream.requests).toBe(1);
    await expectCalm(flooding);
  });

  it('that HPACK cannot read ends the connection, and not the process', async () => {
    for (const bytes of [
      indexed(127),
      Buffer.from([0x3f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
      Buffer.from([0x00, 0xff]),
    ]) {
      const flooding = await open();
      flooding.send(frame(Type.headers, Flag.endHeaders | Flag.endStream, 1, bytes));
      expect(await flooding.end('bytes that are no HPACK')).toBe(Code.compressionError);
      await expectCalm(flooding);
    }
  });
});

describe('frames that ask for nothing', () => {
  it.each<[string, Buffer]>([
    ['PING', ping()],
    ['SETTINGS', settings([Setting.initialWindowSize, 65_535])],
    ['empty SETTINGS', settings()],
    ['PRIORITY', frame(Type.priority, 0, 1, Buffer.from([0, 0, 0, 3, 15]))],
    ['unknown frames', frame(0xee, 0xff, 0, Buffer.from('?'))],
  ])('in thousands end their connection, and others are served meanwhile: %s', async (_, bytes) => {
    const flooding = await open();
    const flood = flooding.flood(Math.max(FLOOD, 20_000), () => [bytes], 10_000);
    await expectServed();
    await flood;
    await flooding.end('a flood');
    await expectCalm(flooding);
  });

  it.each<[string, Buffer]>([
    ['heads', headers(1, get('/t'))],
    ['data', data(1, 'x')],
  ])('%s for a request that was ended in thousands end their connection', async (_, bytes) => {
    const flooding = await open();
    flooding.send(headers(1, get('/hang')), windowUpdate(1, 0));
    await flooding.wait(() => flooding.resets.has(1), 'its end');
    await flooding.flood(Math.max(FLOOD, 20_000), () => [bytes], 1_000);
    expect(await flooding.end('a flood')).toBe(Code.enhanceYourCalm);
    await expectCalm(flooding);
  });

  it('SETTINGS that set the same thing a thousand times in one frame end their connection', async () => {
    const flooding = await open();
    flooding.send(settings(...Array.from({ length: 1_000 }, (_, at) => [Setting.initialWindowSize, at] as const)));
    expect(await flooding.end('too many settings')).toBe(Code.enhanceYourCalm);
    await expectCalm(flooding);
  });

  it('and whose answers are not read are not kept', async () => {
    const flooding = await open();
    flooding.socket.pause();
    const before = process.memoryUsage().rss;
    const flood = flooding.flood(Math.max(FLOOD, 20_000), () => [ping()], 1_000);
    await Promise.race([flood, new Promise((resolve) => flooding.socket.once('close', resolve))]);
    await expectServed();
    expect(process.memoryUsage().rss - before).toBeLessThan(32 * MIB);
    await expectCalm(flooding);
  });

  it('empty DATA ends its connection, or costs no more than it brings', async () => {
    const flooding = await open();
    flooding.send(headers(1, post('/t'), Flag.none));
    await flooding.flood(Math.max(FLOOD, 10_000), () => [data(1, '')], 1_000);
    flooding.send(data(1, 'x', Flag.endStream));
    const { status } = await flooding.outcome(1);
    if (!flooding.hasEnded) expect(status).toBe(200);
    await expectCalm(flooding);
  });
});

describe('answers that nobody lets in', () => {
  it('are not read ahead for, and are given up at the idle limit', async () => {
    written = 0;
    const flooding = await H2Connection.open(gateway.port, { settings: [[Setting.initialWindowSize, 0]] });
    const before = process.memoryUsage().rss;
    await flooding.flood(MOST_STREAMS, (at) => [headers(odd(at), get('/stalled/large'))]);
    await until(() => upstream.requests === MOST_STREAMS, 'all requests at the upstream');
    await flooding.wait(() => flooding.resets.size === MOST_STREAMS || flooding.hasEnded, 'all reset');
    // What the kernel holds between the upstream and the gateway is in `written` as well.
    expect((process.memoryUsage().rss - before) / MOST_STREAMS).toBeLessThan(MIB);
    expect(written).toBeLessThan(MOST_STREAMS * 8 * MIB);
    expect(flooding.of(Type.data).every(({ payload }) => payload.length === 0)).toBe(true);
    await expectCalm(flooding);
  });

  it('because the connection has no window are given up too', async () => {
    const flooding = await H2Connection.open(gateway.port, { window: 1 });
    await flooding.flood(20, (at) => [headers(odd(at), get('/stalled/large'))]);
    await flooding.wait(() => flooding.resets.size === 20 || flooding.hasEnded, 'all reset');
    await expectCalm(flooding);
  });
});

it('what is no HTTP/2, and what is no request, is counted', async () => {
  const refused = /^aya_errors_total\{route="__none__",type="http_request_error"\} (\d+)/m;
  const count = async () => Number(refused.exec((await gateway.admin('/metrics')).body)?.[1] ?? 0);
  const before = await count();
  const connection = await open();
  connection.send(headers(1, get('/t', ['connection', 'close'])));
  await connection.wait(() => connection.resets.has(1), 'the request refused');
  expect(await count()).toBe(before + 1);
  connection.send(data(0, 'x'));
  await connection.end('data on no stream');
  expect(await count()).toBe(before + 2);
  connection.close();
});

describe('more than is allowed', () => {
  it('of requests at once is refused, and the others go on', async () => {
    const flooding = await open();
    await flooding.wait(() => flooding.of(Type.settings).length === 2, 'the settings, and ours taken note of');
    const told = flooding.of(Type.settings)[0]!.payload;
    const pairs = Array.from({ length: told.length / 6 }, (_, at) => [
      told.readUInt16BE(at * 6),
      told.readUInt32BE(at * 6 + 2),
    ]);
    expect(Object.fromEntries(pairs)).toMatchObject({ [Setting.maxConcurrentStreams]: MOST_STREAMS });
    await flooding.flood(MOST_STREAMS, (at) => [headers(odd(at), get('/hang'))]);
    await until(() => upstream.requests === MOST_STREAMS, 'as many as are allowed');
    flooding.send(headers(odd(MOST_STREAMS), get('/hang')));
    const { reset, goaway } = await flooding.outcome(odd(MOST_STREAMS));
    if (goaway === undefined) expect(reset).toBe(Code.refusedStream);
    else expect(goaway).toBe(Code.protocolError);
    expect(upstream.requests).toBe(MOST_STREAMS);
    await expectCalm(flooding);
  });

  it('of connections by one client is closed, and room comes back', async () => {
    const [, narrow = 0] = gateway.ports;
    const many = await Promise.all(Array.from({ length: 25 }, () => H2Connection.open(narrow)));
    await until(() => many.filter((one) => one.hasEnded).length >= 5, 'those beyond the limit closed');
    const served = many.filter((one) => !one.hasEnded);
    expect(served.length).toBeGreaterThan(10);
    for (const one of served) expect((await one.ask(1, get('/t'))).status).toBe(200);
    for (const one of many) one.close();
    await until(async () => {
      const again = await H2Connection.open(narrow);
      const { status } = await again.ask(1, get('/t'));
      again.close();
      return status === 200;
    }, 'room again');
  });

  it('of patience: hundreds of connections that leave without a word leave nothing behind', async () => {
    for (let round = 0; round < 3; round++) {
      const many = await Promise.all(Array.from({ length: 100 }, open));
      for (const [at, one] of many.entries()) {
        one.send(headers(1, get(at % 4 === 0 ? '/hang' : '/t')));
        if (at % 2 === 0) one.socket.resetAndDestroy();
        else one.close();
      }
    }
    await expectServed();
    await until(() => upstream.open <= 1, 'no upstream connection held');
    const now = async () =>
      Number(/^aya_connections\{side="downstream"\} (\d+)/m.exec((await gateway.admin('/metrics')).body)?.[1]);
    await until(async () => (await now()) <= 1, 'no connection counted');
  });

  it('of the window, hundreds of times, ends each connection (CVE-2026-21714)', async () => {
    for (let round = 0; round < 3; round++) {
      const many = await Promise.all(Array.from({ length: 100 }, open));
      for (const one of many) one.send(windowUpdate(0, 2 ** 31 - 1));
      for (const one of many) expect(await one.end('a window beyond all numbers')).toBe(Code.flowControlError);
      for (const one of many) one.close();
    }
    await expectServed();
  });
});
