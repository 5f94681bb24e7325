/** Redis that hangs, takes no writes, or is gone: requests are decided without it, as the limit says, and none waits for it. */
import { beforeAll, describe, expect, it } from 'vitest';
import { gatewayFixture, type GatewayFixture } from '../support/gateway.ts';
import { RawConnection, request } from '../support/raw-client.ts';
import { hasRedis, redisServer, type RedisServer } from '../support/redis.ts';
import { until } from '../support/until.ts';
import { startUpstream } from '../support/upstream.ts';

const MAX = 10;

let redis: RedisServer;
let gateway: GatewayFixture;

/** How many of each status come of so many requests at once. */
async function burst(path: string, caller: string, count: number): Promise<Record<number, number>> {
  const found: Record<number, number> = {};
  await Promise.all(
    Array.from({ length: count }, async () => {
      const connection = await RawConnection.open(gateway.port);
      connection.send(request('GET', path, 'any.test', [`X-Caller: ${caller}`]));
      const { status } = await connection.answer();
      connection.close();
      found[status] = (found[status] ?? 0) + 1;
    }),
  );
  return found;
}

const isUp = async () => /^aya_store_up\{.*\} 1$/m.test((await gateway.admin('/metrics')).body);

describe.skipIf(!hasRedis)('a store that', () => {
  beforeAll(async () => {
    const upstream = await startUpstream('limited');
    redis = await redisServer();
    const limited = (onStoreFailure: string) => ({
      name: onStoreFailure,
      match: { path: `/${onStoreFailure}` },
      pool: 'limited',
      rateLimit: { max: MAX, per: '1h', by: 'header:x-caller', onStoreFailure },
    });
    gateway = await gatewayFixture({
      gateway: { threads: 1, store: { url: redis.url } },
      files: {
        'limited.yaml': {
          pools: { limited: { endpoints: [upstream.url] } },
          routes: ['local', 'allow', 'deny'].map(limited),
        },
      },
    });
    await until(isUp, 'the store');
  });

  it.each([
    ['hangs', () => redis.pause(), () => redis.resume()],
    [
      'takes no writes',
      () => redis.command('REPLICAOF', '127.0.0.1', '1'),
      () => redis.command('REPLICAOF', 'NO', 'ONE'),
    ],
    ['is gone', () => redis.kill(), () => redis.start()],
  ])(
    '%s is not waited for: each limit decides as it says, and counts there again afterwards',
    async (how, fail, mend) => {
      await fail();
      // All of it while the store still fails: whoever waited for it would get no answer.
      expect(await burst('/local', how, MAX * 3)).toEqual({ 200: MAX, 429: MAX * 2 });
      expect(await burst('/allow', how, MAX * 3)).toEqual({ 200: MAX * 3 });
      expect(await burst('/deny', how, MAX * 3)).toEqual({ 503: MAX * 3 });
      await mend();
      await until(isUp, 'the store to be back', 15_000);
      await until(async () => (await burst('/deny', `${how}, mended`, 1))[200] === 1, 'its decisions', 15_000);
    },
  );
});
