import { describe, expect, it } from 'vitest';
import { seededRandom, type Random } from '../clock.ts';
import { EndpointTable } from '../memory/endpoint-table.ts';
import { LatencyQuantile } from './latency-quantile.ts';

const fresh = () => new LatencyQuantile(EndpointTable.allocate(1, 1).budgets, 0);

/** Log-normal around `medianMs`, as services are. */
function answerMs(random: Random, medianMs: number): number {
  const normal = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  return medianMs * Math.exp(0.5 * normal);
}

const P95 = Math.exp(0.5 * 1.645);

function learn(quantile: LatencyQuantile, random: Random, medianMs: number, answers: number): LatencyQuantile {
  for (let at = 0; at < answers; at++) quantile.record(answerMs(random, medianMs));
  return quantile;
}

describe('a pool’s 95th percentile', () => {
  it('is not known before fifty answers', () => {
    const random = seededRandom(1);
    const quantile = learn(fresh(), random, 10, 49);
    expect(quantile.ms).toBeUndefined();
    quantile.record(10);
    expect(quantile.ms).toBeDefined();
  });

  it.each([0.5, 10, 3_000])('is found within a third, for services of %d ms', (medianMs) => {
    for (let seed = 1; seed <= 20; seed++) {
      const ms = learn(fresh(), seededRandom(seed), medianMs, 1_000).ms!;
      expect(ms / (medianMs * P95)).toBeGreaterThan(0.67);
      expect(ms / (medianMs * P95)).toBeLessThan(1.5);
    }
  });

  it('follows when all becomes ten times slower, and when it is over', () => {
    const random = seededRandom(3);
    const quantile = learn(fresh(), random, 10, 1_000);
    expect(learn(quantile, random, 100, 100).ms).toBeGreaterThan(80);
    expect(learn(quantile, random, 10, 3_000).ms).toBeLessThan(10 * P95 * 1.5);
  });

  it('is learnt as well from tries that were given up as late', () => {
    const random = seededRandom(4);
    const quantile = fresh();
    for (let at = 0; at < 2_000; at++) {
      const ms = answerMs(random, 10);
      // Overtaken a little after the estimate: how late it would have been nobody knows.
      quantile.record(Math.min(ms, (quantile.ms ?? Infinity) * 1.01));
    }
    expect(quantile.ms! / (10 * P95)).toBeGreaterThan(0.67);
    expect(quantile.ms! / (10 * P95)).toBeLessThan(1.5);
  });

  it('is one for all threads', () => {
    const table = EndpointTable.allocate(2, 1);
    const random = seededRandom(5);
    learn(new LatencyQuantile(table.budgets, 0), random, 10, 60);
    expect(new LatencyQuantile(table.budgets, 0).ms).toBeGreaterThan(0);
  });
});
