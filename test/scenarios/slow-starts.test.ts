/** Endpoints that join or come back are warmed up; a pool that starts as a whole is not. */
import { beforeAll, describe, expect, it } from 'vitest';
import { gatewayFixture, type GatewayFixture } from '../support/gateway.ts';
import { poolState, serve } from '../support/pools.ts';
import { until } from '../support/until.ts';
import { echo, slow, startUpstream, type Answer, type Upstream } from '../support/upstream.ts';

const BALANCES = ['least-connections', 'least-response-time', 'round-robin', 'random', { hash: 'header:x-user' }];

const service = (endpoints: readonly object[], more: object = {}, name = 'orders') => ({
  pools: { [name]: { endpoints, slowStart: '10m', ...more } },
  routes: [{ name, match: { path: `/${name}` }, pool: name }],
});

describe('in a pool that started as a whole', () => {
  let gateway: GatewayFixture;
  let one: Upstream;
  let two: Upstream;
  let joining: Upstream;

  /** A pool of its own for each balancer. */
  const files = (...upstreams: readonly Upstream[]) => {
    const endpoints = upstreams.map(({ url }) => ({ url }));
    const health = { passive: false };
    const services = BALANCES.map((balance, at) => service(endpoints, { balance, health }, `pool-${at}`));
    return Object.fromEntries(services.map((each, at) => [`pool-${at}.yaml`, each]));
  };

  beforeAll(async () => {
    // Slow enough that a busy machine makes nobody ten times slower than another.
    [one, two, joining] = await Promise.all([
      startUpstream('one', slow(20)),
      startUpstream('two', slow(20)),
      startUpstream('joining', slow(20)),
    ]);
    gateway = await gatewayFixture({ gateway: { threads: 2 }, files: files(one, two) });
  });

  it.each(BALANCES.map((balance, at) => [balance, `pool-${at}`] as const))(
    'with %j one that joins has little at first, in all threads; the others had their share at once',
    async (_, pool) => {
      const path = `/${pool}`;
      const whole = await serve(gateway, path, 30, 4);
      // One that is warmed up beside another has a tenth.
      expect(whole.by['one']! / 120).toBeGreaterThan(0.15);
      expect(whole.by['two']! / 120).toBeGreaterThan(0.15);

      const file = `${pool}.yaml`;
      await gateway.write(file, files(one, two, joining)[file]!);
      await gateway.reload();
      const { endpoints } = await poolState(gateway, pool);
      expect(endpoints.map(({ slowStart }) => slowStart?.share)).toEqual([undefined, undefined, 0.1]);
      const { by, statuses } = await serve(gateway, path, 75, 4);
      expect(statuses.every((status) => status === 200)).toBe(true);
      // A tenth of its weight is 4.8 % of the pool; all of it would be a third.
      expect(by['joining'] ?? 0).toBeLessThan(0.12 * 300);
      const { body } = await gateway.admin('/metrics');
      expect(body).toMatch(new RegExp(`aya_endpoint_slow_start\\{pool="${pool}",.*\\} 0.1`));
    },
  );
});

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
