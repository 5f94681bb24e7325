/** WebSockets whose messages are read: what is limited, what becomes of them when an endpoint goes, and what cannot hurt. */
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { gatewayFixture, type GatewayFixture } from '../support/gateway.ts';
import { RawConnection, request } from '../support/raw-client.ts';
import { until } from '../support/until.ts';
import {
  agree,
  CLOSE,
  frame,
  handshake,
  KEY,
  openSocket,
  PING,
  readFrames,
  startSocketUpstream,
  TEXT,
  type SocketUpstream,
} from '../support/web-socket.ts';
import { openWs, startWsService, type WsClient, type WsService } from '../support/ws.ts';

const CONTINUATION = 0;

let service: WsService;
/** Answers as bytes, so that it can answer wrongly. */
let raw: SocketUpstream;
let gateway: GatewayFixture;

const at = (path: string, { port } = gateway) => `ws://127.0.0.1:${port}${path}`;
const health = { passive: false };

beforeAll(async () => {
  service = await startWsService('one');
  raw = await startSocketUpstream('raw', {
    extended: (socket, req) => void socket.write(agree(req, ['Sec-WebSocket-Extensions: permessage-deflate'])),
    chosen: (socket, req) => void socket.write(agree(req, ['Sec-WebSocket-Protocol: other'])),
    told: (socket, req) => void socket.write(agree(req, ['X-Upstream: yes', 'Set-Cookie: a=1', 'Set-Cookie: b=2'])),
    greeting: (socket, req) => void socket.write(Buffer.concat([Buffer.from(agree(req)), frame(TEXT, 'hello')])),
    masked: (socket, req) =>
      void socket.write(Buffer.concat([Buffer.from(agree(req)), frame(TEXT, 'x', { masked: true })])),
    brief: (socket, req) => void socket.end(Buffer.concat([Buffer.from(agree(req)), frame(CLOSE, closing(4100))])),
    broken: (socket, req) => void socket.write(agree(req), () => socket.resetAndDestroy()),
    deaf: (socket, req) => void socket.pause().write(agree(req)),
  });
  gateway = await gatewayFixture({
    files: { 'all.yaml': fleet() },
  });
});

beforeEach(() => {
  service.sockets.length = 0;
});

function fleet() {
  const route = (name: string, inspect: object, more: object = {}) => ({
    name,
    match: { path: `/${name}/*` },
    pool: 'one',
    websocket: { inspect },
    ...more,
  });
  return {
    pools: { one: { endpoints: [service.url], health }, raw: { endpoints: [raw.url], health } },
    routes: [
      route('plain', {}),
      route('small', { maxMessage: '10B', maxUpstreamMessage: '20B' }),
      route('text', { messages: 'text' }),
      route('binary', { messages: 'binary' }),
      route('slow', { rate: { max: 3, per: '1h' } }),
      route('shared', {
        rate: [
          { max: 100, per: '1h' },
          { max: 4, per: '1h', by: 'consumer' },
        ],
      }),
      route('raw', {}, { pool: 'raw', retry: false }),
      route('pinged', { ping: '1s' }),
      route('deaf', { ping: '1s' }, { pool: 'raw' }),
      { ...route('silent', {}), websocket: { idle: '150ms', inspect: {} } },
      { ...route('short', {}), websocket: { max: '150ms', inspect: {} } },
      route('private', {}, { auth: { apiKey: {} } }),
    ],
  };
}

function closing(code: number, reason = ''): Buffer {
  const bytes = Buffer.alloc(2 + reason.length, reason);
  bytes.writeUInt16BE(code);
  bytes.write(reason, 2);
  return bytes;
}

const closed = (client: WsClient) => until(() => client.closed, 'the end at the client');
const closedUpstream = () => until(() => service.sockets.at(-1)?.closed, 'the end at the upstream');

async function metric(name: string, { admin }: GatewayFixture = gateway): Promise<number> {
  const { body } = await admin('/metrics');
  const line = body.split('\n').find((text) => text.startsWith(name));
  return Number(line?.split(' ').at(-1) ?? NaN);
}

describe('a real client', () => {
  it('sends and receives text and binary, chooses a subprotocol, and closes', async () => {
    const client = await openWs(at('/plain/a?b=1'), ['chat.v2', 'chat.v1'], {
      headers: { 'x-aya-consumer': 'forged' },
    });
    client.socket.send('héllo');
    client.socket.send(Buffer.from([0, 255]));
    client.socket.send('in ', { fin: false });
    client.socket.send('parts');
    await until(() => client.messages.length === 3, 'all of them');
    expect(client.messages).toEqual(['one:héllo', Buffer.from([0, 255]), 'one:in parts']);
    expect(client.socket.protocol).toBe('chat.v2');
    const { req } = service.sockets[0]!;
    expect(req.url).toBe('/plain/a?b=1');
    expect(req.headers).toMatchObject({ via: '1.1 aya', 'x-forwarded-for': '127.0.0.1' });
    expect(req.headers['x-aya-consumer']).toBeUndefined();
    client.socket.close(4001, 'done');
    expect(await closed(client)).toEqual({ code: 4001, reason: 'done' });
    expect(await closedUpstream()).toBe(4001);
  });

  it('has its pings answered by the upstream, once', async () => {
    const client = await openWs(at('/plain/a'));
    client.socket.ping('p1');
    client.socket.send('after');
    await until(() => client.messages.length === 1 && client.pongs.length > 0, 'both answers');
    expect(client.pongs).toEqual(['p1']);
  });

  it('of a browser works as well, and offers compression in vain', async () => {
    const socket = new WebSocket(at('/plain/a'), 'chat');
    const messages: unknown[] = [];
    socket.addEventListener('message', ({ data }) => messages.push(data));
    await new Promise((resolve) => socket.addEventListener('open', resolve));
    socket.send('x'.repeat(100_000));
    await until(() => messages.length === 1, 'the echo');
    expect((messages[0] as string).length).toBe(100_004);
    expect([socket.extensions, socket.protocol]).toEqual(['', 'chat']);
    expect(service.sockets[0]!.req.headers['sec-websocket-extensions']).toBeUndefined();
    const end = new Promise<CloseEvent>((resolve) => socket.addEventListener('close', resolve));
    socket.close();
    expect(await end).toMatchObject({ code: 1005, wasClean: true });
    expect(await closedUpstream()).toBe(1005);
  });
});

describe('a handshake', () => {
  it('passes the hooks of its route before anything else', async () => {
    expect((await openWs(at('/private/a'))).refused).toBe(401);
    expect(service.sockets).toEqual([]);
  });

  it('that the upstream refuses gets that answer, in HTTP', async () => {
    expect((await openWs(at('/raw/403'))).refused).toBe(403);
  });

  it('gets the fields of the 101, and what came behind it', async () => {
    const told = await openWs(at('/raw/told'));
    expect(told.fields).toMatchObject({ 'x-upstream': 'yes', 'set-cookie': ['a=1', 'b=2'] });
    const greeted = await openWs(at('/raw/greeting'));
    await until(() => greeted.messages.length === 1, 'the greeting');
    expect(greeted.messages).toEqual(['hello']);
  });

  it.each(['extended', 'chosen'])('that is agreed to with what was not asked for finds 502: %s', async (how) => {
    expect((await openWs(at(`/raw/${how}`), ['chat'])).refused).toBe(502);
  });

  it.each([
    ['another version', 'Sec-WebSocket-Version: 8', 426],
    ['a key of another length', 'Sec-WebSocket-Key: short', 400],
    ['a subprotocol twice', 'Sec-WebSocket-Protocol: a, a', 400],
    ['a subprotocol that is no token', 'Sec-WebSocket-Protocol: a b', 400],
  ])('with %s is refused', async (_what, line, status) => {
    const before = raw.upgrades.length;
    const connection = await openLine(line);
    expect(connection).toBe(status);
    expect(raw.upgrades.length).toBe(before);
  });

  async function openLine(line: string): Promise<number> {
    const name = line.split(':')[0]!;
    const lines = [
      'Connection: Upgrade',
      'Upgrade: websocket',
      'Sec-WebSocket-Version: 13',
      `Sec-WebSocket-Key: ${KEY}`,
    ].filter((own) => !own.startsWith(`${name}:`));
    const connection = await RawConnection.open(gateway.port);
    connection.send(request('GET', '/raw/a', 'any.test', [...lines, line]));
    const { status } = await connection.answer();
    connection.close();
    return status;
  }

  it('behind which frames came at once loses none of them', async () => {
    const { connection, frames } = await openSocket(gateway.port, '/plain/a');
    connection.close();
    const early = await RawConnection.open(gateway.port);
    const texts = Array.from({ length: 50 }, (_, index) => frame(TEXT, `m${index}`, { masked: true }));
    early.send(Buffer.concat([Buffer.from(handshake('/plain/a')), ...texts]));
    await early.answer();
    await until(() => readFrames(early.received).frames.length === 50, 'all echoes');
    expect(readFrames(early.received).frames.map(({ payload }) => payload.toString())).toEqual(
      texts.map((_, index) => `one:m${index}`),
    );
    early.close();
    expect(frames()).toEqual([]);
  });
});

describe('a message', () => {
  it('as large as it may be passes, and one larger closes with 1009', async () => {
    const client = await openWs(at('/small/a'));
    client.socket.send('0123456789');
    await until(() => client.messages.length === 1, 'the echo');
    client.socket.send('0123456789a');
    expect((await closed(client))?.code).toBe(1009);
    await closedUpstream();
  });

  it('in fragments is as large as all of them', async () => {
    const client = await openWs(at('/small/a'));
    for (let part = 0; part < 4; part++) client.socket.send('0123', { fin: false });
    expect((await closed(client))?.code).toBe(1009);
  });

  it('of the upstream that is too large closes with 1014', async () => {
    const client = await openWs(at('/small/a'));
    service.sockets[0]!.socket.send('x'.repeat(21));
    expect((await closed(client))?.code).toBe(1014);
    expect(await closedUpstream()).toBe(1009);
  });

  it.each([
    ['text', Buffer.from('a')],
    ['binary', 'a'],
  ])('of another kind than %s closes with 1003, and does not pass', async (only, message) => {
    const got: unknown[] = [];
    const client = await openWs(at(`/${only}/a`));
    service.sockets[0]!.socket.on('message', (data) => got.push(data));
    client.socket.send(message);
    expect((await closed(client))?.code).toBe(1003);
    expect(await closedUpstream()).toBe(1001);
    expect(got).toEqual([]);
  });

  it('beyond the rate of its connection closes with 1008, and does not pass; a ping counts too', async () => {
    const client = await openWs(at('/slow/a'));
    const got: string[] = [];
    service.sockets[0]!.socket.on('message', (data: Buffer) => got.push(data.toString()));
    client.socket.ping();
    for (const text of ['a', 'b', 'c', 'd']) client.socket.send(text);
    expect((await closed(client))?.code).toBe(1008);
    expect(await closedUpstream()).toBe(1001);
    expect(got).toEqual(['a', 'b']);
    const other = await openWs(at('/slow/a'));
    other.socket.send('a');
    await until(() => other.messages.length === 1, 'another connection to have a rate of its own');
  });

  it('beyond the rate of its consumer closes with 1008, on whichever connection it comes', async () => {
    const first = await openWs(at('/shared/a'));
    const second = await openWs(at('/shared/a'));
    for (const { socket } of [first, second]) for (const text of ['a', 'b']) socket.send(text);
    await until(() => first.messages.length + second.messages.length === 4, 'four echoes');
    second.socket.send('c');
    expect((await closed(second))?.code).toBe(1008);
    expect(first.closed).toBeUndefined();
  });
});

describe('an end', () => {
  it('of the upstream is one at the client, with its code and reason', async () => {
    const client = await openWs(at('/plain/a'));
    service.sockets[0]!.socket.close(4005, 'bye');
    expect(await closed(client)).toEqual({ code: 4005, reason: 'bye' });
    const plain = await openWs(at('/plain/a'));
    service.sockets[1]!.socket.close();
    expect((await closed(plain))?.code).toBe(1005);
  });

  it('of the upstream without a word is 1014', async () => {
    const client = await openWs(at('/plain/a'));
    service.sockets[0]!.socket.terminate();
    expect((await closed(client))?.code).toBe(1014);
  });

  it('right behind the 101 is one too', async () => {
    expect((await closed(await openWs(at('/raw/brief'))))?.code).toBe(4100);
    expect((await closed(await openWs(at('/raw/broken'))))?.code).not.toBe(1005);
  });

  it('of a client without a word is one at the upstream', async () => {
    const client = await openWs(at('/plain/a'));
    client.socket.terminate();
    expect(await closedUpstream()).toBe(1006);
  });

  it('comes with 1001 after silence, and after the longest time', async () => {
    const silent = await openWs(at('/silent/a'));
    expect((await closed(silent))?.code).toBe(1001);
    expect(await closedUpstream()).toBe(1001);
    const short = await openWs(at('/short/a'));
    const sending = setInterval(() => short.socket.send('x'), 20);
    expect((await closed(short))?.code).toBe(1001);
    clearInterval(sending);
  });

  it('comes to a client that answers no ping', async () => {
    const { connection, frames } = await openSocket(gateway.port, '/pinged/a');
    await until(() => frames().some(({ opcode }) => opcode === PING), 'a ping');
    await until(() => connection.closed !== 'open', 'the end');
    await closedUpstream();
  });
});

describe('a ping of the gateway', () => {
  it('finds a silent upstream, and its client is closed with 1014', async () => {
    const client = await openWs(at('/deaf/greeting'));
    expect((await closed(client))?.code).toBe(1014);
  });

  it('is answered by both sides, and nothing ends', async () => {
    const client = await openWs(at('/pinged/a'));
    const pings = [0, 0];
    client.socket.on('ping', () => pings[0]!++);
    service.sockets[0]!.socket.on('ping', () => pings[1]!++);
    await until(() => pings.every((count) => count > 2), 'three pings each');
    client.socket.send('x');
    await until(() => client.messages.length === 1, 'the echo');
  });
});

describe('frames that are none', () => {
  const masked = { masked: true };
  const header = (...bytes: number[]) => Buffer.from(bytes);
  it.each<[string, Buffer, number]>([
    ['unmasked', frame(TEXT, 'x'), 1002],
    ['with a reserved opcode', frame(3, 'x', masked), 1002],
    ['with a reserved control opcode', frame(11, 'x', masked), 1002],
    ['with a reserved bit', header(0xc1, 0x80, 0, 0, 0, 0), 1002],
    ['compressed, though nothing was agreed', header(0xc1, 0x81, 0, 0, 0, 0, 1), 1002],
    ['of a message that did not begin', frame(CONTINUATION, 'x', masked), 1002],
    [
      'of a second message within the first',
      Buffer.concat([frame(TEXT, 'x', { masked: true, fin: false }), frame(TEXT, 'y', masked)]),
      1002,
    ],
    ['text that is no UTF-8', frame(TEXT, Buffer.from([0xff, 0xfe]), masked), 1007],
    ['a ping of 126 bytes', frame(PING, Buffer.alloc(126), masked), 1002],
    ['a ping in parts', frame(PING, 'x', { masked: true, fin: false }), 1002],
    ['a close of one byte', frame(CLOSE, Buffer.from([3]), masked), 1002],
    ['a close with 1005', frame(CLOSE, closing(1005), masked), 1002],
    ['a close with 999', frame(CLOSE, closing(999), masked), 1002],
    ['a close with 65535', frame(CLOSE, closing(65_535), masked), 1002],
    ['a close whose reason is no UTF-8', frame(CLOSE, Buffer.from([3, 232, 0xff]), masked), 1007],
    ['a length of 2^63', header(0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), 1009],
    ['a length of 2^53', header(0x82, 0xff, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), 1009],
    ['a length of 2 GiB', header(0x82, 0xff, 0, 0, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0), 1009],
  ])('close the connection: %s', async (_what, bytes, code) => {
    const { connection, frames } = await openSocket(gateway.port, '/plain/a');
    connection.send(bytes);
    await until(() => frames().some(({ opcode }) => opcode === CLOSE), 'a close frame');
    expect(frames().at(-1)!.payload.readUInt16BE()).toBe(code);
    connection.close();
    await closedUpstream();
  });

  it('of the upstream close the connection with 1014', async () => {
    expect((await closed(await openWs(at('/raw/masked'))))?.code).toBe(1014);
  });

  it('by the hundred thousand are one message at most', async () => {
    const { connection, frames } = await openSocket(gateway.port, '/plain/a');
    const empty = frame(CONTINUATION, '', { masked: true, fin: false });
    connection.send(
      Buffer.concat([frame(TEXT, '', { masked: true, fin: false }), ...Array<Buffer>(100_000).fill(empty)]),
    );
    await until(() => frames().some(({ opcode }) => opcode === CLOSE) || connection.closed !== 'open', 'the end');
    connection.close();
  });
});

describe('back-pressure', () => {
  const mebi = Buffer.alloc(512 * 1024);

  it('reaches a client whose upstream does not read', async () => {
    const { connection } = await openSocket(gateway.port, '/raw/deaf');
    const message = frame(2, mebi, { masked: true });
    let taken = 0;
    for (let count = 0; count < 100; count++) {
      connection.socket.write(message, () => taken++);
    }
    let before = -1;
    await until(() => {
      const stands = taken > 0 && taken === before;
      before = taken;
      return stands;
    }, 'the client to wait');
    expect(taken).toBeLessThan(60);
    connection.close();
    for (const { socket } of raw.upgrades) socket.destroy();
  });

  it('reaches an upstream whose client does not read', async () => {
    const { connection } = await openSocket(gateway.port, '/plain/a');
    connection.socket.pause();
    const { socket } = service.sockets[0]!;
    for (let count = 0; count < 100; count++) socket.send(mebi);
    let before = -1;
    await until(() => {
      const now = socket._socket.bytesWritten - socket._socket.writableLength;
      const stands = now > 0 && now === before;
      before = now;
      return stands;
    }, 'the upstream to wait');
    expect(socket._socket.writableLength).toBeGreaterThan(20 * 1024 * 1024);
    connection.close();
    await closedUpstream();
  });
});

describe('an inspection', () => {
  it.each([
    [{ maxMessage: '0B' }, 'maxMessage: would refuse every message'],
    [{ maxMessage: '1GiB' }, 'is over 256MiB'],
    [{ rate: { max: 1, per: '10ms' } }, 'rate.per: is shorter than 100ms'],
    [{ ping: '10ms' }, 'ping: is shorter than 1s'],
    [{ reconnect: { interval: '10ms' } }, 'reconnect.interval: is shorter than 100ms'],
  ])('cannot be written as %j', async (inspect, message) => {
    await gateway.write('more.yaml', {
      routes: [{ name: 'more', match: { path: '/more' }, pool: 'one', websocket: { inspect } }],
    });
    const { status, body } = await gateway.reload();
    await gateway.remove('more.yaml');
    expect(`${status} ${body}`).toContain(message);
  });
});

it('leaves nothing behind', async () => {
  for (const { socket } of raw.upgrades) socket.destroy();
  await until(async () => (await metric('aya_upgrades_active')) === 0, 'no link open');
  await until(async () => (await metric('aya_requests_in_flight')) === 0, 'no request in flight');
});
