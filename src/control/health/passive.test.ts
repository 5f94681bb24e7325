import { describe, expect, test } from 'vitest';
import { config, logEntries, PASSIVE, poolConfig, type PoolOptions } from '../../../test/support/config.ts';
import { FakeClock } from '../../../test/support/fake-clock.ts';
import type { EndpointConfig } from '../../config/schema.ts';
import { ENDPOINT, EndpointTable } from '../../memory/endpoint-table.ts';
import { EndpointRegistry, type RegisteredEndpoint } from '../endpoint-registry.ts';
import { PassiveHealth } from './passive.ts';

/** A pool of `count` endpoints under passive watch; `fail` is what a data thread does. */
function pool(count: number, passive: PoolOptions['passive'] = {}, endpoint: Partial<EndpointConfig> = {}) {
  const clock = new FakeClock();
  const table = EndpointTable.allocate(1, 32);
  const registry = new EndpointRegistry(table, clock);
  const { entries, log } = logEntries();
  const gone: string[] = [];
  const onNobodyThere = ({ url }: RegisteredEndpoint) => void gone.push(url);
  const watch = new PassiveHealth({ registry, table, clock, log, onNobodyThere });
  let generation = 0;
  const serve = (settings: PoolOptions['passive'], members = count) => {
    const urls = Array.from({ length: members }, (_, at) => ({ ...endpoint, url: `http://10.0.0.${at + 1}:80` }));
    const next = config([poolConfig(urls, { passive: settings })]);
    registry.commit(next, registry.hold(++generation, next));
    registry.release(generation - 1);
    watch.update();
  };
  serve(passive);
  const at = (index: number): RegisteredEndpoint => registry.pools.get('orders')![index]!;
  const threshold = () => {
    const settings = at(0).pool.health.passive;
    return settings === false ? PASSIVE.consecutiveFailures : settings.consecutiveFailures;
  };
  const fail = (index: number, times = 5, reason = 'status 500') => {
    for (let time = 0; time < times; time++) {
      const failures = table.addFailure(at(index).row);
      if (failures % threshold() === 0) watch.suspect(at(index).row, reason);
    }
  };
  return {
    clock,
    entries,
    registry,
    serve,
    at,
    watch,
    pass: (index: number) => table.addSuccess(at(index).row),
    /** Those that nobody was found at. */
    gone,
    startedAt: (index: number) => table.startedAt(at(index).row),
    status: (index: number) => at(index).history.at(-1)?.reason,
    /** One failure of each in turn, as a balancer that is fair brings them. */
    failAll(times: number) {
      for (let time = 0; time < times; time++) for (let index = 0; index < count; index++) fail(index, 1);
    },
    ejected: () =>
      Array.from({ length: count }, (_, index) => index).filter((index) => registry.has(at(index), ENDPOINT.ejected)),
    fail,
    isEjected: (index: number) => registry.has(at(index), ENDPOINT.ejected),
    /** Milliseconds until the endpoint is back. */
    ejectedForMs(index: number): number {
      for (let ms = 0; ms <= 600_000; ms += 1_000) {
        if (!registry.has(at(index), ENDPOINT.ejected)) return ms;
        clock.advance(1_000);
      }
      return Infinity;
    },
  };
}

describe('how many a pool can spare', () => {
  test('a pool of one keeps its one', () => {
    const { fail, isEjected, entries } = pool(1);
    fail(0);
    expect(isEjected(0)).toBe(false);
    expect(entries).toMatchObject([
      { event: 'endpoint_not_ejected', message: 'not ejected because no other endpoint of the pool is available' },
    ]);
  });

  test('a pool of one loses its one when told that all may go', () => {
    const { fail, isEjected } = pool(1, { maxEjected: 1 });
    fail(0);
    expect(isEjected(0)).toBe(true);
  });

  test('a pool of two loses one', () => {
    const { fail, isEjected } = pool(2);
    fail(0);
    expect([isEjected(0), isEjected(1)]).toEqual([true, false]);
  });

  test('a pool of three loses one: half of three rounds down', () => {
    const { fail, isEjected, entries } = pool(3);
    fail(0);
    fail(1);
    expect([isEjected(0), isEjected(1), isEjected(2)]).toEqual([true, false, false]);
    expect(entries.at(-1)!.message).toBe('not ejected because 1 of 3 endpoints are ejected already, 1 may be');
  });

  test('a share that rounds to none still spares one', () => {
    const { fail, isEjected } = pool(3, { maxEjected: 0.1 });
    fail(0);
    expect(isEjected(0)).toBe(true);
  });

  test('an endpoint that failed its active check is no reason to eject the one that works', () => {
    const { fail, isEjected, registry, at } = pool(2);
    registry.set(at(1), ENDPOINT.unhealthy, true, 'active: 3/3 connection refused');
    fail(0);
    expect(isEjected(0)).toBe(false);
  });

  test('an endpoint that takes no traffic does not count as another one left', () => {
    const { fail, isEjected } = pool(2, {}, { weight: 0 });
    fail(0);
    expect(isEjected(0)).toBe(false);
  });

  test('what could not be spared is said once, however long it goes on', () => {
    const { fail, entries } = pool(1);
    fail(0, 50);
    expect(entries).toHaveLength(1);
  });

  test('and again when it comes again', () => {
    const { fail, pass, entries, clock } = pool(1);
    fail(0, 50);
    pass(0);
    clock.advance(60_000);
    fail(0, 50);
    expect(entries).toHaveLength(2);
  });

  test('one that was kept goes as soon as another is back', () => {
    const { fail, isEjected, clock } = pool(3);
    fail(0);
    fail(1);
    clock.advance(30_000);
    expect([isEjected(0), isEjected(1)]).toEqual([false, true]);
  });

  test('one that was kept and has answered well since is not blamed for the past', () => {
    const { fail, pass, isEjected, clock } = pool(3);
    fail(0);
    fail(1);
    pass(1);
    clock.advance(30_000);
    expect(isEjected(1)).toBe(false);
  });
});

describe('trouble that the others have too', () => {
  test.each([2, 3, 5])('ejects none of %i that fail alike, however long, and it is told why', (count) => {
    const { failAll, ejected, entries } = pool(count);
    failAll(100);
    expect(ejected()).toEqual([]);
    const why = count === 2 ? 'its only peer fails as well' : `${count - 1} of its ${count - 1} peers fail as well`;
    expect(entries.map(({ event, message }) => [event, message])).toEqual(
      Array.from({ length: count }, () => ['endpoint_not_ejected', `not ejected because ${why}`]),
    );
  });

  test.each([2, 3, 5])('is not what a single bad one of %i has: it goes after five failures', (count) => {
    const { fail, ejected } = pool(count);
    fail(count - 1, 4);
    expect(ejected()).toEqual([]);
    fail(count - 1, 1);
    expect(ejected()).toEqual([count - 1]);
  });

  test('brings back whoever was ejected before the others began to fail, as if nothing had been', () => {
    const { fail, failAll, ejected, status, pass, ejectedForMs, clock } = pool(5);
    fail(0);
    expect(ejected()).toEqual([0]);
    failAll(5);
    expect(ejected()).toEqual([]);
    expect(status(0)).toBe('passive: no worse than the others: 3 of its 4 peers fail as well');
    // It is not on probation, and its next ejection is not its second.
    for (let answer = 0; answer < 32; answer++) for (let index = 0; index < 5; index++) pass(index);
    fail(0, 4);
    expect(ejected()).toEqual([]);
    fail(0, 1);
    expect(ejectedForMs(0)).toBe(30_000);
    expect(clock.pending).toBe(0);
  });

  test('is forgotten after 32 answers', () => {
    const { fail, failAll, pass, ejected } = pool(3);
    failAll(40);
    for (let answer = 0; answer < 30; answer++) for (let index = 0; index < 3; index++) pass(index);
    fail(2);
    expect(ejected()).toEqual([2]);
  });

  test('has no part in what half of the others do not have', () => {
    const { fail, ejected } = pool(5, { maxEjected: 0.8 });
    for (let time = 0; time < 10; time++) for (const bad of [0, 1, 2]) fail(bad, 1);
    expect(ejected()).toEqual([0, 1, 2]);
  });

  test('is none when the others fail less than half as often', () => {
    const { fail, pass, ejected } = pool(3);
    // Four of five against three of eight.
    for (let answers = 0; answers < 30; answers += 5) {
      fail(0, 4);
      pass(0);
      for (const other of [1, 2]) {
        fail(other, 3);
        for (let good = 0; good < 5; good++) pass(other);
      }
    }
    fail(0, 5);
    expect(ejected()).toEqual([0]);
  });

  test('does not keep a pool whole that may be emptied', () => {
    const { failAll, ejected } = pool(3, { maxEjected: 1 });
    failAll(5);
    expect(ejected()).toEqual([0, 1, 2]);
  });

  test('does not bring back whoever is slow', () => {
    const { failAll, ejected, watch, at } = pool(5);
    failAll(2);
    watch.blame(at(0), { cause: 'slow', what: 'half of its answers took 900 ms or longer' });
    failAll(20);
    expect(ejected()).toEqual([0]);
  });

  test('keeps whoever fails too large a share of a window', () => {
    const { failAll, ejected, watch, at } = pool(3, { consecutiveFailures: 0 });
    failAll(20);
    watch.blame(at(0), { cause: 'failure-percentage', what: '20 of 20 answers failed' });
    expect(ejected()).toEqual([]);
  });

  test('ends what is only logged as well', () => {
    const { fail, failAll, entries } = pool(3, { mode: 'log' });
    fail(0);
    failAll(100);
    const [first, ...others] = entries.map(({ event }) => event);
    expect(first).toBe('endpoint_would_be_ejected');
    expect(others).toEqual(Array.from({ length: 3 }, () => 'endpoint_not_ejected'));
  });

  test('does not make its endpoint start slowly', () => {
    const { fail, failAll, ejected, startedAt, clock } = pool(5);
    clock.advance(1_000);
    fail(0);
    failAll(5);
    expect(ejected()).toEqual([]);
    expect(startedAt(0)).toBe(0);
  });
});

describe('how long it lasts', () => {
  test('each further ejection in a row is longer, up to the limit', () => {
    const { fail, ejectedForMs } = pool(3, { maxEjectFor: 80_000 });
    const lengths = [1, 2, 3, 4].map(() => {
      fail(0, 5);
      return ejectedForMs(0);
    });
    expect(lengths).toEqual([30_000, 60_000, 80_000, 80_000]);
  });

  test('one that came back is on probation: one failure ejects it again', () => {
    const { fail, isEjected, ejectedForMs } = pool(3);
    fail(0);
    ejectedForMs(0);
    fail(0, 1);
    expect(isEjected(0)).toBe(true);
  });

  test('is one where requests found nobody, and none that answers with errors', () => {
    const { fail, at, gone } = pool(5);
    fail(0, 5, 'connection_refused');
    fail(1, 5, 'status 500');
    expect(gone).toEqual([at(0).url]);
  });

  test('a good answer ends the probation', () => {
    const { fail, pass, isEjected, ejectedForMs } = pool(3);
    fail(0);
    ejectedForMs(0);
    pass(0);
    fail(0, 4);
    expect(isEjected(0)).toBe(false);
  });

  test('for each ejectFor that it stays in, one ejection is forgotten', () => {
    const { fail, ejectedForMs, clock } = pool(3);
    for (let ejection = 0; ejection < 3; ejection++) {
      fail(0);
      ejectedForMs(0);
    }
    clock.advance(2 * 30_000);
    fail(0);
    expect(ejectedForMs(0)).toBe(60_000);
  });

  test('the reason tells how many failures, which the last, and for how long', () => {
    const { fail, at, watch } = pool(3);
    fail(0);
    expect(at(0).history.at(-1)!.reason).toBe('passive: 5 failures in a row, last status 500; ejected for 30 s');
    expect(watch.ejections(at(0))).toBe(1);
  });
});

describe('reloads', () => {
  test('an ejection outlives a reload and ends on time', () => {
    const { fail, serve, isEjected, clock } = pool(3);
    fail(0);
    clock.advance(20_000);
    serve({}, 4);
    expect(isEjected(0)).toBe(true);
    clock.advance(10_000);
    expect(isEjected(0)).toBe(false);
  });

  test('a pool that is no longer watched gets everyone back', () => {
    const { fail, serve, isEjected } = pool(3);
    fail(0);
    serve(false);
    expect(isEjected(0)).toBe(false);
  });

  test('a pool that grows can spare one that it had to keep', () => {
    const { fail, serve, isEjected } = pool(1);
    fail(0);
    serve({}, 2);
    expect(isEjected(0)).toBe(true);
  });

  test('nothing is left to run for an endpoint that is gone', () => {
    const { fail, serve, clock } = pool(3);
    fail(2);
    serve({}, 2);
    clock.advance(1);
    serve({}, 2);
    expect(clock.pending).toBe(0);
  });

  test('a suspicion from before a reload that raised the threshold is not enough', () => {
    const { fail, serve, watch, at, isEjected } = pool(3);
    fail(0, 4);
    serve({ consecutiveFailures: 10 });
    watch.suspect(at(0).row, 'status 500');
    expect(isEjected(0)).toBe(false);
  });
});

describe('an ejected endpoint whose check saw it go and come back', () => {
  test('returns at once, on probation', () => {
    const { fail, at, watch, isEjected } = pool(3);
    fail(0);
    expect(isEjected(0)).toBe(true);
    watch.recovered(at(0));
    expect(isEjected(0)).toBe(false);
    fail(0, 1);
    expect(isEjected(0)).toBe(true);
  });
});
