/** The proof of docs/decisions/0023: what a pool gets done when more is asked of it than it can do. */
import { describe, expect, it } from 'vitest';
import { SaturatedPool, type SaturatedOptions } from '../support/saturated-pool.ts';

/** Clients leave after this. */
const PATIENCE_MS = 400;
/** 20 workers at 50 ms each. */
const PER_SECOND = 400;
const SEEDS = [1, 2, 3];

const ADAPTIVE = { min: 4, max: 1000, tolerance: 1.5, remeasure: 10_000 };

function poolOf(maxInFlight: SaturatedOptions['maxInFlight'], seed: number, threads = 1): SaturatedPool {
  const endpoint = { workers: 10, serviceMs: 50 };
  return new SaturatedPool({ maxInFlight, endpoints: [endpoint, endpoint], varied: true, seed, threads });
}

/** What was done within the patience of its clients, as a share of what could have been. */
function goodputOf(pool: SaturatedPool, load: number, { threads = 1, patienceMs = PATIENCE_MS } = {}): number {
  const forMs = 4_000;
  const crowd = () =>
    pool.crowd(forMs, PER_SECOND * load, (random) => ({
      patienceMs,
      address: `192.0.2.${Math.floor(random() * 250)}`,
      thread: Math.floor(random() * threads),
    }));
  crowd();
  const since = pool.clock.now();
  crowd();
  pool.clock.advance(patienceMs);
  return pool.servedSince(since, patienceMs) / ((PER_SECOND * forMs) / 1_000);
}

/** Nothing of a request is left when it is over, however it ended. */
function expectNothingLeft(pool: SaturatedPool): void {
  pool.clock.advance(5_000);
  expect(pool.visits.filter(({ outcome }) => outcome === 'under way')).toEqual([]);
  expect([pool.inFlight, pool.sums.waiting, pool.table.inFlight(0), pool.table.inFlight(1)]).toEqual([0, 0, 0, 0]);
}

describe('a pool of which twice its capacity is asked', () => {
  it('gets next to nothing done without a limit: what it answers, nobody waits for any more', () => {
    expect(goodputOf(poolOf(undefined, 1), 2)).toBeLessThan(0.2);
  });

  it.each([
    ['at its capacity', { max: 20 }],
    ['at twice its capacity', { max: 40 }],
    ['at each endpoint', { perEndpoint: 10 }],
    ['that finds itself', { adaptive: ADAPTIVE }],
  ])('does 90 percent of what it can with a limit %s', (_, maxInFlight) => {
    for (const seed of SEEDS) {
      const pool = poolOf(maxInFlight, seed);
      expect(goodputOf(pool, 2)).toBeGreaterThanOrEqual(0.9);
      expectNothingLeft(pool);
    }
  });

  it('does as much at five times its capacity', () => {
    const pool = poolOf({ max: 20 }, 1);
    expect(goodputOf(pool, 5)).toBeGreaterThanOrEqual(0.9);
    expectNothingLeft(pool);
  });

  it('does as much over three threads, and never has more at once than its limit', () => {
    const pool = poolOf({ max: 20 }, 1, 3);
    expect(goodputOf(pool, 2, { threads: 3 })).toBeGreaterThanOrEqual(0.9);
    expect(pool.services[0]!.most + pool.services[1]!.most).toBeLessThanOrEqual(22);
    expectNothingLeft(pool);
  });
});

describe('a limit that finds itself', () => {
  it('refuses nobody at half of the capacity', () => {
    for (const seed of SEEDS) {
      const pool = poolOf({ adaptive: ADAPTIVE }, seed);
      goodputOf(pool, 0.5);
      expect(pool.visits.filter(({ outcome }) => outcome === 'refused')).toEqual([]);
    }
  });

  it('follows a service that becomes half as quick, and then as quick as before', () => {
    for (const seed of SEEDS.slice(0, 2)) {
      const [found, known] = [poolOf({ adaptive: ADAPTIVE }, seed), poolOf({ max: 20 }, seed)].map((pool) =>
        [50, 100, 50].map((serviceMs) => {
          for (const { skill } of pool.services) skill.serviceMs = serviceMs;
          goodputOf(pool, 2, { patienceMs: 800 });
          return goodputOf(pool, 2, { patienceMs: 800 });
        }),
      );
      found!.forEach((goodput, phase) => expect(goodput).toBeGreaterThanOrEqual(0.9 * known![phase]!));
    }
  });

  it('never goes to a single digit while there is work for more: what it takes is measured from above', () => {
    const pool = poolOf({ adaptive: { ...ADAPTIVE, remeasure: 2_000 } }, 1);
    let least = Infinity;
    goodputOf(pool, 2);
    for (let second = 0; second < 20; second++) {
      pool.crowd(1_000, PER_SECOND * 2, () => ({ patienceMs: PATIENCE_MS }));
      least = Math.min(least, pool.sums.limit);
    }
    expect(least).toBeGreaterThanOrEqual(10);
  });
});

describe('callers that wait for the same pool', () => {
  it('are served alike, whatever each of them asks for', () => {
    const pool = poolOf({ max: 20 }, 1);
    // A polite one asks for a fifth of the capacity, a greedy one for three times all of it.
    pool.crowd(10_000, PER_SECOND * 3.2, (random) => ({
      consumer: random() < 0.2 / 3.2 ? 'polite' : 'greedy',
      patienceMs: PATIENCE_MS,
    }));
    pool.clock.advance(1_000);
    const polite = pool.visits.filter(({ request }) => request.exchange.consumer === 'polite');
    const served = polite.filter(({ outcome, tookMs }) => outcome === 'served' && tookMs <= PATIENCE_MS);
    expect(served.length / polite.length).toBeGreaterThanOrEqual(0.95);
  });

  it('of a higher priority are served first, and none of them is refused while others are', () => {
    const pool = poolOf({ max: 20 }, 1);
    pool.crowd(10_000, PER_SECOND * 2, (random) => ({
      priority: random() < 0.25 ? 'high' : 'low',
      patienceMs: PATIENCE_MS,
      address: `192.0.2.${Math.floor(random() * 250)}`,
    }));
    pool.clock.advance(1_000);
    const refused = pool.visits.filter(({ outcome }) => outcome === 'refused');
    expect(refused.length).toBeGreaterThan(1_000);
    expect(refused.filter(({ request }) => request.exchange.rule.priority === 0)).toEqual([]);
  });
});

describe('a burst', () => {
  it('is waited for to its end: what is over soon refuses nobody', () => {
    const pool = new SaturatedPool({ maxInFlight: { max: 20 }, endpoints: [{ workers: 20, serviceMs: 10 }] });
    for (let request = 0; request < 200; request++) pool.ask();
    pool.clock.advance(1_000);
    expect(pool.visits.filter(({ outcome }) => outcome !== 'served')).toEqual([]);
  });
});
