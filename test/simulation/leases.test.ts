import { describe, expect, it } from 'vitest';
import { seededRandom, type Random } from '../../src/clock.ts';
import type { QuotaPeriod, RateSpec } from '../../src/limits/limiter.ts';
import { SimulatedGateways } from '../support/simulated-gateways.ts';

const GATEWAYS = 16;
const NEAR = { meanMs: 0.3 };

const limit = (algorithm: RateSpec['algorithm'], max: number, windowMs: number, burst = max): RateSpec => ({
  name: 'shared',
  algorithm,
  max,
  windowMs,
  burst,
});

describe.each(['gcra', 'sliding-window'] as const)('sixteen gateways that share a %s limit', (algorithm) => {
  it('let 50 000 requests a second pass below it, 99 % of them without a round trip', () => {
    const hot = new SimulatedGateways(limit(algorithm, 3_600_000, 60_000), GATEWAYS, 1, NEAR).run(2_000, 50_000);
    expect(hot.passed).toBe(hot.asked);
    expect(hot.roundTrips / hot.asked).toBeLessThan(0.01);
    expect(hot.decidedAtOnce).toBeGreaterThan(0.99);
  });

  it('let all of it pass at one and a half times of it, and 99 % of the requests do not wait', () => {
    const busy = new SimulatedGateways(limit(algorithm, 20_000, 1_000), GATEWAYS, 2, NEAR).run(3_000, 30_000);
    const exact = algorithm === 'gcra' ? 80_000 : 60_000;
    expect(busy.passed).toBeGreaterThan(exact * 0.99);
    expect(busy.overshoot).toBeLessThanOrEqual(busy.bound);
    expect(busy.decidedAtOnce).toBeGreaterThan(0.99);
  });

  it('refuse a flood without asking for each request', () => {
    const flood = new SimulatedGateways(limit(algorithm, 100, 60_000), GATEWAYS, 3, NEAR).run(2_000, 50_000);
    expect(flood.passed).toBeGreaterThanOrEqual(100);
    expect(flood.overshoot).toBeLessThanOrEqual(flood.bound);
    expect(flood.roundTrips / flood.asked).toBeLessThan(0.01);
    expect(flood.decidedAtOnce).toBeGreaterThan(0.99);
  });

  it('are exact where 1 % of the limit is less than one request', () => {
    const small = new SimulatedGateways(limit(algorithm, 99, 500), GATEWAYS, 4, { meanMs: 5 }).run(3_000, 3_000);
    expect(small.bound).toBe(0);
    expect(small.overshoot).toBe(0);
    expect(small.passed).toBeGreaterThan(99 * 5);
  });

  it('let no more pass when replies get lost and come late, and requests differ in cost', () => {
    const far = { meanMs: 12, lost: 0.05 };
    const torn = new SimulatedGateways(limit(algorithm, 5_000, 1_000), GATEWAYS, 5, far);
    torn.run(4_000, 15_000, (random) => 1 + Math.floor(random() * 3));
    expect(torn.overshoot).toBeLessThanOrEqual(torn.bound);
    expect(torn.passed).toBeGreaterThan(5_000);
  });
});

describe('leases', () => {
  it('never exceed the exact limit by more than 1 %, whatever the limit, the traffic and the network', () => {
    for (let seed = 1; seed <= 80; seed++) {
      const random = seededRandom(seed);
      const between = (least: number, most: number) => least * (most / least) ** random();
      const windowMs = Math.round(between(40, 2_000));
      const max = Math.round(between(1, 20_000));
      const burst = random() < 0.5 ? max : Math.max(4, Math.round(max * random()));
      const spec = limit(random() < 0.5 ? 'gcra' : 'sliding-window', max, windowMs, burst);
      const network = { meanMs: between(0.1, 40), lost: random() < 0.5 ? 0 : 0.1 };
      const gateways = new SimulatedGateways(spec, 1 + Math.floor(random() * 64), seed, network);
      const cost = random() < 0.5 ? () => 1 : (chance: Random) => 1 + Math.floor(chance() * 4);
      // Bursts and quiet between them, for leases to end unused and come back.
      for (let burst = 0; burst < 4; burst++) {
        const perSecond = ((max * 1_000) / windowMs) * between(0.2, 8);
        gateways.run(between(10, windowMs * 2), Math.min(perSecond, 20_000), cost);
        gateways.run(between(10, 2_000), 1);
      }
      expect(gateways.overshoot, `seed ${seed}`).toBeLessThanOrEqual(gateways.bound);
    }
  });

  it('cost less than 1 % even when all hold as much as they may and everybody comes at once', () => {
    const overshoots = [];
    for (let seed = 1; seed <= 10; seed++) {
      // Half the rate keeps the bucket full and the leases too; then comes all there is.
      const gateways = new SimulatedGateways(limit('gcra', 8_000, 1_000), GATEWAYS, seed, NEAR);
      gateways.run(1_500, 4_000).run(250, 80_000);
      expect(gateways.overshoot, `seed ${seed}`).toBeLessThanOrEqual(gateways.bound);
      overshoots.push(gateways.overshoot);
    }
    // The bound is not idle: without it there would be something to see.
    expect(Math.max(...overshoots)).toBeGreaterThan(0);
  });

  it('of a quota do not outlive its period', () => {
    const lengthMs = 3_000;
    const periodAt = (wallMs: number): QuotaPeriod => {
      const number = Math.floor(wallMs / lengthMs);
      return { id: `p${number}`, startMs: number * lengthMs, endMs: (number + 1) * lengthMs };
    };
    const quota = {
      name: 'shared',
      algorithm: 'quota',
      max: 6_000,
      burst: 6_000,
      windowMs: lengthMs,
      periodAt,
    } as const;
    for (const perSecond of [1_900, 4_000]) {
      const gateways = new SimulatedGateways(quota, GATEWAYS, 9, NEAR).run(15_000, perSecond);
      expect(gateways.overshoot).toBeLessThanOrEqual(gateways.bound);
      expect(gateways.passed).toBeGreaterThan(0.99 * Math.min(gateways.asked, 4 * 6_000));
    }
  });

  it('are given back by who does not need them', () => {
    const gateways = new SimulatedGateways(limit('sliding-window', 10_000, 60_000), GATEWAYS, 7, NEAR);
    gateways.run(500, 8_000);
    const held = 10_000 - gateways.passed - gateways.remaining;
    expect(held).toBeGreaterThan(0);
    gateways.run(4_000, 0.1);
    expect(10_000 - gateways.passed - gateways.remaining).toBe(0);
  });
});

describe('a store that goes away and comes back', () => {
  it('keeps no request waiting, and the limit holds again when it is back', () => {
    const spec = limit('sliding-window', 1_000, 1_000);
    const gateways = new SimulatedGateways(spec, GATEWAYS, 8, NEAR).run(2_000, 5_000);
    const before = gateways.waited;
    gateways.isUp = false;
    gateways.run(2_000, 5_000);
    // Those that were on their way.
    expect(gateways.waited - before).toBe(0);
    gateways.isUp = true;
    gateways.run(2_000, 5_000);
    expect(gateways.overshoot).toBeLessThanOrEqual(gateways.bound);
    expect(gateways.passed).toBeGreaterThan(3_500);
  });
});
