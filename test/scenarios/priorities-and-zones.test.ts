/** Endpoints of several priorities and zones: who serves while some are away, and that nobody notices. */
import { beforeAll, describe, expect, it } from 'vitest';
import { candidatesOf, type LivePool } from '../../src/cli/candidates.ts';
import { load } from '../../src/config/load.ts';
import { gatewayFixture, type GatewayFixture } from '../support/gateway.ts';
import { poolState, serve, sharesOf } from '../support/pools.ts';
import { until } from '../support/until.ts';
import { startUpstream, type Upstream } from '../support/upstream.ts';

const PROBED = {
  active: {
    path: '/healthz',
    interval: '100ms',
    fastInterval: '50ms',
    timeout: '1s',
    unhealthyAfter: 2,
    healthyAfter: 1,
  },
  passive: false,
};
const UNWATCHED = { passive: false };

let upstreams: Record<string, Upstream>;
let gateway: GatewayFixture;

beforeAll(async () => {
  const names = [
    'one',
    'two',
    'standby',
    'lonely',
    'reserve',
    'last',
    'near-1',
    'near-2',
    'near-3',
    'far-1',
    'far-2',
    'far-3',
  ];
  upstreams = Object.fromEntries(
    await Promise.all(names.map(async (name) => [name, await startUpstream(name)] as const)),
  );
  const endpoint = (name: string, more: object = {}) => ({ url: upstreams[name]!.url, ...more });
  const pools = {
    leveled: {
      endpoints: [endpoint('one'), endpoint('two'), endpoint('standby', { priority: 1 })],
      health: PROBED,
    },
    unwatched: {
      endpoints: [endpoint('lonely'), endpoint('reserve', { priority: 1 }), endpoint('last', { backup: true })],
      health: UNWATCHED,
    },
    zoned: {
      endpoints: ['near', 'far'].flatMap((zone) => [1, 2, 3].map((at) => endpoint(`${zone}-${at}`, { zone }))),
      health: PROBED,
    },
    anywhere: {
      endpoints: [endpoint('near-1', { zone: 'near' }), endpoint('far-1', { zone: 'far' })],
      zones: 'ignore',
      balance: 'round-robin',
      health: UNWATCHED,
    },
  };
  const routes = Object.keys(pools).map((name) => ({ name, match: { path: `/${name}` }, pool: name }));
  gateway = await gatewayFixture({ gateway: { threads: 2, zone: 'near' }, files: { 'all.yaml': { pools, routes } } });
});

describe('priorities', () => {
  it('spill what the first cannot take, all of it when none is left, and take it back', async () => {
    const before = await serve(gateway, '/leveled', 40);
    expect(before.by['standby']).toBeUndefined();
    expect(await sharesOf(gateway, 'leveled')).toEqual([1]);

    await upstreams['one']!.kill();
    await until(async () => (await sharesOf(gateway, 'leveled'))[1] === 0.3, 'the spill');
    const half = await serve(gateway, '/leveled', 75, 4);
    expect(half.statuses.every((status) => status === 200)).toBe(true);
    expect(half.by['standby']! / 300).toBeGreaterThan(0.2);
    expect(half.by['standby']! / 300).toBeLessThan(0.4);
    expect((await gateway.admin('/metrics')).body).toContain(
      'aya_pool_load_share{pool="leveled",priority="1",zone=""} 0.3',
    );

    await upstreams['two']!.kill();
    await until(async () => (await poolState(gateway, 'leveled')).tiers[0]!.priority === 1, 'the next priority');
    expect((await serve(gateway, '/leveled', 20)).by).toEqual({ standby: 20 });
    expect((await poolState(gateway, 'leveled')).panic).toBe(false);

    await upstreams['one']!.revive();
    await upstreams['two']!.revive();
    const first = async () => (await poolState(gateway, 'leveled')).tiers[0]!;
    await until(async () => (await first()).priority === 0 && (await first()).share === 1, 'the return');
    expect((await serve(gateway, '/leveled', 20)).by['standby']).toBeUndefined();
  });

  it('are told by `aya explain` as the threads see them', async () => {
    const { config } = await load(gateway.dir);
    const pool = config!.pools.find(({ name }) => name === 'unwatched')!;
    const live = (await poolState(gateway, 'unwatched')) as unknown as LivePool;
    const told = candidatesOf(pool, live).map(({ considered, reason }) => [considered, reason]);
    expect(told).toEqual([
      [true, ''],
      [false, 'lower priority: those before it take all'],
      [false, 'backup: others are available'],
    ]);
  });

  it('help a request out before anybody knows that the first is gone', async () => {
    await upstreams['lonely']!.kill();
    expect((await serve(gateway, '/unwatched', 10)).by).toEqual({ reserve: 10 });
    await upstreams['reserve']!.kill();
    expect((await serve(gateway, '/unwatched', 10)).by).toEqual({ last: 10 });
    const posted = await fetch(`${gateway.url}/unwatched`, { method: 'POST', body: 'order' });
    expect(posted.status).toBe(200);
  });
});

describe('zones', () => {
  it('keep requests where the gateway is, for as much as is there, and send the rest elsewhere', async () => {
    const all = await serve(gateway, '/zoned', 30, 2);
    expect(Object.keys(all.by).sort()).toEqual(['near-1', 'near-2', 'near-3']);

    await upstreams['near-1']!.kill();
    await until(async () => (await poolState(gateway, 'zoned')).endpoints[0]!.state === 'unhealthy', 'the verdict');
    expect(await sharesOf(gateway, 'zoned')).toEqual([1]);

    await upstreams['near-2']!.kill();
    await until(async () => (await sharesOf(gateway, 'zoned'))[1] === 0.3, 'the spill');
    const { by, statuses } = await serve(gateway, '/zoned', 75, 4);
    expect(statuses.every((status) => status === 200)).toBe(true);
    expect(by['near-3']! / 300).toBeGreaterThan(0.6);
    expect(by['near-3']! / 300).toBeLessThan(0.8);
    const { tiers } = await poolState(gateway, 'zoned');
    expect(tiers.map(({ zone }) => zone)).toEqual(['own', 'others']);

    await upstreams['near-3']!.kill();
    await until(async () => (await sharesOf(gateway, 'zoned')).length === 1, 'the end of the zone');
    expect(Object.keys((await serve(gateway, '/zoned', 30)).by).every((name) => name.startsWith('far'))).toBe(true);
    await Promise.all(['near-1', 'near-2', 'near-3'].map((name) => upstreams[name]!.revive()));
  });

  it('do not matter where a pool says so', async () => {
    expect((await serve(gateway, '/anywhere', 20)).by['far-1']).toBeGreaterThanOrEqual(8);
  });
});
