import { describe, expect, it } from 'vitest';
import { FakeClock } from '../../test/support/fake-clock.ts';
import { seededRandom } from '../clock.ts';
import { EndpointTable } from '../memory/endpoint-table.ts';
import { LATENCY_DECAY_MS, LatencyAverages } from './latency.ts';

function averages() {
  const table = EndpointTable.allocate(1, 4);
  const clock = new FakeClock();
  const latency = new LatencyAverages(table, clock);
  const record = (durationMs: number, failed = false) => {
    latency.record(1, durationMs, failed);
    return table.averageMs(1);
  };
  return { table, clock, latency, record };
}

describe('latency averages', () => {
  it('begin with the first answer, and know when it was', () => {
    const { table, clock, record } = averages();
    expect(record(20)).toBe(20);
    expect(table.averageAt(1)).toBe(clock.now());
    expect(table.averageMs(0)).toBe(0);
  });

  it('follow a slow answer within a second, and a fast one within ten', () => {
    const { clock, record } = averages();
    record(10);
    clock.advance(1_000);
    const risen = record(500);
    expect(risen).toBeCloseTo(500 - 490 / Math.E);
    clock.advance(LATENCY_DECAY_MS);
    expect(record(10)).toBeCloseTo(10 + (risen - 10) / Math.E);
  });

  it('believe the first slow answer after a quiet time', () => {
    const { clock, record } = averages();
    record(10);
    clock.advance(30_000);
    expect(record(500)).toBeCloseTo(500, 0);
  });

  it('of a busy endpoint with a long tail stay far below those of an idle one that is ten times slower', () => {
    for (let seed = 1; seed <= 20; seed++) {
      const random = seededRandom(seed);
      const { clock, record } = averages();
      let sum = 0;
      for (let answers = 0; answers < 5_000; answers++) {
        clock.advance(20);
        sum += record(-Math.log(1 - random()) * 50);
      }
      expect(sum / 5_000).toBeLessThan(150);
    }
  });

  it('move little by many answers in a short time', () => {
    const { clock, record } = averages();
    record(100);
    for (let answers = 0; answers < 100; answers++) {
      clock.advance(1);
      record(10);
    }
    expect(record(10)).toBeGreaterThan(95);
  });

  it('take a fast failure for a slow answer', () => {
    const { clock, record } = averages();
    record(5);
    clock.advance(LATENCY_DECAY_MS);
    expect(record(1, true)).toBeCloseTo(1_000, 0);
  });

  it('take a failure for slower than the average, also in a slow pool', () => {
    const { clock, record } = averages();
    const failure = () => {
      clock.advance(LATENCY_DECAY_MS);
      return record(1, true);
    };
    record(3_000);
    expect(failure()).toBeCloseTo(6_000, 0);
    expect(failure()).toBeCloseTo(10_000, 0);
    expect(failure()).toBeCloseTo(10_000, 0);
  });

  it('count each failure, however many answers come', () => {
    const { record } = averages();
    record(16);
    expect(record(1, true)).toBeCloseTo(16 + (1_000 - 16) / 16);
    expect(record(1, true)).toBeGreaterThan(120);
  });

  it('do not take one failure among many answers for an end', () => {
    const { clock, record } = averages();
    record(50);
    let highest = 0;
    for (let answers = 0; answers < 5_000; answers++) {
      clock.advance(20);
      highest = Math.max(highest, record(50, answers % 400 === 0));
    }
    expect(highest).toBeLessThan(250);
  });

  it('take a wait that was given up for an answer, if it was longer than usual', () => {
    const { clock, latency, table, record } = averages();
    record(100);
    clock.advance(1_000);
    latency.waited(1, 50);
    expect(table.averageMs(1)).toBe(100);
    latency.waited(1, 500);
    expect(table.averageMs(1)).toBeCloseTo(500 - 400 / Math.E);
  });

  it('keep the time that a slow failure really took', () => {
    const { record } = averages();
    expect(record(30_000, true)).toBe(30_000);
  });

  it('know an answer that took no time', () => {
    const { record } = averages();
    expect(record(0)).toBeGreaterThan(0);
  });
});
