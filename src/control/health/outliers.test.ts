import { describe, expect, test } from 'vitest';
import { config, logEntries, poolConfig, type PoolOptions } from '../../../test/support/config.ts';
import { FakeClock } from '../../../test/support/fake-clock.ts';
import { BREAKER } from '../../memory/breaker-table.ts';
import { ENDPOINT, EndpointTable } from '../../memory/endpoint-table.ts';
import { VERDICT } from '../../memory/sample-table.ts';
import { EndpointRegistry } from '../endpoint-registry.ts';
import { OutlierWatch } from './outliers.ts';
import { PassiveHealth } from './passive.ts';

const FAILURES = { failurePercentage: { threshold: 0.5, minRequests: 20 } };

/** Endpoints 0 … count - 1, compared with each other. */
function pool(count: number, options: PoolOptions = {}) {
  const clock = new FakeClock();
  const table = EndpointTable.allocate(2, 32);
  const registry = new EndpointRegistry(table, clock);
  const { entries, log } = logEntries();
  const passive = new PassiveHealth({ registry, table, clock, log });
  const watch = new OutlierWatch({ registry, table, clock, passive });
  let generation = 0;
  const serve = (next: PoolOptions = options, members = count) => {
    const urls = Array.from({ length: members }, (_, at) => `http://10.0.0.${at + 1}:80`);
    const serving = config([poolConfig(urls, { ...next, passive: { ...FAILURES, ...next.passive } })]);
    registry.commit(serving, registry.hold(++generation, serving));
    registry.release(generation - 1);
    passive.update();
    watch.update();
  };
  serve();
  const at = (index: number) => registry.pools.get('orders')![index]!;
  return {
    clock,
    table,
    entries,
    passive,
    serve,
    at,
    watch,
    answer(index: number, ok: number, failed: number, durationMs = 10) {
      const { row } = at(index);
      for (let good = 0; good < ok; good++) table.samples.add(row, good % 2, VERDICT.ok, durationMs);
      for (let bad = 0; bad < failed; bad++) table.samples.add(row, bad % 2, VERDICT.failed, 1);
    },
    ejected: () =>
      registry.pools.get('orders')!.flatMap((one, index) => (registry.has(one, ENDPOINT.ejected) ? index : [])),
    reason: (index: number) => at(index).history.at(-1)?.reason,
    window: () => clock.advance(10_000),
  };
}

describe('endpoints that are compared', () => {
  test('are ejected at the end of the window in which they were worst', () => {
    const { answer, ejected, reason, window, passive, at } = pool(3);
    answer(0, 40, 0);
    answer(1, 16, 24);
    answer(2, 40, 0);
    expect(ejected()).toEqual([]);
    window();
    expect(ejected()).toEqual([1]);
    expect(reason(1)).toBe('passive: 24 of 40 answers failed; ejected for 30 s');
    expect(passive.ejectionsBy(at(1))).toEqual([{ cause: 'failure-percentage', mode: 'eject', count: 1 }]);
  });

  test('are judged by one window at a time, and what they did while ejected is not held against them', () => {
    const { answer, ejected, window, clock } = pool(3);
    answer(1, 9, 10);
    window();
    answer(1, 9, 10);
    window();
    expect(ejected()).toEqual([]);
    answer(1, 0, 40);
    window();
    answer(1, 0, 40);
    window();
    clock.advance(20_000);
    expect(ejected()).toEqual([]);
    window();
    expect(ejected()).toEqual([]);
  });

  test('lose the worst when only one can be spared, and it is said once that the other stays', () => {
    const { answer, ejected, window, entries } = pool(3);
    for (let round = 0; round < 3; round++) {
      answer(0, 20, 20);
      answer(1, 0, 40);
      answer(2, 40, 0);
      window();
    }
    expect(ejected()).toEqual([1]);
    expect(entries).toMatchObject([
      {
        event: 'endpoint_not_ejected',
        reason: '20 of 40 answers failed',
        message: 'not ejected because 1 of 3 endpoints are ejected already, 1 may be',
      },
    ]);
  });

  test('keep the last of two, and as many as minHealthy says', () => {
    const two = pool(2);
    two.answer(0, 0, 40);
    two.answer(1, 0, 40);
    two.window();
    expect(two.ejected()).toHaveLength(1);

    const four = pool(4, { passive: { minHealthy: 3 } });
    four.answer(0, 0, 40);
    four.answer(1, 0, 40);
    four.window();
    expect(four.ejected()).toHaveLength(1);
    expect(four.entries[0]!.message).toBe('not ejected because only 2 of the others are available, minHealthy is 3');
  });

  test('are not ejected while the breakers of the others are open', () => {
    const { table, answer, ejected, window, at } = pool(2, { breaker: {} });
    table.breakers.move(at(1).row, table.breakers.word(at(1).row), BREAKER.open);
    answer(0, 0, 40);
    window();
    expect(ejected()).toEqual([]);
  });

  test('go on through reloads, and stop when the pool is no longer compared', () => {
    const { serve, answer, ejected, window, clock } = pool(3);
    clock.advance(9_000);
    answer(1, 0, 40);
    serve();
    clock.advance(1_000);
    expect(ejected()).toEqual([1]);
    serve({ passive: { failurePercentage: undefined as never } });
    answer(0, 0, 40);
    window();
    expect(ejected()).toEqual([1]);
    clock.advance(60_000);
    expect(clock.pending).toBe(0);
  });

  test('that join are judged from their first whole window on', () => {
    const { serve, answer, ejected, window } = pool(2);
    serve({}, 3);
    answer(2, 0, 40);
    window();
    expect(ejected()).toEqual([]);
    answer(2, 0, 40);
    window();
    expect(ejected()).toEqual([2]);
  });

  test('leave no timer behind', () => {
    const { watch, clock } = pool(3);
    watch.close();
    expect(clock.pending).toBe(0);
  });
});

describe('mode: log', () => {
  const LOG: PoolOptions = { passive: { mode: 'log' } };

  test('ejects nobody, tells who would be, as often and as long as it would, and counts it apart', () => {
    const { answer, ejected, window, entries, passive, at } = pool(3, LOG);
    for (let round = 0; round < 6; round++) {
      answer(1, 0, 40);
      window();
      expect(ejected()).toEqual([]);
    }
    expect(entries.map(({ event, reason }) => [event, reason])).toEqual([
      ['endpoint_would_be_ejected', 'passive: 40 of 40 answers failed; ejected for 30 s'],
      ['endpoint_would_be_ejected', 'passive: 40 of 40 answers failed; ejected for 60 s'],
    ]);
    expect(passive.ejectionsBy(at(1))).toEqual([{ cause: 'failure-percentage', mode: 'log', count: 2 }]);
    expect(passive.ejections(at(1))).toBe(0);
  });

  test('spares as it would: who would be ejected counts as gone', () => {
    const { answer, window, entries } = pool(2, LOG);
    answer(0, 0, 40);
    answer(1, 0, 40);
    window();
    expect(entries.map(({ event }) => event)).toEqual(['endpoint_would_be_ejected', 'endpoint_not_ejected']);
  });

  test('brings back whom a reload finds ejected', () => {
    const { answer, ejected, window, serve, at } = pool(3);
    answer(1, 0, 40);
    window();
    expect(ejected()).toEqual([1]);
    serve(LOG);
    expect(ejected()).toEqual([]);
    expect(at(1).history.at(-1)!.reason).toBe('passive: ejections are only logged from now on');
  });

  test('that ends has an endpoint ejected for what it does from then on', () => {
    const { answer, ejected, window, serve } = pool(3, LOG);
    answer(1, 0, 40);
    window();
    serve({});
    expect(ejected()).toEqual([]);
    answer(1, 0, 40);
    window();
    expect(ejected()).toEqual([1]);
  });
});

describe('gateway failures in a row', () => {
  test('eject after fewer than failures of any kind', () => {
    const { table, passive, at, ejected, reason } = pool(3, { passive: { consecutiveGatewayFailures: 2 } });
    const { row } = at(0);
    table.addFailure(row);
    table.addGatewayFailure(row);
    passive.suspect(row, 'status 503');
    expect(ejected()).toEqual([]);
    table.addFailure(row);
    table.addGatewayFailure(row);
    passive.suspect(row, 'status 503');
    expect(ejected()).toEqual([0]);
    expect(reason(0)).toBe('passive: 2 gateway failures in a row, last status 503; ejected for 30 s');
  });

  test('are all that ejects where consecutiveFailures is 0', () => {
    const { table, passive, at, ejected } = pool(3, {
      passive: { consecutiveFailures: 0, consecutiveGatewayFailures: 2 },
    });
    const { row } = at(0);
    for (let failure = 0; failure < 50; failure++) table.addFailure(row);
    passive.suspect(row, 'status 500');
    expect(ejected()).toEqual([]);
  });
});
