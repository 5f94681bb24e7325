import { describe, expect, it } from 'vitest';
import { pauseMs, renewAt, restMs } from './schedule.ts';

const DAY_MS = 86_400_000;
const MINUTE_MS = 60_000;
const lasting = (days: number) => ({ chain: '', key: '', validFrom: 0, validTo: days * DAY_MS });

describe('a certificate', () => {
  it.each([90, 6, 1])('of %d days is renewed with about a third of its life left, each at its own moment', (days) => {
    const earliest = renewAt(lasting(days), () => 1);
    const latest = renewAt(lasting(days), () => 0);
    expect(latest).toBe((days * DAY_MS * 2) / 3);
    expect(earliest).toBeGreaterThan(0.63 * days * DAY_MS);
    expect(earliest).toBeLessThan(latest);
  });

  it('is not ordered twice a day, or, where it lives for a day, twice in eight hours', () => {
    expect(restMs(lasting(90))).toBe(DAY_MS);
    expect(restMs(lasting(1))).toBe(DAY_MS / 3);
  });
});

describe('after failures', () => {
  const never = () => 0;

  it('fewer than five tries fall into an hour, and in the end there is one in six hours', () => {
    const pauses = Array.from({ length: 9 }, (_, at) => pauseMs(at + 1, 0, never) / MINUTE_MS);
    expect(pauses).toEqual([1, 4, 16, 64, 256, 360, 360, 360, 360]);
    const within = pauses.reduce<number[]>((moments, pause) => [...moments, moments.at(-1)! + pause], [0]);
    expect(within.filter((minutes) => minutes < 60)).toHaveLength(4);
    expect(pauseMs(1e9, 0, never)).toBe(360 * MINUTE_MS);
  });

  it('what the authority asks for is heeded, up to a week', () => {
    expect(pauseMs(1, 7_200, never)).toBe(120 * MINUTE_MS);
    expect(pauseMs(9, 60, never)).toBe(360 * MINUTE_MS);
    expect(pauseMs(1, 1e9, never)).toBe(7 * DAY_MS);
  });
});
