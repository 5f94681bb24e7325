import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../src/clock.ts';
import { SmoothWeights } from './smooth-weights.ts';

function turns(weights: readonly number[], count: number): number[] {
  const smooth = new SmoothWeights(weights);
  return Array.from({ length: count }, () => smooth.next());
}

const countOf = (taken: readonly number[], index: number): number => taken.filter((turn) => turn === index).length;

describe('shares by weight', () => {
  it('are interleaved: 3 to 1 is a a b a', () => {
    expect(turns([3, 1], 8)).toEqual([0, 0, 1, 0, 0, 0, 1, 0]);
  });

  it('70 to 30 to 0 is exact over ten requests as over 500, and 0 takes none', () => {
    for (const count of [10, 100, 500]) {
      const taken = turns([70, 30, 0], count);
      expect([0, 1, 2].map((index) => countOf(taken, index))).toEqual([count * 0.7, count * 0.3, 0]);
    }
  });

  it('a zero before the others takes none either', () => {
    expect(new Set(turns([0, 1, 0, 1], 20))).toEqual(new Set([1, 3]));
  });

  it('are at no moment further from exact than one request for each branch', () => {
    for (let seed = 0; seed < 100; seed++) {
      const random = seededRandom(seed);
      const weights = Array.from({ length: 2 + Math.floor(random() * 4) }, () => Math.floor(random() * 100));
      weights[0] = 1;
      const total = weights.reduce((sum, weight) => sum + weight);
      const taken = turns(weights, 300);
      for (let sent = 1; sent <= 300; sent++) {
        weights.forEach((weight, index) => {
          const exact = (sent * weight) / total;
          expect(Math.abs(countOf(taken.slice(0, sent), index) - exact)).toBeLessThan(weights.length);
        });
      }
    }
  });
});
