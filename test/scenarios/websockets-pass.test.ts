/** WebSockets through the gateway: who may open one, what passes, and how each end is an end on the other side too. */
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { gatewayFixture, type GatewayFixture } from '../support/gateway.ts';
import { closedPort, startUpstream, type Upstream } from '../support/upstream.ts';
import { RawConnection, request } from '../support/raw-client.ts';
import { until } from '../support/until.ts';
import {
  acceptOf,
  agree,
  BINARY,
  CLOSE,
  echoBytes,
  frame,
  handshake,
  KEY,
  openSocket,
  PING,
  PONG,
  readFrames,
  type SocketUpstream,
  startSocketUpstream,
  TEXT,
  type OnSocket,
} from '../support/web-socket.ts';

/** Agrees, and leaves the rest to the test. */
const hold: OnSocket = (socket, req) => void socket.write(agree(req));
const ANSWERS: Record<string, OnSocket> = {
  bytes: echoBytes,
  hold,
  silent: () => {},
  typed: (socket, req) => void socket.write(agree(req, ['Content-Type: text/html', 'Cache-Control: max-age=60'])),
  greeting: (socket, req) => void socket.write(Buffer.concat([Buffer.from(agree(req)), frame(TEXT, 'hello')])),
  wrong: (socket, req) => void socket.write(agree(req).replace(/Accept: .*/, 'Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=')),
  bare: (socket) => void socket.write('HTTP/1.1 101 Sure\r\n\r\n'),
  other: (socket, req) => void socket.write(agree(req).replace('Upgrade: websocket', 'Upgrade: h2c')),
  early: (socket, req) => void socket.write(`HTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload\r\n\r\n${agree(req)}`),
  extended: (socket, req) =>
    void socket.write(
      agree(req, ['Sec-WebSocket-Extensions: permessage-deflate', 'X-Upstream: yes', 'Set-Cookie: a=1']),
    ),
};

let sockets: SocketUpstream;
let plain: Upstream;
let gateway: GatewayFixture;

beforeAll(async () => {
  sockets = await startSocketUpstream('sockets', ANSWERS);
  plain = await startUpstream('plain');
  gateway = await gatewayFixture({ files: { 'all.yaml': await fleet() } });
});

beforeEach(() => plain.clear());

/** No test leaves anything behind. */
afterEach(async () => {
  for (const { socket } of sockets.upgrades) socket.destroy();
  sockets.upgrades.length = 0;
  await hasNone();
  await until(async () => (await metric('aya_requests_in_flight')) === 0, 'no request in flight');
});

async function fleet() {
  const refusing = `http://127.0.0.1:${await closedPort()}`;
  const off = { passive: false };
  return {
    pools: {
      sockets: { endpoints: [sockets.url], health: off },
      plain: { endpoints: [plain.url], health: off },
      halfDead: { endpoints: [refusing, sockets.url], balance: 'round-robin', health: off },
    },
    routes: [
      { name: 'all', match: { path: '/*' }, pool: 'sockets' },
      { name: 'plain', match: { path: '/plain/*' }, pool: 'plain' },
      { name: 'none', match: { path: '/none/*' }, pool: 'plain', websocket: false },
      { name: 'once', match: { path: '/once/*' }, pool: 'sockets', retry: false },
      { name: 'half-dead', match: { path: '/half-dead/*' }, pool: 'halfDead' },
      {
        name: 'limited',
        match: { path: '/limited/*' },
        pool: 'sockets',
        rateLimit: { max: 1, per: '1h', by: 'route' },
      },
      {
        name: 'edited',
        match: { path: '/edited/*' },
        pool: 'sockets',
        headers: { request: { set: { 'x-env': 'test' } }, response: { set: { 'x-gateway': 'aya' } } },
      },
      { name: 'private', match: { path: '/private/*' }, pool: 'sockets', auth: { apiKey: {} } },
      { name: 'kept', match: { path: '/kept/*' }, pool: 'sockets', cache: { ttl: '1h' }, compress: {} },
      { name: 'csrf', match: { path: '/csrf/*' }, pool: 'sockets', csrf: {} },
      { name: 'moved', match: { path: '/moved' }, redirect: { to: 'https://else.test/x' } },
      { name: 'brief', match: { path: '/brief/*' }, pool: 'sockets', websocket: { idle: '100ms' } },
      { name: 'short', match: { path: '/short/*' }, pool: 'sockets', websocket: { max: '150ms' } },
    ],
  };
}

async function metric(name: string): Promise<number> {
  const { body } = await gateway.admin('/metrics');
  return Number(
    body
      .split('\n')
      .find((line) => line.startsWith(name))
      ?.split(' ')
      .at(-1) ?? NaN,
  );
}

/** Of the latest upgrade, at the upstream. */
const latest = () => sockets.upgrades.at(-1)!.socket;

/** Whether the upstream has seen the end of what the client had to say. */
const isLeft = () => latest().resume().destroyed || latest().readableEnded;

const hasNone = () => until(async () => (await metric('aya_upgrades_active')) === 0, 'no tunnel open');

describe('a real client', () => {
  it('sends and receives text and binary, chooses a subprotocol, and closes', async () => {
    const socket = new WebSocket(`ws://127.0.0.1:${gateway.port}/echo?a=1`, ['chat.v2', 'chat.v1']);
    socket.binaryType = 'arraybuffer';
    const messages: unknown[] = [];
    socket.addEventListener('message', ({ data }) => messages.push(data));
    await new Promise((resolve, reject) => {
      socket.addEventListener('open', resolve);
      socket.addEventListener('error', reject);
    });
    expect(socket.protocol).toBe('chat.v2');
    socket.send('héllo');
    socket.send(new Uint8Array([0, 255, 7]));
    await until(() => messages.length === 2, 'both messages back');
    expect(messages[0]).toBe('héllo');
    expect([...new Uint8Array(messages[1] as ArrayBuffer)]).toEqual([0, 255, 7]);
    const closed = new Promise<CloseEvent>((resolve) => socket.addEventListener('close', resolve));
    socket.close(4001, 'done');
    expect(await closed).toMatchObject({ code: 4001, wasClean: true });
    expect(sockets.upgrades[0]?.req.url).toBe('/echo?a=1');
  });
});

describe('a handshake', () => {
  it('reaches the upstream with all its fields, and with what the gateway says of the way', async () => {
    const fields = [
      'Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits',
      'Cookie: a=1',
      'Origin: http://x.test',
    ];
    const { answer, connection } = await openSocket(gateway.port, '/extended', fields);
    expect(sockets.upgrades[0]?.req.headers).toMatchObject({
      upgrade: 'websocket',
      connection: 'Upgrade',
      'sec-websocket-key': KEY,
      'sec-websocket-version': '13',
      'sec-websocket-extensions': 'permessage-deflate; client_max_window_bits',
      cookie: 'a=1',
      origin: 'http://x.test',
      'x-forwarded-for': '127.0.0.1',
      via: '1.1 aya',
    });
    expect(answer.status).toBe(101);
    expect(answer.field('sec-websocket-accept')).toBe(acceptOf(KEY));
    expect(answer.field('sec-websocket-extensions')).toBe('permessage-deflate');
    expect([answer.field('upgrade'), answer.field('connection')]).toEqual(['websocket', 'Upgrade']);
    expect([answer.field('x-upstream'), answer.field('set-cookie')]).toEqual(['yes', 'a=1']);
    connection.close();
  });

  it('has the edits of its route, both ways', async () => {
    const { answer, connection } = await openSocket(gateway.port, '/edited/echo');
    expect(sockets.upgrades[0]?.req.headers['x-env']).toBe('test');
    expect(answer.field('x-gateway')).toBe('aya');
    connection.close();
  });

  it('gets the first frame that the upstream sent with its 101, and interim answers before it', async () => {
    const { answer, frames, connection } = await openSocket(gateway.port, '/greeting');
    expect(answer.status).toBe(101);
    await until(() => frames().length === 1, 'the greeting');
    expect(frames()[0]?.payload.toString()).toBe('hello');
    connection.close();
    const early = await RawConnection.open(gateway.port);
    early.send(handshake('/early'));
    await early.wait(() => early.received.includes('Accept'), 'the 101');
    expect(early.received.toString()).toMatch(/^HTTP\/1\.1 103 [^]*HTTP\/1\.1 101 /);
    early.close();
  });

  it('is answered by the upstream alone, also where answers are kept and compressed', async () => {
    await (await fetch(`${gateway.url}/kept/typed`)).text();
    const again = await fetch(`${gateway.url}/kept/typed`);
    expect(again.headers.get('cache-status')).toContain('hit');
    await again.text();
    for (let at = 0; at < 2; at++) {
      const { answer, connection } = await openSocket(gateway.port, '/kept/typed', ['Accept-Encoding: gzip']);
      expect(answer.status).toBe(101);
      expect(answer.field('content-encoding')).toBeUndefined();
      connection.close();
    }
    expect(sockets.upgrades).toHaveLength(2);
  });

  it('goes to another endpoint when the first refuses the connection', async () => {
    for (let at = 0; at < 4; at++) {
      const { answer, connection } = await openSocket(gateway.port, '/half-dead/echo');
      expect(answer.status).toBe(101);
      connection.close();
    }
  });

  it.each([200, 301, 401, 404, 426, 503])(
    'that the upstream answers with %i gets that answer, and no tunnel',
    async (status) => {
      const connection = await RawConnection.open(gateway.port);
      connection.send(handshake(`/${status}`) + request('GET', '/after', 'any.test'));
      const answer = await connection.answer();
      expect(answer.status).toBe(status);
      expect(answer.text()).toBe('refused');
      expect([answer.field('x-reason'), answer.field('connection')]).toEqual(['upstream', 'close']);
      await until(() => connection.closed === 'fin', 'the end of the connection');
      expect(connection.received).toHaveLength(0);
      expect(await metric('aya_upgrades_active')).toBe(0);
    },
  );

  it.each(['wrong', 'bare', 'other'])(
    'that the upstream agrees to without proof is refused with 502: %s',
    async (how) => {
      const { answer, connection } = await openSocket(gateway.port, `/${how}`);
      expect(answer.status).toBe(502);
      expect(answer.field('proxy-status')).toContain('http_protocol_error');
      await until(() => connection.closed !== 'open', 'the end of the connection');
    },
  );

  it('to a service that speaks no WebSocket is a plain request there', async () => {
    const { answer, connection } = await openSocket(gateway.port, '/plain/x');
    expect(answer.status).toBe(200);
    connection.close();
  });

  it('finds 504 where the upstream says nothing, and nothing is left of it', async () => {
    await gateway.write('slow.yaml', {
      routes: [{ name: 'slow', match: { path: '/slow/*' }, pool: 'sockets', timeout: { head: '100ms' }, retry: false }],
    });
    await gateway.reload();
    const { answer } = await openSocket(gateway.port, '/slow/silent');
    expect(answer.status).toBe(504);
    await until(isLeft, 'the upstream connection to end');
  });
});

describe('no tunnel', () => {
  it('where the route has none: the request is served without its upgrade', async () => {
    const { answer, connection } = await openSocket(gateway.port, '/none/x');
    expect(answer.status).toBe(200);
    const fields = plain.seen[0]!.fields.map((field) => field.toLowerCase());
    expect(fields).not.toContain('upgrade');
    connection.close();
  });

  it.each([
    [
      'another protocol',
      ['Connection: Upgrade', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAAQAAP__', `Sec-WebSocket-Key: ${KEY}`],
    ],
    ['two protocols', ['Connection: Upgrade', 'Upgrade: websocket, h2c', `Sec-WebSocket-Key: ${KEY}`]],
    ['Upgrade twice', ['Connection: Upgrade', 'Upgrade: websocket', 'Upgrade: websocket', `Sec-WebSocket-Key: ${KEY}`]],
    ['no Connection', ['Upgrade: websocket', `Sec-WebSocket-Key: ${KEY}`]],
    ['no key', ['Connection: Upgrade', 'Upgrade: websocket']],
    [
      'a body',
      ['Connection: Upgrade', 'Upgrade: websocket', `Sec-WebSocket-Key: ${KEY}`, 'Content-Length: 2\r\n\r\nab'],
    ],
  ])('for %s: the request goes on without it, and the connection stays in step', async (_what, fields) => {
    const connection = await RawConnection.open(gateway.port);
    const lines = fields.join('\r\n');
    connection.send(`GET /plain/one HTTP/1.1\r\nHost: any.test\r\n${lines}${lines.endsWith('ab') ? '' : '\r\n\r\n'}`);
    expect((await connection.answer()).status).toBe(200);
    connection.send(request('GET', '/plain/two', 'any.test'));
    expect((await connection.answer()).status).toBe(200);
    for (const { fields: seen } of plain.seen) {
      expect(seen.map((field) => field.toLowerCase())).not.toContain('upgrade');
    }
    connection.close();
  });

  it('behind a request that is not answered yet', async () => {
    const connection = await RawConnection.open(gateway.port);
    connection.send(request('GET', '/plain/one', 'any.test') + handshake('/plain/two'));
    expect((await connection.answer()).status).toBe(200);
    expect((await connection.answer()).status).toBe(200);
    connection.close();
  });

  it('but on a connection that was used before, as any request', async () => {
    const connection = await RawConnection.open(gateway.port);
    connection.send(request('GET', '/plain/one', 'any.test'));
    expect((await connection.answer()).status).toBe(200);
    connection.send(handshake('/echo'));
    expect((await connection.answer()).status).toBe(101);
    connection.close();
  });

  it('past the hooks of the route: their refusal is an answer in HTTP, and ends the connection', async () => {
    const first = await openSocket(gateway.port, '/limited/echo');
    expect(first.answer.status).toBe(101);
    const second = await openSocket(gateway.port, '/limited/echo');
    expect(second.answer.status).toBe(429);
    expect(second.answer.field('connection')).toBe('close');
    await until(() => second.connection.closed === 'fin', 'the end of the connection');
    const unknown = await openSocket(gateway.port, '/private/echo');
    expect(unknown.answer.status).toBe(401);
    const foreign = await openSocket(gateway.port, '/csrf/echo', ['Origin: https://evil.test']);
    expect(foreign.answer.status).toBe(403);
    const moved = await openSocket(gateway.port, '/moved');
    expect(moved.answer.status).toBe(302);
    expect(sockets.upgrades).toHaveLength(1);
    first.connection.close();
  });

  it.each([
    ['without a route', request('GET', '/', '').replace('Host: ', 'Host: a b'), 400],
    [
      'with too many fields',
      handshake(
        '/echo',
        'any.test',
        Array.from({ length: 2000 }, (_, at) => `X-${at}: 1`),
      ),
      431,
    ],
    ['with a line end in Upgrade', handshake('/echo').replace('Upgrade: websocket', 'Upgrade: web\rsocket'), 400],
    ['with a target that climbs', handshake('/a/../../echo%2f'), 400],
  ])('for a head %s', async (_what, bytes, status) => {
    const connection = await RawConnection.open(gateway.port);
    connection.send(bytes);
    expect((await connection.answer()).status).toBe(status);
    await until(() => connection.closed !== 'open', 'the end of the connection');
    expect(sockets.upgrades).toEqual([]);
  });
});

describe('what a client sends before its answer', () => {
  it('reaches the upstream behind the 101, in order', async () => {
    const connection = await RawConnection.open(gateway.port);
    const early = frame(TEXT, 'too early', { masked: true });
    connection.send(Buffer.concat([Buffer.from(handshake('/bytes')), early]));
    await connection.answer();
    connection.send('and later');
    await connection.wait(() => connection.received.length === early.length + 9, 'both back');
    expect(connection.received).toEqual(Buffer.concat([early, Buffer.from('and later')]));
    connection.close();
  });

  it('is no request, and never reaches an upstream that stays with HTTP', async () => {
    const connection = await RawConnection.open(gateway.port);
    const smuggled = request('GET', '/plain/admin', 'any.test');
    connection.send(handshake('/426').replace('Version: 13', 'Version: 777') + smuggled);
    expect((await connection.answer()).status).toBe(426);
    await until(() => connection.closed !== 'open', 'the end of the connection');
    expect(plain.requests).toBe(0);
    expect(connection.received).toHaveLength(0);
  });

  it('is held up to a bound, however much it is', async () => {
    const connection = await RawConnection.open(gateway.port);
    connection.send(handshake('/once/silent'));
    await until(() => sockets.upgrades.length === 1, 'the upgrade at the upstream');
    connection.socket.write(Buffer.alloc(32 * 1024 * 1024));
    const accepted = await settled(() => connection.socket.bytesWritten - connection.socket.writableLength);
    expect(accepted).toBeLessThan(16 * 1024 * 1024);
    expect(latest().bytesRead).toBeLessThan(2_000);
    latest().destroy();
    await until(() => connection.closed !== 'open', 'the refusal');
  });

  it('may be the end: the upstream is left, and who still reads is told', async () => {
    const connection = await RawConnection.open(gateway.port);
    connection.send(handshake('/once/silent'));
    await until(() => sockets.upgrades.length === 1, 'the upgrade at the upstream');
    connection.halfClose();
    expect((await connection.answer()).status).toBe(400);
    await until(isLeft, 'the upstream to be left');
  });
});

/** The value once it no longer moves. */
async function settled(value: () => number): Promise<number> {
  let before = -1;
  let same = 0;
  await until(() => {
    same = value() === before ? same + 1 : 0;
    before = value();
    return same >= 10;
  }, 'it to settle');
  return before;
}

describe('an open tunnel', () => {
  it('passes every byte as it is, both ways: 1 MiB in fragments, in pieces of any size', async () => {
    const { connection } = await openSocket(gateway.port, '/bytes');
    const fragments = Array.from({ length: 16 }, (_, at) =>
      frame(at === 0 ? BINARY : 0, Buffer.alloc(64 * 1024, at), { fin: at === 15, masked: true }),
    );
    const message = Buffer.concat(fragments);
    for (let at = 0, size = 1; at < message.length; at += size, size = (size * 3) % 9_973) {
      connection.send(message.subarray(at, at + size));
    }
    await connection.wait(() => connection.received.length >= message.length, 'the message back');
    expect(connection.received.equals(message)).toBe(true);
    connection.close();
  });

  it('passes pings and pongs', async () => {
    const { connection, frames } = await openSocket(gateway.port, '/echo');
    connection.send(frame(PING, 'are you there', { masked: true }));
    await until(() => frames().length === 1, 'the pong');
    expect(frames()[0]).toMatchObject({ opcode: PONG, masked: false });
    connection.close();
  });

  it('passes the end of one half, and goes on with the other', async () => {
    const { connection, frames } = await openSocket(gateway.port, '/hold');
    connection.halfClose();
    await until(isLeft, 'the end at the upstream');
    latest().write(frame(TEXT, 'still here'));
    await until(() => frames().length === 1, 'a frame after the end');
    latest().end();
    await until(() => connection.closed === 'fin', 'the other end');
  });

  it('is reset for the client when the upstream resets, and the other way round', async () => {
    const one = await openSocket(gateway.port, '/hold');
    latest().resetAndDestroy();
    await until(() => one.connection.closed === 'reset', 'the reset at the client');
    const two = await openSocket(gateway.port, '/hold');
    const upstream = latest();
    const errors: unknown[] = [];
    upstream.on('error', (error) => errors.push(error)).resume();
    two.connection.reset();
    await until(() => upstream.destroyed, 'the end at the upstream');
    expect(errors).toHaveLength(1);
  });

  it.each(['client', 'upstream'])(
    'lets the other wait when the %s does not read, and loses nothing',
    async (stalled) => {
      const { connection } = await openSocket(gateway.port, '/hold');
      const upstream = latest();
      const size = 64 * 1024 * 1024;
      const [from, to] = stalled === 'client' ? [upstream, connection.socket] : [connection.socket, upstream];
      to.removeAllListeners('data');
      to.pause();
      from.write(Buffer.alloc(size, 7));
      const accepted = await settled(() => from.bytesWritten - from.writableLength);
      expect(accepted).toBeLessThan(24 * 1024 * 1024);
      let received = 0;
      to.on('data', (chunk: Buffer) => (received += chunk.length));
      to.resume();
      await until(() => received === size, 'all of it');
      connection.close();
    },
  );

  it('counts as one request in flight and one connection, and is one line of metrics at its end', async () => {
    const before = await metric('aya_upgrades_total');
    const idle = await metric('aya_upstream_connections{pool="sockets"');
    const { connection } = await openSocket(gateway.port, '/hold');
    expect(await metric('aya_upgrades_active')).toBe(1);
    expect(await metric('aya_upgrades_total')).toBe(before + 1);
    expect(await metric('aya_requests_in_flight')).toBe(1);
    expect(await metric('aya_upstream_connections{pool="sockets"')).toBe(idle + 1);
    connection.close();
    latest().end();
    await hasNone();
    expect(await metric('aya_upstream_connections{pool="sockets"')).toBe(idle);
  });

  it('is closed with 1001 when it was silent for too long; a byte in either direction keeps it', async () => {
    const { connection, frames } = await openSocket(gateway.port, '/brief/echo');
    for (let at = 1; at <= 20; at++) {
      connection.send(frame(PING, '', { masked: true }));
      await until(() => frames().length === at, 'the pong');
    }
    await until(() => connection.closed !== 'open', 'the end');
    expect(frames().at(-1)).toMatchObject({ opcode: CLOSE, masked: false });
    expect(frames().at(-1)?.payload.readUInt16BE()).toBe(1001);
    connection.close();
  });

  it('is closed with 1001 at its greatest age, whatever is said', async () => {
    const { connection, frames } = await openSocket(gateway.port, '/short/echo');
    await until(() => {
      if (connection.closed === 'open') connection.send(frame(PING, '', { masked: true }));
      return connection.closed !== 'open';
    }, 'the end');
    expect(frames().at(-1)?.payload.readUInt16BE()).toBe(1001);
    connection.close();
  });

  it('is reset, not closed, in the middle of a frame', async () => {
    const { connection } = await openSocket(gateway.port, '/brief/hold');
    latest().write(frame(BINARY, Buffer.alloc(1000)).subarray(0, 500));
    await until(() => connection.closed === 'reset', 'the reset');
    expect(readFrames(connection.received).frames).toEqual([]);
  });
});
