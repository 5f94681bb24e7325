import { describe, expect, it } from 'vitest';
import { candidates, pickContext, requestOf, SEEDS } from '../../../test/support/picking.ts';
import { SimulatedPool } from '../../../test/support/simulated-pool.ts';
import type { Balancer, Candidate } from '../endpoint.ts';
import leastConnections from './least-connections.ts';

function poolOf(seed: number, ...weights: number[]) {
  const context = pickContext(seed);
  const balancer: Balancer = leastConnections.create<Candidate>(context);
  balancer.update(candidates(...weights));
  return { table: context.table, pick: () => balancer.pick(requestOf(0))!.row };
}

describe('least-connections', () => {
  it('never picks the busier, in a small pool', () => {
    for (const seed of SEEDS) {
      const { table, pick } = poolOf(seed, 1, 1, 1, 1, 1, 1, 1, 1);
      for (const busy of [0, 2, 3, 4, 5, 6, 7]) table.begin(busy, 0);
      for (let picks = 0; picks < 20; picks++) expect(pick()).toBe(1);
    }
  });

  it('never picks the busiest of many', () => {
    for (const seed of SEEDS) {
      const { table, pick } = poolOf(seed, 1, 1, 1, 1, 1, 1, 1, 1);
      table.begin(5, 0);
      for (let picks = 0; picks < 100; picks++) expect(pick()).not.toBe(5);
    }
  });

  it('counts what is in flight against the weight', () => {
    const { table, pick } = poolOf(1, 4, 1);
    for (let begun = 0; begun < 3; begun++) table.begin(0, 0);
    table.begin(1, 0);
    expect(pick()).toBe(0);
    for (let begun = 0; begun < 2; begun++) table.begin(0, 0);
    expect(pick()).toBe(1);
  });

  it('fills a pool in proportion to weights when nothing ever ends', () => {
    for (const seed of SEEDS) {
      const { table, pick } = poolOf(seed, 8, 4, 2, 1, 1);
      for (let begun = 0; begun < 1_600; begun++) table.begin(pick(), 0);
      [800, 400, 200, 100, 100].forEach((fair, row) => {
        expect(Math.abs(table.inFlight(row) - fair)).toBeLessThanOrEqual(16);
      });
    }
  });

  it('prefers by recent rate among those with as many in flight', () => {
    const { table, pick } = poolOf(1, 1, 1);
    table.begin(1, 0);
    for (let picks = 0; picks < 5; picks++) expect(pick()).toBe(0);
    table.end(1, 0);
    for (let picks = 0; picks < 5; picks++) expect(pick()).toBe(1);
  });

  // What it can know is what is in flight: the busier the pool, the better it tells a slow endpoint from the others.
  it('leaves a ten times slower endpoint of three under a tenth of a busy pool, under a fifth of one with few in flight', () => {
    const shareAt = (perSecond: number, seed: number) =>
      new SimulatedPool(leastConnections, [{ meanMs: 10 }, { meanMs: 10 }, { meanMs: 100 }], seed).run(
        20_000,
        perSecond,
      ).shares[2]!;
    for (const seed of SEEDS.slice(0, 5)) {
      expect(shareAt(500, seed)).toBeLessThan(0.1);
      expect(shareAt(80, seed)).toBeLessThan(0.2);
    }
  });
});
