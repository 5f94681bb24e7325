/** WebSockets as streams of HTTP/2 (RFC 8441): asked for, answered, carried and ended as those that have a connection to themselves. */
import { readFile } from 'node:fs/promises';
import type { ClientHttp2Stream, IncomingHttpHeaders } from 'node:http2';
import { join } from 'node:path';
import { Agent, WebSocket as UndiciSocket } from 'undici';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Certificates, hasOpenssl } from '../support/certificates.ts';
import { gatewayFixture, type GatewayFixture } from '../support/gateway.ts';
import { answerOf, Http2Client } from '../support/http2-client.ts';
import { Code, H2Connection, headers, rstStream, Type, type Fields } from '../support/h2-frames.ts';
import { until, within } from '../support/until.ts';
import { startUpstream, type Upstream } from '../support/upstream.ts';
import {
  agree,
  BINARY,
  CLOSE,
  echoBytes,
  frame,
  PING,
  readFrames,
  startSocketUpstream,
  TEXT,
  type Frame,
  type OnSocket,
  type SocketUpstream,
} from '../support/web-socket.ts';

const FILE = 'test/scenarios/websockets-over-http2.test.ts';
const HOST = '127.0.0.1';
const CANCEL = Code.cancel;

const hold: OnSocket = (socket, req) => void socket.write(agree(req));
const ANSWERS: Record<string, OnSocket> = {
  bytes: echoBytes,
  hold,
  silent: () => {},
  greeting: (socket, req) => void socket.write(Buffer.concat([Buffer.from(agree(req)), frame(TEXT, 'hello')])),
  wrong: (socket, req) => void socket.write(agree(req).replace(/Accept: .*/, 'Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=')),
  bare: (socket) => void socket.write('HTTP/1.1 101 Sure\r\n\r\n'),
  early: (socket, req) => void socket.write(`HTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload\r\n\r\n${agree(req)}`),
  extended: (socket, req) =>
    void socket.write(
      agree(req, [
        'Sec-WebSocket-Extensions: permessage-deflate',
        'Sec-WebSocket-Protocol: chat',
        'X-Upstream: yes',
        'Set-Cookie: a=1',
        'Content-Length: 0',
      ]),
    ),
};

let sockets: SocketUpstream;
let plain: Upstream;
let gateway: GatewayFixture;
let url = '';

beforeAll(async () => {
  sockets = await startSocketUpstream('sockets', ANSWERS);
  plain = await startUpstream('plain');
  gateway = await gatewayFixture({
    gateway: {
      listen: [
        { host: HOST, port: 0, http2: { maxStreams: 50, maxResets: 10 } },
        { host: HOST, port: 0, http2: { maxStreams: 5 } },
      ],
      accessLog: { enabled: true, file: 'access.log' },
    },
    files: { 'all.yaml': fleet() },
  });
  url = gateway.url;
});

/** No test leaves anything behind. */
afterEach(async () => {
  for (const client of clients.splice(0)) client.session.destroy();
  for (const { socket } of sockets.upgrades) socket.resetAndDestroy();
  sockets.upgrades.length = 0;
  plain.clear();
  await until(async () => (await metric('aya_upgrades_active')) === 0, 'no tunnel open');
  await until(async () => (await metric('aya_requests_in_flight')) === 0, 'no request in flight');
});

function fleet() {
  const health = { passive: false };
  return {
    pools: {
      sockets: { endpoints: [sockets.url], health },
      plain: { endpoints: [plain.url], health },
    },
    routes: [
      { name: 'all', match: { path: '/*', methods: ['GET'] }, pool: 'sockets' },
      { name: 'plain', match: { path: '/plain/*' }, pool: 'plain', compress: {}, cache: { ttl: '1h' } },
      { name: 'none', match: { path: '/none/*' }, pool: 'sockets', websocket: false },
      {
        name: 'inspected',
        match: { path: '/inspected/*' },
        pool: 'sockets',
        websocket: { inspect: { maxMessage: '1MiB', messages: 'text', reconnect: {} } },
      },
      { name: 'private', match: { path: '/private/*' }, pool: 'sockets', auth: { apiKey: {} } },
      {
        name: 'limited',
        match: { path: '/limited/*' },
        pool: 'sockets',
        rateLimit: { max: 1, per: '1h', by: 'route' },
      },
      { name: 'csrf', match: { path: '/csrf/*' }, pool: 'sockets', csrf: {} },
      { name: 'moved', match: { path: '/moved' }, redirect: { to: 'https://else.test/x' } },
      { name: 'brief', match: { path: '/brief/*' }, pool: 'sockets', websocket: { idle: '100ms' } },
      { name: 'short', match: { path: '/short/*' }, pool: 'sockets', websocket: { max: '150ms' } },
      { name: 'slow', match: { path: '/slow/*' }, pool: 'sockets', timeout: { head: '100ms' }, retry: false },
      {
        name: 'edited',
        match: { path: '/edited/*' },
        pool: 'sockets',
        headers: { request: { set: { 'x-env': 'test' } }, response: { set: { 'x-gateway': 'aya' } } },
      },
    ],
  };
}

async function metric(name: string): Promise<number> {
  const { body } = await gateway.admin('/metrics');
  const line = body.split('\n').find((text) => text.startsWith(name));
  return Number(line?.split(' ').at(-1) ?? NaN);
}

/** Of the latest upgrade, at the upstream. */
const latest = () => sockets.upgrades.at(-1)!.socket;

const CONNECT = [':method', 'CONNECT', ':protocol', 'websocket'];

interface StreamSocket {
  readonly stream: ClientHttp2Stream;
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  frames(): Frame[];
  received(): Buffer;
}

/** Opens a tunnel, or has the refusal's head. */
async function open(client: Http2Client, path: string, fields: readonly string[] = []): Promise<StreamSocket> {
  const stream = client.open([...CONNECT, ':path', path, 'sec-websocket-version', '13', ...fields]);
  let received: Buffer = Buffer.alloc(0);
  stream.on('data', (chunk: Buffer) => (received = Buffer.concat([received, chunk])));
  const headers = await within(
    new Promise<IncomingHttpHeaders>((resolve, reject) => {
      stream.on('response', resolve);
      stream.on('close', () => reject(new Error(`closed with ${stream.rstCode}`)));
    }),
    'the answer',
  );
  const status = Number(headers[':status']);
  return { stream, status, headers, received: () => received, frames: () => readFrames(received).frames };
}

/** The whole answer to a CONNECT that opens nothing. */
const refused = (client: Http2Client, fields: readonly string[], options = {}) =>
  answerOf(client.open([...CONNECT, ...fields], options));

const clients: Http2Client[] = [];

async function connect(): Promise<Http2Client> {
  const client = await Http2Client.connect(url);
  clients.push(client);
  return client;
}

async function repeated(socket: StreamSocket, text: string): Promise<string | undefined> {
  const before = socket.frames().length;
  socket.stream.write(frame(TEXT, text, { masked: true }));
  await until(() => socket.frames().length > before, 'the echo');
  return socket.frames().at(-1)?.payload.toString();
}

describe('a handshake', () => {
  it('is offered, and reaches the upstream as one of HTTP/1.1 with a key of our own', async () => {
    const client = await connect();
    expect(client.session.remoteSettings.enableConnectProtocol).toBe(true);
    const fields = [':authority', 'chat.test', 'sec-websocket-protocol', 'chat, other'];
    fields.push('sec-websocket-extensions', 'permessage-deflate', 'cookie', 'a=1', 'sec-websocket-key', 'mine');
    const first = await open(client, '/extended?a=1', fields);
    const { req } = sockets.upgrades[0]!;
    expect([req.method, req.url, req.httpVersion]).toEqual(['GET', '/extended?a=1', '1.1']);
    expect(req.headers).toMatchObject({
      host: 'chat.test',
      upgrade: 'websocket',
      connection: 'Upgrade',
      'sec-websocket-version': '13',
      'sec-websocket-protocol': 'chat, other',
      'sec-websocket-extensions': 'permessage-deflate',
      cookie: 'a=1',
      'x-forwarded-for': HOST,
      via: '2.0 aya',
    });
    expect(req.headers['sec-websocket-key']).toMatch(/^[A-Za-z0-9+/]{22}==$/);
    expect(req.rawHeaders.join('\n')).not.toMatch(/:protocol|content-length|transfer-encoding|^mine$/im);
    expect(first.headers).toMatchObject({
      ':status': 200,
      'sec-websocket-protocol': 'chat',
      'sec-websocket-extensions': 'permessage-deflate',
      'x-upstream': 'yes',
      'set-cookie': ['a=1'],
    });
    for (const name of ['sec-websocket-accept', 'upgrade', 'connection', 'content-length']) {
      expect(first.headers).not.toHaveProperty(name);
    }
    await open(client, '/hold');
    expect(sockets.upgrades[1]!.req.headers['sec-websocket-key']).not.toBe(req.headers['sec-websocket-key']);
  });

  it('has the edits of its route, both ways', async () => {
    const { headers } = await open(await connect(), '/edited/hold');
    expect(sockets.upgrades[0]?.req.headers['x-env']).toBe('test');
    expect(headers['x-gateway']).toBe('aya');
  });

  it('gets the first frame that the upstream sent with its 101, and interim answers before it', async () => {
    const client = await connect();
    const { frames } = await open(client, '/greeting');
    await until(() => frames().length === 1, 'the greeting');
    expect(frames()[0]?.payload.toString()).toBe('hello');
    const stream = client.open([...CONNECT, ':path', '/early']);
    const interim: unknown[] = [];
    stream.on('headers', (headers) => interim.push(headers[':status']));
    await within(new Promise((resolve) => stream.on('response', resolve)), 'the agreement');
    expect(interim).toEqual([103]);
  });

  it.each([301, 401, 404, 426, 503])('that the upstream answers with %i gets that answer', async (status) => {
    const client = await connect();
    const answer = await refused(client, [':path', `/${status}`]);
    expect({ ...answer, body: answer.body.toString() }).toMatchObject({ status, body: 'refused', code: 0 });
    expect(answer.headers['x-reason']).toBe('upstream');
    expect((await client.ask('/plain/x')).status).toBe(200);
  });

  it.each(['/200', '/204', '/plain/x'])('is not agreed to by a 2xx that is no 101: %s', async (path) => {
    const client = await connect();
    const stored = await client.ask('/plain/x');
    expect(stored.status).toBe(200);
    const answer = await refused(client, [':path', path, 'accept-encoding', 'gzip']);
    expect(answer.status).toBe(501);
    expect(answer.body.toString()).toContain('without switching');
    expect(await metric('aya_upgrades_active')).toBe(0);
    expect((await client.ask('/plain/x')).status).toBe(200);
  });

  it.each(['wrong', 'bare'])('that the upstream agrees to without proof is refused with 502: %s', async (how) => {
    const answer = await refused(await connect(), [':path', `/${how}`]);
    expect(answer.status).toBe(502);
    expect(answer.headers['proxy-status']).toContain('http_protocol_error');
  });

  it('finds 504 where the upstream says nothing, and nothing is left of it', async () => {
    expect((await refused(await connect(), [':path', '/slow/silent'])).status).toBe(504);
    await until(() => latest().resume().destroyed || latest().readableEnded, 'the upstream connection to end');
  });

  it('passes the hooks of its route first', async () => {
    const client = await connect();
    expect((await refused(client, [':path', '/private/hold'])).status).toBe(401);
    expect((await open(client, '/limited/hold')).status).toBe(200);
    expect((await refused(client, [':path', '/limited/hold'])).status).toBe(429);
    expect((await refused(client, [':path', '/csrf/hold', 'origin', 'https://evil.test'])).status).toBe(403);
    expect((await refused(client, [':path', '/moved'])).status).toBe(302);
    expect(sockets.upgrades).toHaveLength(1);
  });
});

describe('no tunnel', () => {
  it.each([
    ['a route without them', [':path', '/none/x'], 501],
    ['another protocol', [':path', '/x', ':protocol', 'connect-udp'], 501],
    ['a length', [':path', '/x', 'content-length', '0'], 400],
    ['a path that climbs', [':path', '/../../x%00'], 400],
    ['two hosts', [':path', '/x', ':authority', 'a.test', 'host', 'b.test'], 400],
  ])('for %s', async (_what, fields, status) => {
    const client = await connect();
    const answer = await refused(client, fields);
    expect(answer.status).toBe(status);
    expect(answer.headers['content-type']).toBe('application/problem+json');
    expect(sockets.upgrades).toHaveLength(0);
    expect((await client.ask('/plain/x')).status).toBe(200);
  });

  it('for a stream that its client has ended with the head, nor for a CONNECT to a host', async () => {
    const client = await connect();
    expect((await refused(client, [':path', '/x'], { endStream: true })).status).toBe(400);
    const stream = client.session.request({ ':method': 'CONNECT', ':authority': 'any.test:443' });
    expect((await answerOf(stream)).status).toBe(405);
    expect((await client.ask('/plain/x')).status).toBe(200);
  });

  it.each([
    ['another method', [':method', 'GET', ':path', '/x', ':scheme', 'http', ':protocol', 'websocket']],
    ['no path', [':method', 'CONNECT', ':scheme', 'http', ':protocol', 'websocket']],
    ['no scheme', [':method', 'CONNECT', ':path', '/x', ':protocol', 'websocket']],
    ['a path that is none', [':method', 'CONNECT', ':path', 'x', ':scheme', 'http', ':protocol', 'websocket']],
  ])('for %s: that is none of the protocol, and resets its stream', async (_what, fields) => {
    const connection = await H2Connection.open(gateway.port);
    connection.send(headers(1, pairs([...fields, ':authority', 'any.test', 'sec-websocket-version', '13']), 0));
    await until(() => connection.resets.has(1), 'the reset');
    expect(sockets.upgrades).toHaveLength(0);
    connection.socket.destroy();
  });

  it('and what was sent before the answer is no request, reaches nobody, and is bounded', async () => {
    const client = await connect();
    const stream = client.open([...CONNECT, ':path', '/slow/silent']);
    stream.write(Buffer.alloc(8 * 1024 * 1024));
    const answer = await answerOf(stream);
    expect(answer.status).toBe(504);
    expect(stream.writableLength).toBeGreaterThan(0);
    expect(latest().bytesRead).toBeLessThan(2000);
    expect((await client.ask('/plain/x')).status).toBe(200);
  });
});

describe('an open tunnel', () => {
  it('passes every byte as it is, both ways, also what came before the agreement', async () => {
    const client = await connect();
    const sent = Buffer.from(Array.from({ length: 300_000 }, (_, at) => (at * 7919) & 0xff));
    const stream = client.open([...CONNECT, ':path', '/bytes']);
    const chunks: Buffer[] = [];
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.write(sent.subarray(0, 1000));
    await within(new Promise((resolve) => stream.on('response', resolve)), 'the agreement');
    stream.end(sent.subarray(1000));
    await within(new Promise((resolve) => stream.on('close', resolve)), 'the end');
    expect(Buffer.concat(chunks).equals(sent)).toBe(true);
    expect(stream.rstCode).toBe(0);
  });

  it('stands beside others, and beside requests, on one connection', async () => {
    const client = await connect();
    const all = await Promise.all(Array.from({ length: 20 }, () => open(client, '/echo')));
    const echoes = await Promise.all(all.map((socket, at) => repeated(socket, `text ${at}`)));
    expect(echoes).toEqual(all.map((_, at) => `text ${at}`));
    expect((await client.ask('/plain/x')).status).toBe(200);
    expect(await metric('aya_upgrades_active')).toBe(20);
    expect(await metric('aya_connections{side="downstream"}')).toBeLessThan(5);
  });

  it('passes an end of one half on, and the other half goes on', async () => {
    const one = await open(await connect(), '/hold');
    const upstream = latest();
    one.stream.end(frame(TEXT, 'last words', { masked: true }));
    await until(() => upstream.resume().readableEnded, 'the end at the upstream');
    upstream.end(frame(TEXT, 'heard'));
    await until(() => one.stream.closed, 'the end');
    expect([one.frames()[0]?.payload.toString(), one.stream.rstCode]).toEqual(['heard', 0]);

    const two = await open(await connect(), '/hold');
    latest().end(frame(TEXT, 'bye'));
    await until(() => two.stream.readableEnded, 'the end at the client');
    let heard = 0;
    latest().on('data', (chunk: Buffer) => (heard += chunk.length));
    two.stream.end(Buffer.alloc(5000));
    await until(() => heard === 5000, 'what the client said after it');
    await until(() => two.stream.closed, 'the end');
    expect(two.stream.rstCode).toBe(0);
  });

  it('passes a reset on as a reset, both ways, and the connection stays', async () => {
    const client = await connect();
    const one = await open(client, '/hold');
    latest().resetAndDestroy();
    await until(() => one.stream.destroyed, 'the reset at the client');
    expect(one.stream.rstCode).toBe(CANCEL);
    expect((await client.ask('/plain/x')).status).toBe(200);

    const connection = await H2Connection.open(gateway.port);
    connection.send(headers(1, pairs([...CONNECT, ':path', '/hold', ':scheme', 'http', ':authority', 'any.test']), 0));
    await until(() => connection.of(Type.headers).length === 1, 'the agreement');
    const errors: unknown[] = [];
    const upstream = latest()
      .on('error', (error) => errors.push(error))
      .resume();
    connection.send(rstStream(1));
    await until(() => upstream.destroyed, 'the end at the upstream');
    expect(errors).toHaveLength(1);
    connection.socket.destroy();
  });

  it('is lost with its connection, which the upstream sees as a reset', async () => {
    const client = await connect();
    await Promise.all([open(client, '/hold'), open(client, '/hold')]);
    const errors: unknown[] = [];
    for (const { socket } of sockets.upgrades) socket.on('error', (error) => errors.push(error)).resume();
    client.session.destroy();
    await until(() => sockets.upgrades.every(({ socket }) => socket.destroyed), 'the ends at the upstream');
    expect(errors).toHaveLength(2);
  });

  it('lets the upstream wait when the client does not read, and loses nothing', async () => {
    const client = await connect();
    const { stream } = await open(client, '/hold');
    const size = 32 * 1024 * 1024;
    stream.removeAllListeners('data');
    stream.pause();
    const upstream = latest();
    upstream.write(Buffer.alloc(size, 7));
    const accepted = await settled(() => upstream.bytesWritten - upstream.writableLength);
    expect(accepted).toBeLessThan(24 * 1024 * 1024);
    expect((await client.ask('/plain/x')).status).toBe(200);
    let received = 0;
    stream.on('data', (chunk: Buffer) => (received += chunk.length));
    stream.resume();
    await until(() => received === size, 'all of it');
  });

  it('lets the client wait when the upstream does not read, and loses nothing', async () => {
    const { stream } = await open(await connect(), '/hold');
    const size = 32 * 1024 * 1024;
    const upstream = latest();
    upstream.pause();
    let isTaken = false;
    stream.write(Buffer.alloc(size, 7), () => (isTaken = true));
    await settled(() => upstream.bytesRead);
    expect(isTaken).toBe(false);
    let received = 0;
    upstream.on('data', (chunk: Buffer) => (received += chunk.length));
    upstream.resume();
    await until(() => received === size, 'all of it');
  });

  it('is closed with 1001 when it was silent for too long, and at its greatest age', async () => {
    for (const path of ['/brief/echo', '/short/echo']) {
      const client = await connect();
      const { stream, frames } = await open(client, path);
      if (path.startsWith('/brief')) stream.write(frame(PING, '', { masked: true }));
      await until(() => stream.readableEnded, 'the end');
      expect(frames().at(-1)).toMatchObject({ opcode: CLOSE, masked: false });
      expect(frames().at(-1)?.payload.readUInt16BE()).toBe(1001);
      stream.end();
      await until(() => stream.closed, 'the end of the stream');
      expect((await client.ask('/plain/x')).status).toBe(200);
    }
  });

  it('is reset, not closed, in the middle of a frame', async () => {
    const { stream, frames } = await open(await connect(), '/brief/hold');
    latest().write(frame(BINARY, Buffer.alloc(1000)).subarray(0, 500));
    await until(() => stream.destroyed, 'the reset');
    expect([frames(), stream.rstCode]).toEqual([[], CANCEL]);
  });

  it('may be reset as often as its client likes; what was not opened, only as often as any request', async () => {
    const client = await connect();
    for (let at = 0; at < 30; at++) {
      const { stream } = await open(client, '/hold');
      const closed = new Promise((resolve) => stream.on('close', resolve));
      stream.close(CANCEL);
      await closed;
    }
    expect((await client.ask('/plain/x')).status).toBe(200);
    const other = await connect();
    for (let at = 0; at < 30 && !other.isClosed; at++) {
      const stream = other.open([...CONNECT, ':path', '/silent']);
      const closed = new Promise((resolve) => stream.on('close', resolve));
      stream.close(CANCEL);
      await closed;
    }
    await until(() => other.isClosed, 'the end of the connection');
    expect(other.goaways).toEqual([11]);
  });

  it('is a stream of its connection: no more of them than that may have', async () => {
    const few = await Http2Client.connect(`http://${HOST}:${gateway.ports[1]}`);
    const all = Array.from({ length: 5 }, () => open(few, '/hold'));
    await Promise.all(all);
    const waiting = few.open([...CONNECT, ':path', '/hold']);
    await settled(() => sockets.upgrades.length);
    expect(sockets.upgrades).toHaveLength(5);
    waiting.close(CANCEL);
  });

  it('is one line of the access log when it is over, a GET that was answered with 101', async () => {
    const socket = await open(await connect(), '/echo?logged');
    const sent = frame(TEXT, 'twelve bytes', { masked: true });
    socket.stream.write(sent);
    await until(() => socket.frames().length === 1, 'the echo');
    socket.stream.close(CANCEL);
    const line = await until(async () => {
      const lines = (await readFile(join(gateway.dir, 'access.log'), 'utf8')).trim().split('\n');
      return lines
        .map((text) => JSON.parse(text) as Record<string, unknown>)
        .find(({ path, bytesIn }) => path === '/echo' && bytesIn === sent.length);
    }, 'the line');
    expect(line).toMatchObject({
      status: 101,
      method: 'GET',
      route: 'all',
      endpoint: sockets.url,
      bytesOut: frame(TEXT, 'twelve bytes').length,
      endedBy: 'client',
    });
    expect(line).not.toHaveProperty('error');
  });
});

describe('where messages are looked at', () => {
  it('they pass, in any size, as those of HTTP/1.1 do', async () => {
    const socket = await open(await connect(), '/inspected/echo', [
      'sec-websocket-protocol',
      'chat, other',
      'sec-websocket-extensions',
      'permessage-deflate',
    ]);
    expect(socket.headers).toMatchObject({ ':status': 200, 'sec-websocket-protocol': 'chat' });
    expect(socket.headers).not.toHaveProperty('sec-websocket-extensions');
    expect(socket.headers).not.toHaveProperty('sec-websocket-accept');
    for (const text of ['', 'short', 'x'.repeat(70_000), 'y'.repeat(1024 * 1024)]) {
      expect((await repeated(socket, text)) === text).toBe(true);
    }
    socket.stream.write(frame(CLOSE, Buffer.from([15, 161]), { masked: true }));
    await until(() => socket.stream.readableEnded, 'the answer to the close frame');
    expect(socket.frames().at(-1)).toMatchObject({ opcode: CLOSE, payload: Buffer.from([15, 161]) });
    socket.stream.end();
    await until(() => socket.stream.closed, 'the end');
    expect(socket.stream.rstCode).toBe(0);
  });

  it('what is refused is closed with its code, on its stream alone', async () => {
    const client = await connect();
    const other = await open(client, '/inspected/echo');
    for (const [sent, code] of [
      [frame(TEXT, 'x'.repeat(1024 * 1024 + 1), { masked: true }), 1009],
      [frame(BINARY, 'x', { masked: true }), 1003],
      [frame(TEXT, 'x'), 1002],
    ] as const) {
      const { stream, frames } = await open(client, '/inspected/echo');
      stream.write(sent);
      await until(() => frames().at(-1)?.payload.readUInt16BE() === code, `the close frame with ${code}`);
      stream.end();
      await until(() => stream.destroyed, 'the end');
    }
    expect(await repeated(other, 'still')).toBe('still');
  });

  it('a client stays when its endpoint goes, and an end is an end on the other side', async () => {
    const client = await connect();
    const socket = await open(client, '/inspected/echo');
    expect(await repeated(socket, 'one')).toBe('one');
    latest().resetAndDestroy();
    await until(() => sockets.upgrades.length === 2, 'the second endpoint');
    expect(await repeated(socket, 'two')).toBe('two');
    expect(sockets.upgrades[1]!.req.headers.upgrade).toBe('websocket');
    socket.stream.close(CANCEL);
    await until(() => latest().destroyed || latest().readableEnded, 'the end at the upstream');
    await until(async () => (await metric('aya_upgrades_active')) === 0, 'no tunnel open');
    const lost = await open(client, '/inspected/echo');
    client.session.destroy();
    await until(() => latest().destroyed || latest().readableEnded, 'the end at the upstream');
    expect(lost.status).toBe(200);
  });

  it('a side that does not read makes the other wait', async () => {
    const { stream } = await open(await connect(), '/inspected/hold');
    const messages = Buffer.concat(Array.from({ length: 200 }, () => frame(BINARY, Buffer.alloc(100_000))));
    stream.removeAllListeners('data');
    stream.pause();
    const upstream = latest();
    upstream.write(messages);
    const accepted = await settled(() => upstream.bytesWritten - upstream.writableLength);
    expect(accepted).toBeLessThan(messages.length - 1_000_000);
    let received = 0;
    stream.on('data', (chunk: Buffer) => (received += chunk.length));
    stream.resume();
    await until(() => received === messages.length, 'all of it');
  });
});

describe('the gateway', () => {
  it('keeps them through reloads, and at the end of its drain closes them with 1001', async () => {
    const own = await gatewayFixture({
      gateway: { drain: { delay: '0ms', timeout: '400ms' } },
      files: { 'all.yaml': fleet() },
    });
    const clients = [await Http2Client.connect(own.url), await Http2Client.connect(own.url)];
    const all = await Promise.all(Array.from({ length: 10 }, (_, at) => open(clients[at % 2]!, '/echo')));
    const deaf = await open(clients[0]!, '/echo');
    const looked = await open(clients[1]!, '/inspected/echo');
    await own.write('all.yaml', { pools: fleet().pools, routes: [] });
    expect((await own.reload()).status).toBe(200);
    expect(await repeated(all[3]!, 'after')).toBe('after');
    for (const { stream } of all) stream.on('end', () => stream.end());
    const closing = own.close();
    expect(await repeated(all[4]!, 'still')).toBe('still');
    expect(await closing).toMatchObject({ cut: 0 });
    for (const { frames } of [...all, deaf, looked]) expect(frames().at(-1)?.payload.readUInt16BE()).toBe(1001);
    await until(() => clients.every((client) => client.isClosed), 'the end of the connections');
    expect(all.map(({ stream }) => stream.rstCode)).toEqual(all.map(() => 0));
    await until(() => deaf.stream.destroyed, 'the end of the deaf one');
  });
});

describe.skipIf(!hasOpenssl(FILE))('behind TLS', () => {
  it('a client that knows how opens them beside its requests', async () => {
    const certificates = new Certificates();
    certificates.authority('ca');
    certificates.issue('api', { altNames: `IP:${HOST}` });
    const secured = await gatewayFixture({
      gateway: {
        listen: [
          { host: HOST, port: 0, tls: { cert: certificates.file('api.pem'), key: certificates.file('api.key') } },
        ],
      },
      files: { 'all.yaml': fleet() },
    });
    const ca = certificates.pem('ca');
    const client = await Http2Client.connect(`https://${HOST}:${secured.port}`, { ca });
    expect(await repeated(await open(client, '/echo', [':scheme', 'https']), 'over TLS')).toBe('over TLS');
    expect(sockets.upgrades.at(-1)!.req.headers['x-forwarded-proto']).toBe('https');

    const dispatcher = new Agent({ connect: { ca }, allowH2: true });
    const socket = new UndiciSocket(`wss://${HOST}:${secured.port}/echo`, { protocols: ['chat'], dispatcher });
    await within(
      new Promise((resolve, reject) => {
        socket.addEventListener('open', resolve);
        socket.addEventListener('error', reject);
      }),
      'the WebSocket',
    );
    expect([socket.protocol, sockets.upgrades.at(-1)!.req.headers.via]).toEqual(['chat', '2.0 aya']);
    const message = new Promise((resolve) => socket.addEventListener('message', ({ data }) => resolve(data)));
    socket.send('from undici');
    expect(await within(message, 'the echo')).toBe('from undici');
    const closed = new Promise<number>((resolve) => socket.addEventListener('close', ({ code }) => resolve(code)));
    socket.close(4001, 'done');
    expect(await within(closed, 'the end')).toBe(4001);
    await dispatcher.destroy();
  });
});

/** The value, once it no longer changes. */
async function settled(value: () => number): Promise<number> {
  let [before, same] = [-1, 0];
  await until(() => {
    same = value() === before ? same + 1 : 0;
    before = value();
    return same === 20;
  }, 'a value that stays');
  return before;
}

/** Of a flat list. */
const pairs = (flat: readonly string[]): Fields =>
  flat.flatMap((name, at) => (at % 2 === 0 ? [[name, flat[at + 1]!] as const] : []));
