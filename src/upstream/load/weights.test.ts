import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../clock.ts';
import { ADAPTIVE_DEFAULTS, adaptiveOf, factorsOf, type Weighed } from './weights.ts';

const SILENT = { rate: 0, errorRate: 0 };
const tells = (utilization: number, rate = 100, errorRate = 0, weight = 1): Weighed => ({
  weight,
  load: { utilization, rate, errorRate },
  measured: SILENT,
});
const silent = (weight = 1): Weighed => ({ weight, load: undefined, measured: SILENT });

/** Shares of the load. */
function shares(members: readonly Weighed[], settings = ADAPTIVE_DEFAULTS): number[] {
  const weights = factorsOf(members, settings).map((factor, at) => factor * members[at]!.weight);
  const sum = weights.reduce((total, weight) => total + weight, 0);
  return weights.map((weight) => Math.round((weight / sum) * 1000) / 1000);
}

describe('weights from reports', () => {
  it('give who serves the same with half the load twice as much', () => {
    expect(shares([tells(0.25), tells(0.5), tells(0.5)])).toEqual([0.5, 0.25, 0.25]);
  });

  it('give who serves twice as much with the same load twice as much', () => {
    expect(shares([tells(0.5, 200), tells(0.5, 100), tells(0.5, 100)])).toEqual([0.5, 0.25, 0.25]);
  });

  it('hold errors against an endpoint, as far as the penalty says', () => {
    const members = [tells(0.5, 100, 50), tells(0.5), tells(0.5)];
    expect(shares(members)).toEqual([0.2, 0.4, 0.4]);
    expect(shares(members, { ...ADAPTIVE_DEFAULTS, errorPenalty: 0 })).toEqual([0.333, 0.333, 0.333]);
    // More errors than requests are no more than all of them.
    expect(shares([tells(0.5, 100, 1e9), tells(0.5), tells(0.5)])).toEqual([0.143, 0.429, 0.429]);
  });

  it('are those that are written while fewer than two tell', () => {
    expect(factorsOf([silent(), silent(3)], ADAPTIVE_DEFAULTS)).toEqual([1, 1]);
    expect(factorsOf([tells(0.01), silent(3)], ADAPTIVE_DEFAULTS)).toEqual([1, 1]);
  });

  it('take who does not tell, or is idle, for one of the others', () => {
    expect(shares([tells(0.25), tells(0.5), tells(0.5), silent(), tells(0)])).toEqual([
      0.333, 0.167, 0.167, 0.167, 0.167,
    ]);
  });

  it('take the place of weights that are written, and give nothing to zero', () => {
    expect(shares([tells(0.5, 100, 0, 5), tells(0.5), tells(0.5, 100, 0, 0)])).toEqual([0.5, 0.5, 0]);
  });

  it('go by what this gateway counts, as soon as one endpoint does not say how much it has', () => {
    const measured = (rate: number, said: number): Weighed => ({
      weight: 1,
      load: { utilization: 0.5, rate: said, errorRate: 0 },
      measured: { rate, errorRate: 0 },
    });
    expect(shares([measured(20, 0), measured(10, 1000), measured(10, 1000)])).toEqual([0.5, 0.25, 0.25]);
  });

  it('are bounded: who boasts does not take all, who complains does not starve', () => {
    expect(shares([tells(1e-9, 1e9), tells(0.5), tells(0.5)])).toEqual([0.833, 0.083, 0.083]);
    expect(Math.min(...shares([tells(1e9, 1e-9), tells(0.5), tells(0.5)]))).toBeGreaterThan(0.04);
  });

  it('even out the load of unequal machines within a few rounds, and keep it even', () => {
    const capacities = [100, 200, 400, 800];
    let rates = capacities.map(() => 150);
    for (let round = 0; round < 5; round++) {
      const members = rates.map((rate, at) =>
        tells(Math.min(1, rate / capacities[at]!), Math.min(rate, capacities[at]!)),
      );
      rates = shares(members).map((share) => share * 600);
    }
    const utilizations = rates.map((rate, at) => rate / capacities[at]!);
    expect(Math.max(...utilizations) / Math.min(...utilizations)).toBeLessThan(1.02);
  });

  it('are finite, above zero and of an unchanged sum, whatever is reported', () => {
    const random = seededRandom(3);
    const number = () => [0, 1e-9, 1e9, random(), random() * 1e6][Math.floor(random() * 5)]!;
    for (let round = 0; round < 5_000; round++) {
      const members = Array.from({ length: 2 + (round % 7) }, () => ({
        weight: Math.floor(random() * 4),
        load: random() < 0.3 ? undefined : { utilization: number(), rate: number(), errorRate: number() },
        measured: { rate: number(), errorRate: number() },
      }));
      const factors = factorsOf(members, ADAPTIVE_DEFAULTS);
      expect(factors.every((factor) => factor > 0 && Number.isFinite(factor))).toBe(true);
      const sum = (of: (at: number) => number) => members.reduce((total, _, at) => total + of(at), 0);
      expect(sum((at) => factors[at]! * members[at]!.weight)).toBeCloseTo(
        sum((at) => members[at]!.weight),
        6,
      );
    }
  });
});

it('a pool is adaptive by its word, or by settings', () => {
  expect(adaptiveOf('adaptive')).toBe(ADAPTIVE_DEFAULTS);
  expect(adaptiveOf({ adaptive: { ...ADAPTIVE_DEFAULTS, update: 5 } })!.update).toBe(5);
  expect([adaptiveOf('random'), adaptiveOf({ hash: 'path' })]).toEqual([undefined, undefined]);
});
