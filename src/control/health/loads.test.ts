import { describe, expect, test } from 'vitest';
import { config, logEntries, poolConfig } from '../../../test/support/config.ts';
import { FakeClock } from '../../../test/support/fake-clock.ts';
import type { AdaptiveConfig, BalanceConfig } from '../../config/schema.ts';
import { EndpointTable } from '../../memory/endpoint-table.ts';
import { ADAPTIVE_DEFAULTS } from '../../upstream/load/weights.ts';
import { EndpointRegistry } from '../endpoint-registry.ts';
import { LoadWatch } from './loads.ts';

function pool(settings: Partial<AdaptiveConfig> = {}, count = 3) {
  const clock = new FakeClock();
  const table = EndpointTable.allocate(2, 32);
  const registry = new EndpointRegistry(table, clock);
  const { events, log } = logEntries();
  const watch = new LoadWatch({ registry, table, clock, log });
  const urls = Array.from({ length: count }, (_, at) => `http://10.0.0.${at + 1}:80`);
  let generation = 0;
  const serve = (balance: BalanceConfig) => {
    const serving = config([{ ...poolConfig(urls), balance }]);
    registry.commit(serving, registry.hold(++generation, serving));
    registry.release(generation - 1);
    watch.update();
  };
  serve({ adaptive: { ...ADAPTIVE_DEFAULTS, ...settings } });
  const at = (index: number) => registry.pools.get('orders')![index]!;
  const report = (index: number, utilization: number, rate = 100, failed = false) =>
    table.loads.report(at(index).row, { utilization, rate, errorRate: 0 }, failed, clock.now());
  return {
    ...{ clock, table, serve, report, events, at, watch },
    factors: () => urls.map((_, index) => Math.round(table.loads.factor(at(index).row) * 100) / 100),
    /** All report this each second. */
    pass(seconds: number, ...utilizations: (number | undefined)[]) {
      for (let second = 0; second < seconds; second++) {
        utilizations.forEach((utilization, index) => utilization !== undefined && report(index, utilization));
        clock.advance(1_000);
      }
    },
  };
}

describe('an adaptive pool', () => {
  test('is weighed by its reports once they have come for the blackout', () => {
    const { pass, factors, events, watch, at } = pool();
    pass(9, 0.25, 0.5, 0.5);
    expect(factors()).toEqual([1, 1, 1]);
    expect(watch.viewOf(at(0))).toMatchObject({ isTrusted: false, utilization: 0.25, ageMs: 1000 });
    pass(1, 0.25, 0.5, 0.5);
    expect(factors()).toEqual([1.5, 0.75, 0.75]);
    expect(events()).toEqual(['pool_weighed']);
  });

  test('takes who joins late for one of the others until its own blackout is over', () => {
    const { pass, factors } = pool();
    pass(20, 0.25, 0.5, undefined);
    const [, , late] = factors();
    pass(5, 0.25, 0.5, 0.01);
    expect(factors()[2]).toBe(late);
    pass(10, 0.25, 0.5, 0.01);
    expect(factors()[2]).toBeGreaterThan(late!);
  });

  test('forgets what is too old, and then begins with a blackout again', () => {
    const { pass, factors, clock, events } = pool({ expiration: 30_000 });
    pass(12, 0.25, 0.5, 0.5);
    expect(factors()).toEqual([1.5, 0.75, 0.75]);
    clock.advance(28_000);
    expect(factors()).toEqual([1.5, 0.75, 0.75]);
    clock.advance(5_000);
    expect(factors()).toEqual([1, 1, 1]);
    pass(5, 0.25, 0.5, 0.5);
    expect(factors()).toEqual([1, 1, 1]);
    expect(events()).toEqual(['pool_weighed', 'pool_not_weighed']);
  });

  test('counts itself where endpoints do not say how many requests they have', () => {
    const { report, clock, factors } = pool({ blackout: 0 });
    for (let second = 0; second < 60; second++) {
      for (let request = 0; request < 30; request++) report(0, 0.5, 0);
      for (let request = 0; request < 10; request++) report(1, 0.5, 0);
      for (let request = 0; request < 10; request++) report(2, 0.5, 0, request % 2 === 0);
      clock.advance(1_000);
    }
    // 30 at half a load; 10 at half a load; 10, of which half fail, at half a load.
    expect(factors()).toEqual([2, 0.67, 0.33]);
  });

  test('leaves the table alone while nothing moves', () => {
    const { pass, table } = pool();
    pass(20, 0.25, 0.5, 0.5);
    const { version } = table.loads;
    pass(50, 0.2501, 0.5, 0.5);
    expect(table.loads.version).toBe(version);
  });

  test('keeps its weights through a reload, and is not weighed once it is balanced otherwise', () => {
    const { pass, serve, factors, watch, at, clock } = pool();
    pass(12, 0.25, 0.5, 0.5);
    serve({ adaptive: { ...ADAPTIVE_DEFAULTS, update: 2_000 } });
    expect(factors()).toEqual([1.5, 0.75, 0.75]);
    serve('random');
    expect(watch.viewOf(at(0))).toBeUndefined();
    clock.advance(60_000);
    serve('adaptive');
    expect(watch.viewOf(at(0))).toBeDefined();
    watch.close();
  });
});
