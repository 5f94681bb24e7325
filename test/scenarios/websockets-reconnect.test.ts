/** What becomes of inspected WebSockets when their endpoint goes, or the gateway, or they themselves at any moment. */
import { createServer as createSecureServer } from 'node:https';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { Certificates, hasOpenssl } from '../support/certificates.ts';
import { gatewayFixture, type GatewayFixture } from '../support/gateway.ts';
import { until } from '../support/until.ts';
import { openWs, startWsService, type OnWs, type WsClient, type WsService } from '../support/ws.ts';

let gateway: GatewayFixture;
let count = 0;

const health = { passive: false };
const at = (path: string, { port } = gateway) => `ws://127.0.0.1:${port}${path}`;
const closed = (client: WsClient) => until(() => client.closed, 'the end at the client');

beforeAll(async () => {
  gateway = await gatewayFixture({ files: {} });
});

async function metric(name: string, { admin }: GatewayFixture = gateway): Promise<number> {
  const { body } = await admin('/metrics');
  const line = body.split('\n').find((text) => text.startsWith(name));
  return Number(line?.split(' ').at(-1) ?? NaN);
}

const nothingLeft = async () => {
  await until(async () => (await metric('aya_upgrades_active')) === 0, 'no link open');
  await until(async () => (await metric('aya_requests_in_flight')) === 0, 'no request in flight');
};

/** A route of its own to two services. @returns where it is, and them. */
async function pair(reconnect: object, onSocket?: OnWs) {
  const name = `r${count++}`;
  const services = await Promise.all([startWsService('a', onSocket), startWsService('b', onSocket)]);
  const route = { name, match: { path: `/${name}` }, pool: name, retry: false, websocket: { inspect: { reconnect } } };
  const pools = { [name]: { endpoints: services.map(({ url }) => url), health } };
  await gateway.write(`${name}.yaml`, { pools, routes: [route] });
  expect((await gateway.reload()).status).toBe(200);
  /** The one that a client is at, and the other. */
  const sides = (): [WsService, WsService] => {
    const [a, b] = services as [WsService, WsService];
    return a.sockets.length > 0 ? [a, b] : [b, a];
  };
  return { url: at(`/${name}`), services, sides };
}

describe('an endpoint that breaks off', () => {
  it('is replaced by another, and the client stays, with its subprotocol and its fields', async () => {
    const { url, sides } = await pair({ interval: '100ms' });
    const client = await openWs(`${url}?x=1`, ['chat'], { headers: { cookie: 'a=1' } });
    const [first, second] = sides();
    client.socket.send('1');
    await until(() => client.messages.length === 1, 'the first echo');
    await first.die();
    for (const text of ['2', '3', '4']) client.socket.send(text);
    await until(() => client.messages.length === 4, 'the others');
    expect(client.messages).toEqual([`${first.name}:1`, ...['2', '3', '4'].map((text) => `${second.name}:${text}`)]);
    const { req, socket } = second.sockets[0]!;
    expect(socket.protocol).toBe('chat');
    expect(req.url).toMatch(/\?x=1$/);
    expect(req.headers).toMatchObject({ cookie: 'a=1', 'x-forwarded-for': '127.0.0.1' });
    expect(await metric('aya_upgrades_active')).toBe(1);
    client.socket.close(1000);
    await until(() => second.sockets[0]!.closed === 1000, 'the end upstream');
    await nothingLeft();
  });

  it.each([1001, 1012, 1013])('in good order is replaced too: %i', async (code) => {
    const { url, sides } = await pair({ interval: '100ms' });
    const client = await openWs(url);
    const [first, second] = sides();
    first.sockets[0]!.socket.close(code);
    await until(() => first.sockets[0]!.closed !== undefined, 'its end');
    client.socket.send('x');
    // The first is there still; it is avoided because it has just gone.
    await until(() => client.messages.length === 1, 'an answer');
    expect(client.messages).toEqual([`${second.name}:x`]);
  });

  it('gets no message that comes while it is leaving: the next one does', async () => {
    let isFirst = true;
    const { url, sides } = await pair({ interval: '100ms' }, (socket) => {
      socket.on('message', (data: Buffer) => socket.send(`got ${data.toString()}`));
      if (!isFirst) return;
      isFirst = false;
      socket.close(1012);
      // The close handshake hangs for a moment: its end is not read.
      socket.pause();
      setTimeout(() => socket.terminate(), 100);
    });
    const client = await openWs(url);
    for (let index = 0; index < 20; index++) client.socket.send(`m${index}`);
    await until(() => client.messages.length === 20, 'all of them');
    expect(client.messages).toEqual(Array.from({ length: 20 }, (_, index) => `got m${index}`));
    expect(sides().map(({ sockets }) => sockets.length)).toEqual([1, 1]);
  });

  it.each([1000, 1008, 1011, 4000])('on purpose is not replaced: %i', async (code) => {
    const { url, sides } = await pair({ interval: '100ms' });
    const client = await openWs(url);
    const [first, second] = sides();
    first.sockets[0]!.socket.close(code);
    expect((await closed(client))?.code).toBe(code);
    expect(second.sockets).toEqual([]);
  });

  it('leaves the client with 1013 when there is no other', async () => {
    const { url, services } = await pair({ interval: '100ms', attempts: 2 });
    const client = await openWs(url);
    await Promise.all(services.map((service) => service.die()));
    expect((await closed(client))?.code).toBe(1013);
    await nothingLeft();
  });

  it('again and again leaves the client with 1013', async () => {
    const { url, services } = await pair({ interval: '100ms', attempts: 3 }, (socket) => socket.terminate());
    const client = await openWs(url);
    expect((await closed(client))?.code).toBe(1013);
    expect(services[0]!.sockets.length + services[1]!.sockets.length).toBe(4);
    await nothingLeft();
  });

  it('is not replaced for a client that leaves meanwhile', async () => {
    const { url, sides } = await pair({ interval: '300ms' });
    const client = await openWs(url);
    const [first, second] = sides();
    await first.die();
    client.socket.terminate();
    await nothingLeft();
    expect(second.sockets.every(({ closed }) => closed !== undefined)).toBe(true);
  });
});

describe('inspected WebSockets', () => {
  it('outlive reloads, and end with 1001 at the deadline of a drain', async () => {
    const service = await startWsService('one');
    const pools = { one: { endpoints: [service.url], health } };
    const routes = (name: string) => [{ name, pool: 'one', websocket: { inspect: {} } }];
    const mine = await gatewayFixture({
      gateway: { drain: { delay: '0ms', timeout: '200ms' } },
      files: { 'a.yaml': { pools, routes: routes('first') } },
    });
    const client = await openWs(at('/', mine));
    for (let reload = 1; reload <= 3; reload++) {
      await mine.write('a.yaml', { pools, routes: routes(`r${reload}`) });
      expect((await mine.reload()).status).toBe(200);
      client.socket.send('x');
      await until(() => client.messages.length === reload, 'the echo');
    }
    const summary = mine.close();
    expect((await closed(client))?.code).toBe(1001);
    expect((await summary).cut).toBe(0);
  });

  it('end at any moment without harm', async () => {
    const { url, services } = await pair({ interval: '100ms' });
    const random = seeded(7);
    const latest = () => services.map(({ sockets }) => sockets.at(-1)?.socket);
    const nonsense = Buffer.from([0xff, 0xff, 0xff]);
    const ends: ((client: WsClient) => void)[] = [
      ({ socket }) => socket.terminate(),
      ({ socket }) => socket.close(1000),
      ({ socket }) => void socket._socket.end(),
      ({ socket }) => void socket._socket.write(nonsense),
      () => latest().forEach((socket) => socket?.terminate()),
      () => latest().forEach((socket) => socket?._socket.write(nonsense)),
    ];
    for (let round = 0; round < 60; round++) {
      const client = await openWs(url);
      for (let left = Math.floor(random() * 4); left > 0; left--) client.socket.send('x'.repeat(random() * 50_000));
      ends[round % ends.length]!(client);
      if (random() < 0.5) ends[Math.floor(random() * ends.length)]!(client);
      client.socket.terminate();
    }
    await nothingLeft();
    const after = await openWs(url);
    after.socket.send('still');
    await until(() => after.messages.length === 1, 'the echo');
  });
});

describe.skipIf(!hasOpenssl(fileURLToPath(import.meta.url)))('over TLS on both sides', () => {
  it('an inspected WebSocket passes, and no endpoint that cannot prove who it is takes one over', async () => {
    const certificates = new Certificates();
    certificates.authority('ca');
    certificates.authority('other');
    for (const [name, issuer] of [
      ['good', 'ca'],
      ['forged', 'other'],
    ] as const) {
      certificates.issue(name, { altNames: 'DNS:localhost,IP:127.0.0.1', by: issuer });
    }
    const secure = (name: string) =>
      createSecureServer({ cert: certificates.pem(name), key: certificates.pem(name, 'key') });
    const good = await startWsService('good', undefined, secure('good'));
    const forged = await startWsService('forged', undefined, secure('forged'));
    const pool = { endpoints: [good.url, forged.url], health, tls: { ca: certificates.file('ca.pem') } };
    const websocket = { inspect: { reconnect: { interval: '100ms', attempts: 2 } } };
    const mine = await gatewayFixture({
      gateway: {
        listen: [
          {
            host: '127.0.0.1',
            port: 0,
            tls: { cert: certificates.file('good.pem'), key: certificates.file('good.key') },
          },
        ],
      },
      files: { 'a.yaml': { pools: { secure: pool }, routes: [{ name: 'all', pool: 'secure', websocket }] } },
    });
    const client = await openWs(`wss://localhost:${mine.port}/`, [], { ca: certificates.pem('ca') });
    const big = Buffer.alloc(700_000, 'abc');
    client.socket.send(big);
    await until(() => client.messages.length === 1, 'the echo');
    expect(big.equals(client.messages[0] as Buffer)).toBe(true);
    await good.die();
    expect((await closed(client))?.code).toBe(1013);
    expect(forged.sockets).toEqual([]);
  });
});

function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
    return state / 2 ** 31;
  };
}
