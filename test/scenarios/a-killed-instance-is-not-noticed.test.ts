/** One of several instances is killed under load, as by kill -9, and comes back. */
import { expect, it } from 'vitest';
import { gatewayFixture } from '../support/gateway.ts';
import { startLoad } from '../support/load.ts';
import { timed, until } from '../support/until.ts';
import { slow, startUpstream, type Upstream } from '../support/upstream.ts';

/** @param retry over the route’s own */
async function startFleet(count: number, retry: object = {}): Promise<{ url: string; upstreams: Upstream[] }> {
  const names = Array.from({ length: count }, (_, at) => `orders-${at + 1}`);
  const upstreams = await Promise.all(names.map((name) => startUpstream(name, slow(5))));
  const { url } = await gatewayFixture({
    gateway: { accessLog: { enabled: false }, threads: 2 },
    files: {
      'orders.yaml': {
        pools: {
          orders: {
            endpoints: upstreams.map((upstream) => upstream.url),
            health: {
              active: { path: '/healthz', interval: '300ms', fastInterval: '100ms', timeout: '200ms' },
              passive: { ejectFor: '500ms' },
            },
          },
        },
        routes: [
          {
            name: 'orders',
            match: { path: '/orders/*' },
            pool: 'orders',
            retry: { attempts: 3, on: ['connect', 'reset'], ...retry },
          },
        ],
      },
    },
  });
  return { url, upstreams };
}

it.each([
  ['one of two is', 2, 1, {}],
  // In panic most tries meet a dead endpoint: that is more than the usual budget of 20 %.
  ['three of four are', 4, 3, { budget: '100%' }],
])('no GET is lost when %s killed, and none is slow', async (_, count, killed, retry) => {
  const { url, upstreams } = await startFleet(count, retry);
  const load = startLoad(url, { clients: 6, everyMs: 5 });
  await until(() => load.served > 100, 'load');
  for (const upstream of upstreams.slice(0, killed)) await upstream.kill();
  const atKill = load.served;
  await until(() => load.served > atKill + 200, 'load without it');
  await load.stop();
  expect(load.failures).toEqual([]);
  expect(load.slowestMs).toBeLessThan(2_000);
});

it('the instance is back in rotation soon after it is back', async () => {
  const { url, upstreams } = await startFleet(2);
  const [first] = upstreams as [Upstream];
  const load = startLoad(url, { clients: 4, everyMs: 5 });
  await until(() => (load.byInstance['orders-1'] ?? 0) > 20, 'both serve');
  await first.kill();
  const atKill = load.served;
  await until(() => load.served > atKill + 100, 'load without it');
  await first.revive();
  const before = load.byInstance['orders-1'] ?? 0;
  const { ms } = await timed(() => until(() => (load.byInstance['orders-1'] ?? 0) > before + 5, 'its return'));
  await load.stop();
  expect(load.failures).toEqual([]);
  expect(ms).toBeLessThan(6_000);
});

it('no POST is done twice: only those in flight at the kill may fail', async () => {
  const { url, upstreams } = await startFleet(2);
  const clients = 6;
  const load = startLoad(url, { clients, method: 'POST', everyMs: 5 });
  await until(() => load.served > 100, 'load');
  await upstreams[0]!.kill();
  const atKill = load.served;
  await until(() => load.served > atKill + 200, 'load without it');
  await load.stop();
  expect(load.failed).toBeLessThanOrEqual(clients);
  const bodies = upstreams
    .flatMap(({ seen }) => seen)
    .map(({ body }) => body.toString())
    .filter(Boolean);
  expect(bodies.length).toBe(new Set(bodies).size);
});
