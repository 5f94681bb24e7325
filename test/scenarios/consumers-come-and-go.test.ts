/** Who may call changes while traffic flows: nobody else can tell, and who may no longer is refused everywhere at once. */
import { scryptSync } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { createApiKey, type ApiKey } from '../../src/credentials/api-key.ts';
import { gatewayFixture, type GatewayFixture } from '../support/gateway.ts';
import { hasRedis, redisServer, type RedisServer } from '../support/redis.ts';
import { until } from '../support/until.ts';
import { startUpstream } from '../support/upstream.ts';

const THREADS = 2;

async function start(gateway: object = {}, consumers: object[] = []): Promise<GatewayFixture> {
  const upstream = await startUpstream('orders');
  const auth = { apiKey: {}, basic: {}, failures: false };
  return gatewayFixture({
    gateway: { threads: THREADS, ...gateway },
    files: {
      'orders.yaml': {
        pools: { orders: { endpoints: [upstream.url] } },
        routes: [{ name: 'orders', match: { path: '/orders/*' }, pool: 'orders', auth }],
      },
      '../consumers.d/steady.yaml': { consumers },
    },
  });
}

/** On a connection of its own each time, so that each thread gets some. */
const status = async ({ url }: GatewayFixture, fields: Record<string, string>) =>
  (await fetch(`${url}/orders/1`, { headers: { ...fields, connection: 'close' } })).status;
const withKey = (gateway: GatewayFixture, { key }: ApiKey) => status(gateway, { 'x-api-key': key });

async function onEveryThread(ask: () => Promise<number>): Promise<number[]> {
  const answers = await Promise.all(Array.from({ length: 16 * THREADS }, ask));
  return [...new Set(answers)];
}

const consumer = (name: string, ...keys: ApiKey[]) => ({
  name,
  apiKeys: keys.map(({ id, sha256 }) => ({ id, sha256 })),
});

function hashOf(password: string): string {
  const hash = scryptSync(password, 'saltsalt', 32, { N: 1024 });
  return `scrypt$1024$8$1$${Buffer.from('saltsalt').toString('base64url')}$${hash.toString('base64url')}`;
}

describe('files of consumers.d', () => {
  const steady = createApiKey('steady');
  let gateway: GatewayFixture;

  beforeAll(async () => {
    gateway = await start({}, [consumer('steady', steady)]);
  });

  it('that change under load lose no request of anybody else', async () => {
    const answers: number[] = [];
    let isOver = false;
    const load = Promise.all(
      Array.from({ length: 6 }, async () => {
        while (!isOver) answers.push(await withKey(gateway, steady));
      }),
    );
    for (let at = 0; at < 6; at++) {
      const key = createApiKey();
      await gateway.write('../consumers.d/others.yaml', { consumers: [consumer(`other-${at}`, key)] });
      expect((await gateway.reload()).status).toBe(200);
      expect(await withKey(gateway, key)).toBe(200);
    }
    await until(() => answers.length > 100, 'load behind the reloads');
    isOver = true;
    await load;
    expect([...new Set(answers)]).toEqual([200]);
  });

  it('that no longer hold a key or a password: it is refused on all threads', async () => {
    const [old, young] = [createApiKey('old'), createApiKey('young')];
    const basic = [{ username: 'ann', password: hashOf('open sesame') }];
    const password = { authorization: `Basic ${Buffer.from('ann:open sesame').toString('base64')}` };
    await gateway.write('../consumers.d/ann.yaml', { consumers: [{ ...consumer('ann', old, young), basic }] });
    expect((await gateway.reload()).status).toBe(200);
    expect(await onEveryThread(() => withKey(gateway, old))).toEqual([200]);
    expect(await onEveryThread(() => status(gateway, password))).toEqual([200]);

    await gateway.write('../consumers.d/ann.yaml', { consumers: [consumer('ann', young)] });
    expect((await gateway.reload()).status).toBe(200);
    expect(await onEveryThread(() => withKey(gateway, old))).toEqual([401]);
    expect(await onEveryThread(() => status(gateway, password))).toEqual([401]);
    expect(await onEveryThread(() => withKey(gateway, young))).toEqual([200]);
  });

  it('are taken up without being told', async () => {
    const key = createApiKey();
    await gateway.write('../consumers.d/new.yaml', { consumers: [consumer('new', key)] });
    await until(async () => (await withKey(gateway, key)) === 200, 'the new key');
  });

  it('that become wrong keep whom they held, and the metrics say so', async () => {
    await gateway.write('../consumers.d/steady.yaml', 'consumers:\n  - nme: steady\n');
    await gateway.reload();
    expect(await onEveryThread(() => withKey(gateway, steady))).toEqual([200]);
    const stale = 'aya_config_file_stale{file="consumers.d/steady.yaml"} 1';
    expect((await gateway.admin('/metrics')).body).toContain(stale);
  });
});

describe.skipIf(!hasRedis)('consumers of the store', () => {
  const put = (redis: RedisServer, value: { name: string; rateLimit?: unknown }, text = JSON.stringify(value)) =>
    redis.command('HSET', 'aya:consumers', value.name, text);
  const publish = (redis: RedisServer) => redis.command('PUBLISH', 'aya:consumers', 'x');

  it('are known from the first request on, come and go by a message, and survive the store', async () => {
    const redis = await redisServer();
    const [first, late] = [createApiKey('first'), createApiKey('late')];
    await put(redis, consumer('first', first));
    const gateway = await start({ store: redis.url });
    expect(await onEveryThread(() => withKey(gateway, first))).toEqual([200]);

    await put(redis, consumer('late', late));
    await publish(redis);
    await until(async () => (await withKey(gateway, late)) === 200, 'the late key');

    await redis.command('HDEL', 'aya:consumers', 'first');
    await publish(redis);
    await until(async () => (await withKey(gateway, first)) === 401, 'the refusal');
    await until(async () => (await onEveryThread(() => withKey(gateway, first))).join() === '401', 'it on all threads');

    await redis.kill();
    await until(() => gateway.logs.some(({ event }) => event === 'consumer_store_away'), 'the loss to be seen');
    expect(await onEveryThread(() => withKey(gateway, late))).toEqual([200]);
  });

  it('have the limits that they name, and without these no way in', async () => {
    const redis = await redisServer();
    const [named, lost] = [createApiKey(), createApiKey()];
    await put(redis, { ...consumer('named', named), rateLimit: 'plan' });
    await put(redis, { ...consumer('lost', lost), rateLimit: 'constructor' });
    const gateway = await start({ store: redis.url, rateLimits: { plan: { max: 1, per: '1h' } } });
    expect(await withKey(gateway, named)).toBe(200);
    expect(await withKey(gateway, named)).toBe(429);
    expect(await withKey(gateway, lost)).toBe(503);
  });

  it('that are wrong take nobody with them', async () => {
    const redis = await redisServer();
    const [key, other] = [createApiKey(), createApiKey()];
    const gateway = await start({ store: redis.url });
    await put(redis, { name: 'broken' }, '{"name":"broken","apiKeys":[{}]}');
    await put(redis, { name: 'no-json' }, '{');
    await put(redis, consumer('good', key));
    await put(redis, consumer('twin', other, key));
    await publish(redis);
    await until(async () => (await withKey(gateway, key)) === 200, 'the good one');
    expect(await withKey(gateway, other)).toBe(401);
    const refused = gateway.logs.filter(({ event }) => event === 'stored_consumer_refused');
    expect(refused.map(({ consumer: name }) => name)).toEqual(['broken', 'no-json', 'twin']);
  });

  it('that cannot be read at the start, or for a while, come when the store answers', async () => {
    const redis = await redisServer();
    const [filed, stored, late] = [createApiKey(), createApiKey(), createApiKey()];
    await put(redis, consumer('stored', stored));
    redis.pause();
    const gateway = await start({ store: redis.url }, [consumer('filed', filed)]);
    expect(await withKey(gateway, filed)).toBe(200);
    expect(await withKey(gateway, stored)).toBe(401);
    redis.resume();
    await until(async () => (await withKey(gateway, stored)) === 200, 'those of the store');

    await redis.kill();
    await redis.start();
    await put(redis, consumer('late', late));
    await until(async () => (await withKey(gateway, late)) === 200, 'what another Redis holds');
  });

  it('are told to a thread that replaces a dead one', async () => {
    const redis = await redisServer();
    const key = createApiKey();
    await put(redis, consumer('a', key));
    const upstream = await startUpstream('orders');
    const gateway = await gatewayFixture({
      gateway: { store: redis.url },
      crashes: true,
      files: {
        'a.yaml': {
          pools: { a: { endpoints: [upstream.url] } },
          routes: [{ name: 'a', pool: 'a', auth: { apiKey: {} } }],
        },
      },
    });
    await gateway.threads[0]!.terminate();
    const again = async () =>
      (await fetch(gateway.url, { headers: { 'x-api-key': key.key } }).catch(() => null))?.status;
    await until(async () => (await again()) === 200, 'the key on the new thread');
  });
});
