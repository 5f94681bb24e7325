/** Certificates by ACME of several gateways with one Redis: one orders, all prove, all show. */
import { connect, createServer, type AddressInfo } from 'node:net';
import { beforeAll, describe, expect, it } from 'vitest';
import { acmeFrom, acmeGateway, issued } from '../support/acme.ts';
import { cleanup } from '../support/cleanup.ts';
import { gatewayFixture, type GatewayFixture } from '../support/gateway.ts';
import { hasPebble, startPebble } from '../support/pebble.ts';
import { ask, request } from '../support/raw-client.ts';
import { hasRedis, redisServer } from '../support/redis.ts';
import { until } from '../support/until.ts';
import { closedPort, startUpstream, type Upstream } from '../support/upstream.ts';

const FILE = 'test/scenarios/acme-in-a-fleet.test.ts';
const HOST = '127.0.0.1';

describe.skipIf(!hasRedis || !hasPebble(FILE))('gateways with one store', () => {
  let upstream: Upstream;

  beforeAll(async () => {
    upstream = await startUpstream('users');
  });

  it('order one certificate: another than who orders proves it, and all show it', async () => {
    const redis = await redisServer();
    const fleet: GatewayFixture[] = [];
    // A balancer that only ever picks the gateway which has not ordered.
    const balancer = createServer((client) => {
      const other = fleet.find(({ logs }) => logs.every(({ event }) => event !== 'acme_order'));
      const server = connect(other!.port, HOST);
      client.pipe(server).pipe(client);
      for (const socket of [client, server]) socket.on('error', () => {});
    }).listen(0, HOST);
    await until(() => balancer.listening, 'the balancer');
    cleanup(async () => void balancer.close());
    const pebble = await startPebble({ httpPort: (balancer.address() as AddressInfo).port });
    const root = await pebble.root();
    const start = () => gatewayFixture(acmeGateway(acmeFrom(pebble), upstream, { store: redis.url }));
    fleet.push(...(await Promise.all([start(), start()])));
    const [one, other] = await Promise.all(fleet.map((gateway) => issued(gateway, root)));
    expect(one!.certificate.serialNumber).toBe(other!.certificate.serialNumber);
    expect(pebble.orders).toBe(1);
    await until(
      async () => (await redis.command('EXISTS', 'aya:acme:challenges')) === ':0\r\n',
      'no challenge to be left',
    );

    // A store that has forgotten everything learns it again, and who comes later orders nothing.
    await redis.kill();
    await redis.start();
    await until(async () => (await redis.command('HLEN', 'aya:acme')) !== ':0\r\n', 'the store to know', 15_000);
    const late = await start();
    expect((await issued(late, root)).certificate.serialNumber).toBe(one!.certificate.serialNumber);
    expect(pebble.orders).toBe(1);
  });

  it('answer what any of them was asked, and nothing else', async () => {
    const redis = await redisServer();
    // Nobody issues anything here.
    const acme = acmeFrom({ directory: `https://${HOST}:${await closedPort()}/dir` });
    const gateway = await gatewayFixture(acmeGateway(acme, upstream, { store: redis.url }));
    const answerOf = (token: string) => `${token}.${'k'.repeat(43)}`;
    const entry = (minutes: number, ...tokens: string[]) =>
      JSON.stringify({
        until: Date.now() + minutes * 60_000,
        answers: tokens.map((token) => [token, answerOf(token)]),
      });
    const [live, old, bent] = ['live-token_0123456789', 'old-token_0123456789', '../../etc/passwd-012345'];
    const write = (name: string, text: string) => redis.command('HSET', 'aya:acme:challenges', name, text);
    await write('one', entry(5, live, bent));
    await write('two', entry(-1, old));
    await write('three', '{"until": 1e99, "answers": "none"}');
    await write('four', 'no JSON');
    await redis.command('INCR', 'aya:acme:version');
    const at = async (path: string, method = 'GET') => {
      const { responses } = await ask(gateway.port, request(method, path, 'any.test', ['Connection: close']));
      return { status: responses[0]!.status, body: responses[0]!.text() };
    };
    const below = '/.well-known/acme-challenge';
    await until(async () => (await at(`${below}/${live}`)).status === 200, 'the answer');
    expect(await at(`${below}/${live}?x=1`)).toEqual({ status: 200, body: answerOf(live) });
    const toRoutes: (readonly [string, string?])[] = [
      [`${below}/${old}`],
      [`${below}/unknown-token_0123456789`],
      [`${below}/${live}/`],
      [`${below}/${live}x`],
      [`${below}/`],
      [below],
      [`/x${below}/${live}`],
      [`${below}/constructor`],
      [`${below}/${live}`, 'POST'],
    ];
    for (const [path, method] of toRoutes)
      expect({ path, ...(await at(path, method)) }).toMatchObject({ path, status: 308 });
    expect((await at(`${below}/${bent}`)).status).not.toBe(200);
  });
});
