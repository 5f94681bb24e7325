import { describe, expect, it } from 'vitest';
import { candidates, pickContext, requestOf, SEEDS, sharesOf } from '../../../test/support/picking.ts';
import { SimulatedPool, type SimulatedEndpoint } from '../../../test/support/simulated-pool.ts';
import type { Balancer, Candidate } from '../endpoint.ts';
import { LatencyAverages } from '../latency.ts';
import leastResponseTime from './least-response-time.ts';

const FEW = SEEDS.slice(0, 5);

function pool(seed: number, ...endpoints: SimulatedEndpoint[]): SimulatedPool {
  return new SimulatedPool(leastResponseTime, endpoints, seed);
}

const identical = (count: number): SimulatedEndpoint[] => Array.from({ length: count }, () => ({ meanMs: 10 }));

describe('least-response-time', () => {
  it('leaves a ten times slower endpoint of three under three percent, in an idle pool as in a busy one', () => {
    for (const seed of FEW) {
      for (const perSecond of [10, 100, 500]) {
        const simulated = pool(seed, ...identical(2), { meanMs: 100 }).run(60_000, perSecond);
        expect(simulated.shares[2]).toBeLessThan(0.03);
      }
    }
  });

  it('keeps the p99 of a pool with one slow of five near that of the good ones alone', () => {
    for (const seed of FEW) {
      const slow = pool(seed, { meanMs: 100 }, ...identical(4)).run(60_000, 100);
      const oracle = pool(seed, ...identical(4)).run(60_000, 100);
      expect(slow.percentile(0.99)).toBeLessThan(1.5 * oracle.percentile(0.99));
    }
  });

  // traefik#12306: five identical servers, one of which got 5 of 1500 requests and never recovered.
  it('starves none of five identical endpoints', () => {
    for (const seed of SEEDS) {
      const { shares } = pool(seed, ...identical(5)).run(60_000, 50);
      shares.forEach((share) => expect(share).toBeGreaterThan(0.1));
    }
  });

  it('takes a slow endpoint back within a minute of its recovery', () => {
    for (const seed of SEEDS) {
      const recovering: SimulatedEndpoint = { meanMs: 1_000 };
      const simulated = pool(seed, recovering, ...identical(4)).run(30_000, 50);
      expect(simulated.shares[0]).toBeLessThan(0.03);
      recovering.meanMs = 10;
      simulated.run(60_000, 50).forget();
      expect(simulated.run(30_000, 50).shares[0]).toBeGreaterThan(0.1);
    }
  });

  it('probes an endpoint that stays slow again and again, one request at a time', () => {
    const simulated = pool(1, { meanMs: 5_000 }, ...identical(4)).run(120_000, 50);
    simulated.forget();
    simulated.run(300_000, 50);
    expect(simulated.counts[0]).toBeGreaterThanOrEqual(2);
    expect(simulated.counts[0]).toBeLessThanOrEqual(30);
  });

  it('forgives an idle endpoint after the stated time, and sends it no second request before it has answered the first', () => {
    const context = pickContext();
    const averages = new LatencyAverages(context.table, context.clock);
    const balancer: Balancer = leastResponseTime.create<Candidate>(context);
    balancer.update(candidates(1, 1, 1));
    averages.record(0, 100, false);
    const began = context.clock.now();
    for (let picked = -1; picked !== 0 && context.clock.now() < began + 60_000;) {
      context.clock.advance(100);
      averages.record(1, 10, false);
      averages.record(2, 10, false);
      picked = balancer.pick(requestOf(0))!.row;
    }
    const idleMs = context.clock.now() - began;
    expect(idleMs).toBeGreaterThan(20_000);
    expect(idleMs).toBeLessThan(30_000);

    context.table.begin(0, 0);
    for (let begun = 0; begun < 5; begun++) [1, 2].forEach((row) => context.table.begin(row, 0));
    for (let picks = 0; picks < 50; picks++) expect(balancer.pick(requestOf(0))!.row).not.toBe(0);
  });

  it('avoids an endpoint that fails fast, and returns to it when it works', () => {
    for (const seed of FEW) {
      const failing: SimulatedEndpoint = { meanMs: 10, failing: true };
      const simulated = pool(seed, failing, ...identical(2)).run(60_000, 50);
      expect(simulated.shares[0]).toBeLessThan(0.02);
      failing.failing = false;
      simulated.run(90_000, 50).forget();
      expect(simulated.run(30_000, 50).shares[0]).toBeGreaterThan(0.15);
    }
  });

  it('takes a new endpoint for an average one', () => {
    const context = pickContext();
    const averages = new LatencyAverages(context.table, context.clock);
    const balancer: Balancer = leastResponseTime.create<Candidate>(context);
    for (const row of [0, 1, 2]) averages.record(row, 50, false);
    balancer.update(candidates(1, 1, 1, 1));
    const shares = sharesOf(balancer, 4, 400);
    shares.forEach((share) => expect(share).toBeGreaterThan(0.2));
    expect(shares[3]).toBeLessThan(0.35);
  });

  it('weighs latency against what is in flight', () => {
    const context = pickContext();
    const averages = new LatencyAverages(context.table, context.clock);
    const balancer: Balancer = leastResponseTime.create<Candidate>(context);
    averages.record(0, 10, false);
    averages.record(1, 45, false);
    balancer.update(candidates(1, 1));
    for (let begun = 0; begun < 2; begun++) context.table.begin(0, 0);
    expect(balancer.pick(requestOf(0))!.row).toBe(0);
    for (let begun = 0; begun < 4; begun++) context.table.begin(0, 0);
    expect(balancer.pick(requestOf(0))!.row).toBe(1);
  });

  // Chance makes latencies differ, and then the faster one wins: the fewer requests, the looser the shares.
  it('follows weights among endpoints that are equally fast, the closer the busier', () => {
    const shareAt = (perSecond: number, seed: number) =>
      pool(seed, { meanMs: 10, weight: 3 }, { meanMs: 10, weight: 1 }).run(60_000, perSecond).shares[0]!;
    for (const seed of FEW) {
      expect(Math.abs(shareAt(50, seed) - 0.75)).toBeLessThan(0.2);
      expect(Math.abs(shareAt(1_000, seed) - 0.75)).toBeLessThan(0.06);
    }
  });
});
