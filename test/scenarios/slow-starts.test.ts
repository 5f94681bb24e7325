/** Endpoints that join or come back are warmed up; a pool that starts as a whole is not. */
import { expect, it } from 'vitest';
import { gatewayFixture } from '../support/gateway.ts';
import { poolState, serve } from '../support/pools.ts';
import { until } from '../support/until.ts';
import { echo, slow, startUpstream, type Answer } from '../support/upstream.ts';

const service = (endpoints: readonly object[], more: object = {}) => ({
  pools: { orders: { endpoints, slowStart: '10m', ...more } },
  routes: [{ name: 'orders', match: { path: '/orders' }, pool: 'orders' }],
});

it.each(['least-connections', 'least-response-time', 'round-robin', 'random', { hash: 'header:x-user' }])(
  'with %j one that joins has little at first, in all threads; those who started with the pool had their share at once',
  async (balance) => {
    const [one, two, joining] = await Promise.all(['one', 'two', 'joining'].map((name) => startUpstream(name)));
    const written = [{ url: one!.url }, { url: two!.url }];
    const health = { passive: false };
    const gateway = await gatewayFixture({
      gateway: { threads: 2 },
      files: { 'orders.yaml': service(written, { balance, health }) },
    });
    const whole = await serve(gateway, '/orders', 30, 4);
    expect(whole.by['one']! / 120).toBeGreaterThan(0.3);
    expect(whole.by['two']! / 120).toBeGreaterThan(0.3);

    await gateway.write('orders.yaml', service([...written, { url: joining!.url }], { balance, health }));
    await gateway.reload();
    const { endpoints } = await poolState(gateway, 'orders');
    expect(endpoints.map(({ slowStart }) => slowStart?.share)).toEqual([undefined, undefined, 0.1]);
    const { by, statuses } = await serve(gateway, '/orders', 75, 4);
    expect(statuses.every((status) => status === 200)).toBe(true);
    // A tenth of its weight is 4.8 % of the pool; all of it would be a third.
    expect(by['joining'] ?? 0).toBeLessThan(0.12 * 300);
    expect((await gateway.admin('/metrics')).body).toMatch(/aya_endpoint_slow_start\{pool="orders",.*\} 0.1/);
  },
);

it('one that comes back cold is not stampeded, though it has the fewest connections', async () => {
  let cold = 0;
  /** Its first answers are slow, as in a process whose code is not compiled yet. */
  const warming: Answer = (...args) => (cold-- > 0 ? slow(400) : echo)(...args);
  const [one, two, returning] = await Promise.all([
    startUpstream('one', slow(5)),
    startUpstream('two', slow(5)),
    startUpstream('returning', (...args) => (args[0].url === '/healthz' ? echo : warming)(...args)),
  ]);
  const active = { path: '/healthz', interval: '100ms', fastInterval: '50ms', unhealthyAfter: 2, healthyAfter: 1 };
  const endpoints = [one!, two!, returning!].map(({ url }) => ({ url }));
  const gateway = await gatewayFixture({
    files: { 'orders.yaml': service(endpoints, { health: { active, passive: false } }) },
  });
  const state = async () => (await poolState(gateway, 'orders')).endpoints[2]!;
  await returning!.kill();
  await until(async () => (await state()).state === 'unhealthy', 'its end');
  cold = 20;
  await returning!.revive();
  await until(async () => (await state()).state === 'available', 'its return');
  expect((await state()).slowStart!.share).toBeLessThan(0.2);

  const { by, statuses } = await serve(gateway, '/orders', 40, 8);
  expect(statuses.every((status) => status === 200)).toBe(true);
  expect(by['returning'] ?? 0).toBeLessThan(320 / 3 / 3);
});
