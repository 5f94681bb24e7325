/** Two gateways count together in one Redis: to the number, through its loss and its return. */
import { beforeAll, describe, expect, it } from 'vitest';
import { gatewayFixture, type GatewayFixture } from '../support/gateway.ts';
import { hasRedis, redisServer, type RedisServer } from '../support/redis.ts';
import { until } from '../support/until.ts';
import { startUpstream } from '../support/upstream.ts';

const SMALL = 50;
const LARGE = 2_000;

let redis: RedisServer;
let gateways: GatewayFixture[];

/** How many of so many requests of one caller were let pass, sent to both gateways, twenty at once. */
async function passed(path: string, caller: string, requests: number, on = gateways, refused = 429): Promise<number> {
  let count = 0;
  for (let sent = 0; sent < requests; sent += 20) {
    const answers = await Promise.all(
      Array.from({ length: 20 }, async (_, at) => {
        const answer = await fetch(on[(sent + at) % on.length]!.url + path, { headers: { 'x-caller': caller } });
        await answer.arrayBuffer();
        return answer.status;
      }),
    );
    for (const status of answers) expect([200, refused]).toContain(status);
    count += answers.filter((status) => status === 200).length;
  }
  return count;
}

/** How many threads of both can reach the store. */
async function threadsUp(): Promise<number> {
  const pages = await Promise.all(gateways.map((gateway) => gateway.admin('/metrics')));
  return pages.flatMap(({ body }) => [...body.matchAll(/^aya_store_up\{.*\} 1$/gm)]).length;
}

describe.skipIf(!hasRedis)('limits over two gateways', () => {
  beforeAll(async () => {
    const upstream = await startUpstream('counted');
    redis = await redisServer('--requirepass', 'hunter22');
    const limited = (name: string, rateLimit: object) => {
      return { name, match: { path: `/${name}` }, pool: 'counted', rateLimit: { by: 'header:x-caller', ...rateLimit } };
    };
    const file = {
      pools: { counted: { endpoints: [upstream.url] } },
      routes: [
        limited('small', { max: SMALL, per: '1h' }),
        limited('large', { max: LARGE, per: '1h', algorithm: 'sliding-window' }),
        limited('daily', { quota: { max: SMALL, per: 'day' } }),
        limited('strict', { max: SMALL, per: '1h', onStoreFailure: 'deny' }),
      ],
    };
    const store = { url: `redis://:hunter22@127.0.0.1:${redis.port}`, timeout: '1s' };
    gateways = await Promise.all(
      [2, 1].map((threads) => gatewayFixture({ gateway: { threads, store }, files: { 'counted.yaml': file } })),
    );
  });

  it.each(['/small', '/daily'])('%s lets exactly its limit pass', async (path) => {
    expect(await passed(path, 'anna', SMALL * 3)).toBe(SMALL);
  });

  it('lets a large one pass within 1 % of it', async () => {
    const count = await passed('/large', 'anna', LARGE * 1.2);
    expect(count).toBeLessThanOrEqual(LARGE);
    expect(count).toBeGreaterThanOrEqual(LARGE * 0.99);
  });

  it('says in metrics how limits were decided, and nowhere the password', async () => {
    const { body } = await gateways[0]!.admin('/metrics');
    expect(body).toMatch(/aya_shared_limit_decisions_total\{from="store"\} \d/);
    expect(body).toMatch(/aya_shared_limit_decisions_total\{from="lease"\} \d/);
    expect(body).toMatch(/aya_store_round_trips_total\{result="ok"\} \d/);
    const shown = await gateways[0]!.admin('/config');
    expect(shown.body).toContain(`redis://[redacted]@127.0.0.1:${redis.port}`);
    expect(shown.body + body + JSON.stringify(gateways[0]!.logs)).not.toContain('hunter22');
  });

  it('counts alone while Redis is away, and together again when it is back', async () => {
    expect(await threadsUp()).toBe(3);
    await redis.kill();
    await until(async () => (await threadsUp()) === 0, 'the loss to be noticed');
    for (const gateway of gateways) expect(await passed('/small', 'bert', SMALL * 2, [gateway])).toBe(SMALL);
    // Not too many: nobody knows.
    expect(await passed('/strict', 'bert', 20, gateways, 503)).toBe(0);

    await redis.start();
    await until(async () => (await threadsUp()) === 3, 'all threads to be back', 15_000);
    expect(await passed('/small', 'carla', SMALL * 3)).toBe(SMALL);
    expect(await passed('/strict', 'carla', SMALL * 3)).toBe(SMALL);
  });

  it('keeps its store until a restart', async () => {
    const listen = [{ host: '127.0.0.1', port: 0 }];
    const rest = { threads: 2, accessLog: { enabled: false }, drain: { delay: '0ms', timeout: '5s' } };
    await gateways[0]!.write('../gateway.yaml', { listen, ...rest, store: 'memory' });
    await gateways[0]!.reload();
    expect(gateways[0]!.logs).toContainEqual(expect.objectContaining({ event: 'restart_needed', key: 'store' }));
    expect(await passed('/small', 'dora', SMALL * 3)).toBe(SMALL);
  });
});
