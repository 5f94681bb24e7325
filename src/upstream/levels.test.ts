import { describe, expect, it } from 'vitest';
import { seededRandom } from '../clock.ts';
import { localShare, shareOut, type LevelHealth } from './levels.ts';

const of100 = (...capacities: number[]): LevelHealth[] => capacities.map((capacity) => ({ capacity, total: 100 }));

function percentages(...capacities: number[]): number[] {
  return shareOut(of100(...capacities), 1.4).shares.map((share) => Math.round(share * 100));
}

describe('the shares of levels', () => {
  it.each([
    // The table of Envoy's documentation (priority levels, overprovisioning factor 1.4).
    [
      [100, 100],
      [100, 0],
    ],
    [
      [72, 100],
      [100, 0],
    ],
    [
      [71, 100],
      [99, 1],
    ],
    [
      [50, 100],
      [70, 30],
    ],
    [
      [25, 100],
      [35, 65],
    ],
    [
      [0, 100],
      [0, 100],
    ],
    [
      [25, 25],
      [50, 50],
    ],
    [
      [5, 65],
      [7, 93],
    ],
    [
      [20, 0, 100],
      [28, 0, 72],
    ],
  ])('with %j %% of each available are %j', (capacities, expected) => {
    expect(percentages(...capacities)).toEqual(expected);
  });

  it('are none where nobody is available', () => {
    expect(percentages(0, 0)).toEqual([0, 0]);
    expect(shareOut([{ capacity: 0, total: 0 }], 1.4).shares).toEqual([0]);
  });

  it('add up to one, and grow with the health of their level and never with that of another', () => {
    const random = seededRandom(7);
    for (let round = 0; round < 2_000; round++) {
      const levels = Array.from({ length: 1 + Math.floor(random() * 5) }, (): LevelHealth => {
        const total = 1 + Math.floor(random() * 20);
        return { total, capacity: Math.floor(random() * (total + 1)) };
      });
      const overprovisioning = 1 + random();
      const { shares } = shareOut(levels, overprovisioning);
      const sum = shares.reduce((a, b) => a + b, 0);
      if (levels.some(({ capacity }) => capacity > 0)) expect(sum).toBeCloseTo(1, 9);
      else expect(sum).toBe(0);

      const at = Math.floor(random() * levels.length);
      const { capacity, total } = levels[at]!;
      const better = levels.with(at, { total, capacity: Math.min(total, capacity + 1) });
      const after = shareOut(better, overprovisioning).shares;
      after.forEach((share, level) => {
        if (level === at) expect(share).toBeGreaterThanOrEqual(shares[level]! - 1e-9);
        else expect(share).toBeLessThanOrEqual(shares[level]! + 1e-9);
      });
    }
  });
});

describe('the share of the own zone', () => {
  it.each([
    [3, 6, 2, 1],
    // Two of three take what three had.
    [2, 5, 2, 1],
    // One of three takes what it can.
    [1, 4, 2, 0.7],
    [1, 10, 2, 0.28],
    [0, 3, 2, 0],
  ])('with %d of %d endpoints of %d zones is %d', (local, all, zones, expected) => {
    expect(localShare(local, all, zones, 1.4)).toBeCloseTo(expected, 9);
  });

  it('is never more than its endpoints can take: 1.4 times what all would have without zones', () => {
    const random = seededRandom(3);
    for (let round = 0; round < 1_000; round++) {
      const zones = 2 + Math.floor(random() * 4);
      const local = 1 + Math.floor(random() * 10);
      const all = local + Math.floor(random() * 30);
      const perEndpoint = (localShare(local, all, zones, 1.4) / zones / local) * all;
      expect(perEndpoint).toBeLessThanOrEqual(1.4 + 1e-9);
    }
  });
});
