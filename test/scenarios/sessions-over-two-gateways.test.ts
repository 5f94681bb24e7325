/** Sessions that two gateways share: by what they both sign with, or through one Redis, also while that is away. */
import { beforeAll, describe, expect, it } from 'vitest';
import { gatewayFixture, type GatewayFixture } from '../support/gateway.ts';
import { hasRedis, redisServer, type RedisServer } from '../support/redis.ts';
import { until } from '../support/until.ts';
import { startUpstream, type Echo, type Upstream } from '../support/upstream.ts';

const NAMES = Array.from({ length: 8 }, (_, at) => `session-${at}`);

const COOKIE = { cookie: 'aya-shop', ttl: '1h' };
const TABLE = { on: 'header:x-session', ttl: '10m' };

let upstreams: Upstream[];
let redis: RedisServer | undefined;
let gateways: GatewayFixture[];

beforeAll(async () => {
  upstreams = await Promise.all(['a', 'b', 'c', 'd'].map((name) => startUpstream(name)));
  const endpoints = upstreams.map(({ url }) => url);
  const file = {
    pools: {
      told: { endpoints, balance: 'random', sticky: COOKIE },
      kept: { endpoints, balance: 'random', sticky: TABLE },
    },
    routes: ['told', 'kept'].map((name) => ({ name, match: { path: `/${name}` }, pool: name })),
  };
  redis = hasRedis ? await redisServer() : undefined;
  const store = redis === undefined ? 'memory' : { url: redis.url, timeout: '500ms' };
  gateways = await Promise.all(
    [2, 1].map((threads) =>
      gatewayFixture({ gateway: { threads, store, secret: 'of the whole fleet' }, files: { 'shop.yaml': file } }),
    ),
  );
});

async function ask(gateway: GatewayFixture, path: string, headers: Readonly<Record<string, string>> = {}) {
  const answer = await fetch(gateway.url + path, { headers });
  expect(answer.status).toBe(200);
  return { instance: ((await answer.json()) as Echo).instance, set: answer.headers.getSetCookie() };
}

const homeOf = async (gateway: GatewayFixture, name: string) =>
  (await ask(gateway, '/kept', { 'x-session': name })).instance;

it('two gateways with one secret believe each other’s cookies', async () => {
  for (let clients = 0; clients < 6; clients++) {
    const first = await ask(gateways[clients % 2]!, '/told');
    const cookie = first.set[0]!.split(';')[0]!;
    for (let sent = 0; sent < 6; sent++) {
      expect(await ask(gateways[sent % 2]!, '/told', { cookie })).toEqual({ instance: first.instance, set: [] });
    }
  }
});

describe.skipIf(!hasRedis)('sessions in Redis', () => {
  beforeAll(() => shared());

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
    const keys = await redis!.command('KEYS', 'aya:session:*');
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
    redis!.pause();
    const fresh = await Promise.all(NAMES.map((name) => homeOf(gateways[1]!, `hung-${name}`)));
    expect(await Promise.all(NAMES.map((name) => homeOf(gateways[1]!, `hung-${name}`)))).toEqual(fresh);
    redis!.resume();
    await redis!.kill();
    for (let round = 0; round < 3; round++) {
      for (const gateway of gateways) {
        expect(await Promise.all(NAMES.map((name) => homeOf(gateway, name)))).toEqual(homes);
      }
    }
    const alone = await Promise.all(NAMES.map((name) => homeOf(gateways[0]!, `alone-${name}`)));
    expect(await Promise.all(NAMES.map((name) => homeOf(gateways[0]!, `alone-${name}`)))).toEqual(alone);
    await redis!.start();
    await shared();
  });

  it('take no nonsense that others have written there', async () => {
    await homeOf(gateways[0]!, 'nonsense');
    const keys = [...(await redis!.command('KEYS', 'aya:session:*')).matchAll(/aya:session:[\w-]+/g)];
    for (const [key] of keys) await redis!.command('SET', key, 'none of ours');
    const home = await homeOf(gateways[1]!, 'nonsense');
    for (let sent = 0; sent < 6; sent++) expect(await homeOf(gateways[1]!, 'nonsense')).toBe(home);
  });
});
