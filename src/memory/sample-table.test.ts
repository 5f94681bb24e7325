import { describe, expect, it } from 'vitest';
import { EndpointTable } from './endpoint-table.ts';
import { sampleBetween, VERDICT } from './sample-table.ts';

const ROW = 2;

describe('samples of an endpoint', () => {
  it('add up over threads, between two readings', () => {
    const { samples } = EndpointTable.allocate(3, 8);
    samples.add(ROW, 0, VERDICT.failed, 5);
    const before = samples.read(ROW);
    samples.add(ROW, 0, VERDICT.ok, 5);
    samples.add(ROW, 1, VERDICT.ok, 5);
    samples.add(ROW, 2, VERDICT.failed, 5);
    samples.add(ROW, 2, VERDICT.ignored, 5);
    expect(sampleBetween(before, samples.read(ROW))).toMatchObject({ ok: 2, failed: 1 });
  });

  it('know the median within a fifth, whatever single answers took', () => {
    const { samples } = EndpointTable.allocate(1, 8);
    for (const ms of [0.2, 1, 7, 40, 333, 2_500]) {
      const before = samples.read(ROW);
      for (let count = 0; count < 10; count++) samples.add(ROW, 0, VERDICT.ok, ms);
      for (let count = 0; count < 4; count++) samples.add(ROW, 0, VERDICT.ok, 30_000);
      const { medianMs } = sampleBetween(before, samples.read(ROW));
      expect(medianMs / ms).toBeGreaterThan(0.8);
      expect(medianMs / ms).toBeLessThan(1.2);
    }
  });

  it('take times of nothing and of days', () => {
    const { samples } = EndpointTable.allocate(1, 8);
    const before = samples.read(ROW);
    for (const ms of [0, -1, 1e12]) samples.add(ROW, 0, VERDICT.ok, ms);
    expect(sampleBetween(before, samples.read(ROW)).ok).toBe(3);
    expect(samples.read(ROW + 1).every((count) => count === 0)).toBe(true);
  });

  it('begin anew in a row that is given out anew, and of an odd number of threads', () => {
    const table = EndpointTable.allocate(3, 7);
    table.samples.add(6, 2, VERDICT.ok, 5);
    table.breakers.setUntil(6, 1.5);
    table.reset(6);
    expect(table.samples.read(6).every((count) => count === 0)).toBe(true);
    expect(table.breakers.until(6)).toBe(0);
  });
});
