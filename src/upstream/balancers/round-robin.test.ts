import { describe, expect, it } from 'vitest';
import { candidates, pickContext, requestOf, SEEDS } from '../../../test/support/picking.ts';
import type { Balancer, Candidate } from '../endpoint.ts';
import roundRobin from './round-robin.ts';

function rows(balancer: Balancer, picks: number): number[] {
  return Array.from({ length: picks }, () => balancer.pick(requestOf(0))!.row);
}

function rotation(seed: number, ...weights: number[]): Balancer {
  const balancer = roundRobin.create<Candidate>(pickContext(seed));
  balancer.update(candidates(...weights));
  return balancer;
}

describe('round-robin', () => {
  it('takes equal endpoints strictly in turn', () => {
    const turns = rows(rotation(1, 2, 2, 2), 9);
    expect(turns.slice(3)).toEqual(turns.slice(0, 6));
    expect(new Set(turns.slice(0, 3)).size).toBe(3);
  });

  it('starts anywhere, so that threads do not move in step', () => {
    expect(new Set(SEEDS.map((seed) => rows(rotation(seed, 1, 1, 1), 1)[0])).size).toBe(3);
    expect(new Set(SEEDS.map((seed) => rows(rotation(seed, 3, 2, 1), 6).join())).size).toBeGreaterThan(5);
  });

  it('gives each its exact share in every round of unequal weights', () => {
    for (const seed of SEEDS) {
      const turns = rows(rotation(seed, 5, 1, 4), 100);
      for (let at = 0; at < 100; at += 10) {
        const round = turns.slice(at, at + 10);
        expect([0, 1, 2].map((row) => round.filter((picked) => picked === row).length)).toEqual([5, 1, 4]);
      }
    }
  });

  it('never sends a burst to the heavy one: its turns are spread out', () => {
    for (const seed of SEEDS) {
      const turns = rows(rotation(seed, 2, 1, 1), 200).join('');
      expect(turns).not.toContain('000');
      expect(turns).not.toMatch(/[12]{4}/);
    }
  });

  it('keeps exact shares while the set is updated again and again', () => {
    const balancer = rotation(1, 3, 1);
    const counts = [0, 0];
    for (let round = 0; round < 400; round++) {
      balancer.update(candidates(3, 1));
      counts[balancer.pick(requestOf(0))!.row]! += 1;
    }
    expect(counts).toEqual([300, 100]);
  });
});
