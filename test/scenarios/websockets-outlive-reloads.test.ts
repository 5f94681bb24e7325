/** What happens to open WebSockets when something happens to the gateway; and where they are counted. */
import { readFile } from 'node:fs/promises';
import https from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { join } from 'node:path';
import { Agent, WebSocket as UndiciSocket } from 'undici';
import { describe, expect, it } from 'vitest';
import { Certificates, hasOpenssl } from '../support/certificates.ts';
import { cleanup } from '../support/cleanup.ts';
import { gatewayFixture, type GatewayFixture } from '../support/gateway.ts';
import { timed, until } from '../support/until.ts';
import {
  agree,
  BINARY,
  CLOSE,
  echoFrames,
  frame,
  openSocket,
  startSocketUpstream,
  TEXT,
  type OnSocket,
  type RawSocket,
} from '../support/web-socket.ts';

const hold: OnSocket = (socket, req) =>
  void socket
    .on('end', () => socket.end())
    .resume()
    .write(agree(req));

const fleet = (endpoints: readonly string[], route: object = {}, pool: object = {}) => ({
  pools: { sockets: { endpoints, health: { passive: false }, ...pool } },
  routes: [{ name: 'sockets', pool: 'sockets', retry: false, ...route }],
});

/** A text sent over the tunnel, as the upstream sends it back. */
async function repeated(socket: RawSocket, text: string): Promise<string | undefined> {
  const before = socket.frames().length;
  socket.connection.send(frame(TEXT, text, { masked: true }));
  await until(() => socket.frames().length > before, 'the echo');
  return socket.frames().at(-1)?.payload.toString();
}

async function metric(gateway: GatewayFixture, name: string): Promise<number> {
  const { body } = await gateway.admin('/metrics');
  const line = body.split('\n').find((text) => text.startsWith(name));
  return Number(line?.split(' ').at(-1) ?? NaN);
}

const noTunnels = (gateway: GatewayFixture) =>
  until(async () => (await metric(gateway, 'aya_upgrades_active')) === 0, 'no tunnel open');

describe('open WebSockets', () => {
  it('outlive any number of reloads, also those that take their route and their endpoint away', async () => {
    const old = await startSocketUpstream('old');
    const next = await startSocketUpstream('next');
    const gateway = await gatewayFixture({ files: { 'a.yaml': fleet([old.url]) } });
    const socket = await openSocket(gateway.port, '/echo');
    for (let at = 0; at < 5; at++) {
      await gateway.write('a.yaml', fleet([next.url], { name: `sockets-${at}` }));
      expect((await gateway.reload()).status).toBe(200);
      expect(await repeated(socket, `after ${at}`)).toBe(`after ${at}`);
    }
    const later = await openSocket(gateway.port, '/echo');
    expect([old.upgrades.length, next.upgrades.length]).toEqual([1, 1]);
    await gateway.write('a.yaml', fleet([next.url], { websocket: false }));
    await gateway.reload();
    expect((await openSocket(gateway.port, '/echo')).answer.status).toBe(200);
    expect(await repeated(later, 'still')).toBe('still');
    for (const { connection } of [socket, later]) connection.close();
    await noTunnels(gateway);
    // What the reloads replaced is given back with the last tunnel that held it.
    await until(() => old.open === 0, 'the old endpoint to be left');
  });

  it('hold the drain until its deadline, are closed with 1001 there, and end with it', async () => {
    const upstream = await startSocketUpstream('one', { hold });
    const gateway = await gatewayFixture({
      gateway: { threads: 2, drain: { delay: '0ms', timeout: '400ms' } },
      files: { 'a.yaml': fleet([upstream.url]) },
    });
    const sockets = await Promise.all(Array.from({ length: 20 }, () => openSocket(gateway.port, '/echo')));
    const inFrame = await openSocket(gateway.port, '/hold');
    upstream.upgrades.at(-1)!.socket.write(frame(BINARY, Buffer.alloc(9)).subarray(0, 5));
    await until(() => inFrame.connection.received.length === 5, 'half a frame');
    // As a client does that is told to go.
    for (const { connection } of sockets) connection.socket.on('end', () => connection.close());
    const { ms, value } = await timed(() => gateway.close());
    expect(value.cut).toBe(0);
    expect(ms).toBeGreaterThan(400);
    for (const { frames } of sockets) {
      expect(frames()).toHaveLength(1);
      expect(frames()[0]).toMatchObject({ opcode: CLOSE, fin: true, masked: false });
      expect(frames()[0]?.payload.readUInt16BE()).toBe(1001);
    }
    await until(() => inFrame.connection.closed === 'reset', 'the reset of what was in a frame');
    await until(() => upstream.open === 0, 'the upstream to be left');
  });

  it('that do not answer their 1001 do not hold the end for long', async () => {
    const upstream = await startSocketUpstream('one');
    const gateway = await gatewayFixture({
      gateway: { drain: { delay: '0ms', timeout: '100ms' } },
      files: { 'a.yaml': fleet([upstream.url]) },
    });
    const { frames } = await openSocket(gateway.port, '/echo');
    const { ms, value } = await timed(() => gateway.close());
    expect(ms).toBeLessThan(100 + 1_000 + 4_000);
    expect(value.cut).toBe(0);
    expect(frames()[0]?.payload.readUInt16BE()).toBe(1001);
  });

  it('do not hold the drain longer than they last', async () => {
    const upstream = await startSocketUpstream('one');
    const gateway = await gatewayFixture({
      gateway: { drain: { delay: '0ms', timeout: '1h' } },
      files: { 'a.yaml': fleet([upstream.url]) },
    });
    const socket = await openSocket(gateway.port, '/echo');
    const closed = gateway.close();
    expect(await repeated(socket, 'still served')).toBe('still served');
    socket.connection.send(frame(CLOSE, Buffer.from([3, 232]), { masked: true }));
    socket.connection.halfClose();
    expect(await closed).toMatchObject({ cut: 0 });
  });

  it('die with their thread, and with them what they counted', async () => {
    const upstream = await startSocketUpstream('one', { hold });
    const gateway = await gatewayFixture({ crashes: true, files: { 'a.yaml': fleet([upstream.url]) } });
    const sockets = await Promise.all(Array.from({ length: 5 }, () => openSocket(gateway.port, '/hold')));
    expect((await gateway.admin('/pools')).body).toMatch(/"inFlight":\s*5\b/);
    await gateway.threads[0]!.terminate();
    await until(() => gateway.logs.some(({ event }) => event === 'thread_restarted'), 'the new thread');
    await until(() => sockets.every(({ connection }) => connection.closed !== 'open'), 'the clients to notice');
    expect((await gateway.admin('/pools')).body).not.toMatch(/"inFlight":\s*5\b/);
    expect(await metric(gateway, 'aya_upgrades_active')).toBe(0);
    expect(await metric(gateway, 'aya_upgrades_total')).toBe(5);
    await until(() => upstream.open === 0, 'the upstream to be left');
    const again = await openSocket(gateway.port, '/hold');
    expect(again.answer.status).toBe(101);
    again.connection.close();
  });
});

describe('a WebSocket counts', () => {
  it('as a request in flight for the balancer, as long as it is open', async () => {
    const [one, two] = [await startSocketUpstream('one', { hold }), await startSocketUpstream('two', { hold })];
    const gateway = await gatewayFixture({
      files: { 'a.yaml': fleet([one.url, two.url], {}, { balance: 'least-connections' }) },
    });
    const open = async () => openSocket(gateway.port, '/hold');
    const sockets = [await open(), await open(), await open(), await open()];
    expect([one.upgrades.length, two.upgrades.length]).toEqual([2, 2]);
    // Those of one endpoint leave: the next go there.
    for (const { socket } of one.upgrades) socket.resetAndDestroy();
    await until(async () => (await metric(gateway, 'aya_upgrades_active')) === 2, 'two to be left');
    sockets.push(await open(), await open());
    expect([one.upgrades.length, two.upgrades.length]).toEqual([4, 2]);
    for (const { connection } of sockets) connection.close();
  });

  it('as a connection of its client, and takes none from the requests of its endpoint', async () => {
    const upstream = await startSocketUpstream('one', { hold });
    const gateway = await gatewayFixture({
      gateway: { listen: [{ host: '127.0.0.1', port: 0, limits: { connections: 4 } }] },
      files: { 'a.yaml': fleet([upstream.url], {}, { connections: { max: 1, pending: 0 } }) },
    });
    const sockets = [];
    for (let at = 0; at < 3; at++) sockets.push(await openSocket(gateway.port, '/hold'));
    expect(sockets.map(({ answer }) => answer.status)).toEqual([101, 101, 101]);
    const response = await fetch(`${gateway.url}/x`, { headers: { connection: 'close' } });
    expect(response.status).toBe(200);
    await response.text();
    await until(
      async () => (await metric(gateway, 'aya_connections{side="downstream"}')) === 3,
      'the request to be over',
    );
    sockets.push(await openSocket(gateway.port, '/hold'));
    expect((await openSocket(gateway.port, '/hold')).answer.status).toBe(503);
    for (const { connection } of sockets) connection.close();
  });

  it('as one line of the access log, when it is over', async () => {
    const upstream = await startSocketUpstream('one');
    const gateway = await gatewayFixture({
      gateway: { accessLog: { enabled: true, file: 'access.log' } },
      files: { 'a.yaml': fleet([upstream.url]) },
    });
    const socket = await openSocket(gateway.port, '/echo');
    const sent = frame(TEXT, 'twelve bytes', { masked: true });
    expect(await repeated(socket, 'twelve bytes')).toBe('twelve bytes');
    socket.connection.close();
    await noTunnels(gateway);
    await gateway.close();
    const lines = (await readFile(join(gateway.dir, 'access.log'), 'utf8')).trim().split('\n');
    expect(lines).toHaveLength(1);
    expect(JSON.parse(lines[0]!)).toMatchObject({
      status: 101,
      method: 'GET',
      path: '/echo',
      route: 'sockets',
      endpoint: upstream.url,
      attempts: 1,
      bytesIn: sent.length,
      bytesOut: frame(TEXT, 'twelve bytes').length,
      endedBy: 'client',
    });
    expect(JSON.parse(lines[0]!)).not.toHaveProperty('error');
  });

  it('as an answer of its endpoint, whatever becomes of it: resets eject nobody', async () => {
    const upstream = await startSocketUpstream('one', { hold });
    const gateway = await gatewayFixture({
      files: {
        'a.yaml': fleet([upstream.url], {}, { health: { passive: { consecutiveFailures: 1, ejectFor: '1h' } } }),
      },
    });
    for (let at = 0; at < 3; at++) {
      const { answer, connection } = await openSocket(gateway.port, '/hold');
      expect(answer.status).toBe(101);
      upstream.upgrades.at(-1)!.socket.resetAndDestroy();
      await until(() => connection.closed === 'reset', 'the reset');
    }
    expect(await metric(gateway, 'aya_upstream_attempts_total{pool="sockets"')).toBe(3);
    expect(await metric(gateway, 'aya_endpoint_available')).toBe(1);
  });
});

const FILE = 'test/scenarios/websockets-outlive-reloads.test.ts';

describe.skipIf(!hasOpenssl(FILE))('over TLS on both sides', () => {
  it('a WebSocket passes, is closed with 1001, and a lost upstream is no orderly end', async () => {
    const certificates = new Certificates();
    certificates.authority('ca');
    certificates.issue('both', { altNames: 'DNS:localhost,IP:127.0.0.1' });
    const [cert, key] = [certificates.pem('both'), certificates.pem('both', 'key')];
    const { url, open } = await startSecureUpstream(cert, key);
    const gateway = await gatewayFixture({
      gateway: {
        listen: [
          {
            host: '127.0.0.1',
            port: 0,
            tls: { cert: certificates.file('both.pem'), key: certificates.file('both.key') },
          },
        ],
        drain: { delay: '0ms', timeout: '100ms' },
      },
      files: { 'a.yaml': fleet([url], {}, { tls: { ca: certificates.file('ca.pem') } }) },
    });
    const dispatcher = new Agent({ connect: { ca: certificates.pem('ca') }, allowH2: false });
    cleanup(() => dispatcher.destroy());
    const connect = async () => {
      const socket = new UndiciSocket(`wss://localhost:${gateway.port}/echo`, { dispatcher });
      socket.binaryType = 'arraybuffer';
      await new Promise((resolve, reject) => {
        socket.addEventListener('open', resolve);
        socket.addEventListener('error', reject);
      });
      return socket;
    };
    const socket = await connect();
    const big = Buffer.alloc(1024 * 1024, 'abc');
    const back = new Promise<Buffer>((resolve) =>
      socket.addEventListener('message', ({ data }) => resolve(Buffer.from(data as ArrayBuffer))),
    );
    socket.send(big);
    expect((await back).equals(big)).toBe(true);

    const lost = await connect();
    const lostEnd = new Promise<number>((resolve) => lost.addEventListener('close', ({ code }) => resolve(code)));
    open.at(-1)!.destroy();
    expect(await lostEnd).toBe(1006);

    const end = new Promise<number>((resolve) => socket.addEventListener('close', ({ code }) => resolve(code)));
    await gateway.close();
    expect(await end).toBe(1001);
  });
});

async function startSecureUpstream(cert: string, key: string): Promise<{ url: string; open: Socket[] }> {
  const server = https.createServer({ cert, key });
  const open: Socket[] = [];
  server.on('upgrade', (req, socket, head) => {
    socket.on('error', () => {});
    open.push(socket as Socket);
    echoFrames(socket as Socket, req, head);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  cleanup(async () => {
    server.close();
    for (const socket of open) socket.destroy();
  });
  return { url: `https://127.0.0.1:${(server.address() as AddressInfo).port}`, open };
}
