/** Sessions that two gateways share: by what they both sign with, or through one Redis, also while that is away. */
import { beforeAll, describe, expect, it } from 'vitest';
import { gatewayFixture, type GatewayFixture } from '../support/gateway.ts';
import { hasRedis, redisServer, type RedisServer } from '../support/redis.ts';
import { until } from '../support/until.ts';
import { startUpstream, type Echo, type Upstream } from '../support/upstream.ts';

const NAMES = Array.from({ length: 8 }, (_, at) => `session-${at}`);

let upstreams: Upstream[];

const startGateways = (gateway: object, sticky: object, threadCounts = [2, 1]) => {
  const pool = { endpoints: upstreams.map(({ url }) => url), balance: 'random', sticky };
  const routes = [{ name: 'shop', match: { path: '/*' }, pool: 'shop' }];
  return Promise.all(
    threadCounts.map((threads) =>
      gatewayFixture({ gateway: { threads, ...gateway }, files: { 'shop.yaml': { pools: { shop: pool }, routes } } }),
    ),
  );
};

async function ask(gateway: GatewayFixture, headers: Readonly<Record<string, string>>) {
  const answer = await fetch(`${gateway.url}/`, { headers });
  expect(answer.status).toBe(200);
  return { instance: ((await answer.json()) as Echo).instance, set: answer.headers.getSetCookie() };
}

const homeOf = async (gateway: GatewayFixture, name: string) => (await ask(gateway, { 'x-session': name })).instance;

beforeAll(async () => {
  upstreams = await Promise.all(['a', 'b', 'c', 'd'].map((name) => startUpstream(name)));
});

it('two gateways with one secret believe each other’s cookies, and none of a third', async () => {
  const sticky = { cookie: 'aya-shop', ttl: '1h' };
  const gateways = await startGateways({ secret: 'of the whole fleet' }, sticky);
  const [stranger] = await startGateways({ secret: ['of somebody else: no'] }, sticky, [1]);
  for (let clients = 0; clients < 6; clients++) {
    const first = await ask(gateways[0]!, {});
    const cookie = first.set[0]!.split(';')[0]!;
    for (let sent = 0; sent < 6; sent++) {
      expect(await ask(gateways[sent % 2]!, { cookie })).toEqual({ instance: first.instance, set: [] });
    }
    expect((await ask(stranger!, { cookie })).set).toHaveLength(1);
  }
});

describe.skipIf(!hasRedis)('sessions in Redis', () => {
  let redis: RedisServer;
  let gateways: GatewayFixture[];

  beforeAll(async () => {
    redis = await redisServer();
    const store = { url: redis.url, timeout: '500ms' };
    gateways = await startGateways({ store }, { on: 'header:x-session', ttl: '10m' });
    await shared();
  });

  /** Until what one gateway decides is known to the other, in all threads. */
  async function shared(): Promise<void> {
    let round = 0;
    await until(
      async () => {
        round += 1;
        const names = Array.from({ length: 10 }, (_, at) => `probe-${round}-${at}`);
        const homes = await Promise.all(names.map((name) => homeOf(gateways[0]!, name)));
        const others = await Promise.all(names.map((name) => homeOf(gateways[1]!, name)));
        return homes.join() === others.join();
      },
      'sessions to be shared',
      20_000,
    );
  }

  it('are where they began, at whichever gateway', async () => {
    for (const name of NAMES) {
      const home = await homeOf(gateways[0]!, name);
      for (let sent = 0; sent < 6; sent++) expect(await homeOf(gateways[sent % 2]!, name)).toBe(home);
    }
    const keys = await redis.command('KEYS', 'aya:session:*');
    expect(keys).toContain('aya:session:');
    expect(keys).not.toContain('session-0');
  });

  it('that begin at both gateways at once end at one endpoint', async () => {
    for (const name of NAMES.map((each) => `twice-${each}`)) {
      await Promise.all(gateways.map((gateway) => homeOf(gateway, name)));
      await until(async () => {
        const homes = await Promise.all(gateways.map((gateway) => homeOf(gateway, name)));
        return homes[0] === homes[1];
      }, 'the two to agree');
    }
  });

  it('go on in each gateway while Redis hangs or is gone, without a failure, and together again when it is back', async () => {
    const homes = await Promise.all(NAMES.map((name) => homeOf(gateways[0]!, name)));
    redis.pause();
    const fresh = await Promise.all(NAMES.map((name) => homeOf(gateways[1]!, `hung-${name}`)));
    expect(await Promise.all(NAMES.map((name) => homeOf(gateways[1]!, `hung-${name}`)))).toEqual(fresh);
    redis.resume();
    await redis.kill();
    for (let round = 0; round < 3; round++) {
      for (const gateway of gateways) {
        expect(await Promise.all(NAMES.map((name) => homeOf(gateway, name)))).toEqual(homes);
      }
    }
    const alone = await Promise.all(NAMES.map((name) => homeOf(gateways[0]!, `alone-${name}`)));
    expect(await Promise.all(NAMES.map((name) => homeOf(gateways[0]!, `alone-${name}`)))).toEqual(alone);
    await redis.start();
    await shared();
  });

  it('take no nonsense that others have written there', async () => {
    await homeOf(gateways[0]!, 'nonsense');
    const keys = [...(await redis.command('KEYS', 'aya:session:*')).matchAll(/aya:session:[\w-]+/g)];
    for (const [key] of keys) await redis.command('SET', key, 'none of ours');
    const home = await homeOf(gateways[1]!, 'nonsense');
    for (let sent = 0; sent < 6; sent++) expect(await homeOf(gateways[1]!, 'nonsense')).toBe(home);
  });
});
