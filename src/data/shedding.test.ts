import { describe, expect, it } from 'vitest';
import { seededRandom } from '../clock.ts';
import { PRIORITIES, type Priority } from '../priority.ts';
import { Shedding, type Readings } from './shedding.ts';

const LIMITS = { loopDelay: 200, heap: 0.85, memory: 1024 ** 3 };
const CALM: Readings = { loopDelayMs: 2, heap: 0.3, rssBytes: 200 * 1024 ** 2 };

/** After so many readings. */
function after(shedding: Shedding, readings: number, changes: Partial<Readings> = {}): Shedding {
  for (let reading = 0; reading < readings; reading++) shedding.look({ ...CALM, ...changes }, LIMITS);
  return shedding;
}

/** Of a thousand requests of the priority, the share that is refused. */
function refused(shedding: Shedding, priority: Priority): number {
  const random = seededRandom(1);
  const shed = Array.from({ length: 1_000 }, () => shedding.sheds(PRIORITIES.indexOf(priority), random));
  return shed.filter(Boolean).length / 1_000;
}

const shares = (shedding: Shedding) => PRIORITIES.map((priority) => refused(shedding, priority));

describe('an overloaded thread', () => {
  it('refuses nobody for one long stall', () => {
    const shedding = after(new Shedding(), 1, { loopDelayMs: 5_000 });
    after(shedding, 1);
    expect(after(shedding, 1, { loopDelayMs: 5_000 }).isActive).toBe(false);
  });

  it('refuses the lowest priority first, then the next, and the highest at last', () => {
    const shedding = new Shedding();
    const seen = Array.from({ length: 13 }, () => shares(after(shedding, 1, { loopDelayMs: 250 })));
    for (const [high, normal, low] of seen) {
      if (normal! > 0) expect(low).toBe(1);
      if (high! > 0) expect(normal).toBe(1);
    }
    expect(seen[0]).toEqual([0, 0, 0]);
    expect(seen[2]![2]).toBeGreaterThan(0.4);
    expect(seen.at(-1)).toEqual([1, 1, 1]);
  });

  it('is quicker about it when it is far beyond', () => {
    expect(after(new Shedding(), 3, { loopDelayMs: 400 }).share).toBe(1);
    expect(after(new Shedding(), 3, { loopDelayMs: 250 }).share).toBe(0.5);
  });

  it('goes on for as long as it is not clearly over, and then lets them in again little by little', () => {
    const shedding = after(new Shedding(), 9, { loopDelayMs: 250 });
    expect(after(shedding, 20, { loopDelayMs: 190 }).share).toBe(2);
    expect(after(shedding, 5).share).toBeCloseTo(1.5);
    expect(after(shedding, 15).isActive).toBe(false);
  });

  it.each([
    [{ loopDelayMs: 250 }, 'event-loop delay 250 ms of 200 ms'],
    [{ heap: 0.9 }, 'heap at 90 % of 85 %'],
    [{ rssBytes: 1025 * 1024 ** 2 }, 'memory 1025 MiB of 1024 MiB'],
  ])('says what there is too much of: %o', (changes, reason) => {
    expect(after(new Shedding(), 2, changes).reason).toBe(reason);
  });
});
