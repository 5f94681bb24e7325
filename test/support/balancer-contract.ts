/** What every balancer owes the pool, whatever its policy. */
import { describe, expect, it } from 'vitest';
import type { BalancerDefinition, Candidate } from '../../src/upstream/endpoint.ts';
import { candidates, pickContext, requestOf, SEEDS, sharesOf } from './picking.ts';

export function balancerContract(definition: BalancerDefinition, hash?: string): void {
  const create = (seed = 1) => definition.create<Candidate>(pickContext(seed, hash));

  describe(`${definition.name}, as every balancer`, () => {
    it('picks nothing before it was given a set, from an empty one, and where all weights are zero', () => {
      const balancer = create();
      expect(balancer.pick(requestOf(1))).toBeUndefined();
      for (const weights of [[], [0], [0, 0, 0, 0, 0]]) {
        balancer.update(candidates(...weights));
        expect(balancer.pick(requestOf(1))).toBeUndefined();
      }
    });

    it('always picks the only endpoint', () => {
      const balancer = create();
      const only = candidates(3);
      balancer.update(only);
      for (let number = 0; number < 50; number++) expect(balancer.pick(requestOf(number))).toBe(only[0]);
    });

    it('gives nothing to weight zero', () => {
      const balancer = create();
      balancer.update(candidates(1, 0, 1, 1, 0, 1));
      const shares = sharesOf(balancer, 6, 1_000);
      expect([shares[1], shares[4]]).toEqual([0, 0]);
      expect(Math.min(shares[0]!, shares[2]!, shares[3]!, shares[5]!)).toBeGreaterThan(0);
    });

    it('keeps 70/30/0 within five points of 500 picks', () => {
      const balancer = create();
      balancer.update(candidates(70, 30, 0));
      const [heavy, light, none] = sharesOf(balancer, 3, 500);
      expect(Math.abs(heavy! - 0.7)).toBeLessThanOrEqual(0.05);
      expect(Math.abs(light! - 0.3)).toBeLessThanOrEqual(0.05);
      expect(none).toBe(0);
    });

    it('follows weights from 1 to 9, fractions included, in a pool of every size, for every seed', () => {
      for (const seed of SEEDS) {
        const weights = Array.from({ length: 2 + (seed % 9) }, (_, row) => 1 + ((row * 7 + seed) % 17) / 2);
        const total = weights.reduce((sum, weight) => sum + weight, 0);
        const balancer = create(seed);
        balancer.update(candidates(...weights));
        const shares = sharesOf(balancer, weights.length, 4_000);
        shares.forEach((share, row) => expect(Math.abs(share - weights[row]! / total)).toBeLessThan(0.03));
      }
    });

    it('picks only members of the set that it was given last', () => {
      const all = candidates(1, 2, 3, 4, 5, 6, 7, 8);
      for (const seed of SEEDS) {
        const balancer = create(seed);
        for (let round = 0; round < 20; round++) {
          const set = all.filter((_, row) => ((round * 37 + seed * 11) >> (row % 5)) % 2 === 0);
          balancer.update(set);
          for (let number = 0; number < 20; number++) {
            const picked = balancer.pick(requestOf(round * 20 + number));
            if (set.length === 0) expect(picked).toBeUndefined();
            else expect(set).toContain(picked);
          }
        }
      }
    });

    it('serves the new objects after an update with the same rows', () => {
      const balancer = create();
      balancer.update(candidates(1, 1, 1, 1));
      const renewed = candidates(1, 1, 1, 1);
      balancer.update(renewed);
      for (let number = 0; number < 20; number++) {
        const picked = balancer.pick(requestOf(number));
        expect(renewed.some((candidate) => candidate === picked)).toBe(true);
      }
    });

    it('does not flood an endpoint that joins, in a pool of three as in one of five', () => {
      for (const seed of SEEDS) {
        for (const members of [3, 5]) {
          const balancer = create(seed);
          const all = candidates(1, 1, 1, 1, 1).slice(0, members);
          balancer.update(all.slice(0, -1));
          sharesOf(balancer, members, 1_000);
          balancer.update(all);
          expect(sharesOf(balancer, members, 60).at(-1)).toBeLessThan(1 / members + 0.2);
        }
      }
    });

    it('leaves the given array alone', () => {
      const given = candidates(1, 0, 2).reverse();
      const before = [...given];
      create().update(given);
      expect(given).toEqual(before);
    });
  });
}
