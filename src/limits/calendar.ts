/**
 * Days and months of a time zone. A day begins when its date does: at 00:00 nearly always, at 01:00 where the clocks skip
 * midnight; it has 23 or 25 hours when they change. Found by asking Intl for the date, and by halving: a few dozen
 * questions, once a period.
 */
import type { QuotaPeriod } from './limiter.ts';

export type CalendarUnit = 'day' | 'month';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** Longer than any. */
const LONGEST_MS = { day: 27 * HOUR_MS, month: 32 * DAY_MS } as const;

/** What a quota of that unit is said to last. */
export const NOMINAL_MS = { day: DAY_MS, month: 31 * DAY_MS } as const;

export function isTimeZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: name });
    return true;
  } catch {
    return false;
  }
}

/** @throws RangeError when there is no such time zone. */
export function calendar(unit: CalendarUnit, timeZone: string): (wallMs: number) => QuotaPeriod {
  const format = new Intl.DateTimeFormat('en-CA', {
    timeZone,
    year: 'numeric',
    month: '2-digit',
    ...(unit === 'day' ? { day: '2-digit' } : {}),
  });
  const idAt = (wallMs: number) => format.format(wallMs);
  return (wallMs) => {
    const id = idAt(wallMs);
    const isIn = (moment: number) => idAt(moment) === id;
    const startMs = firstMoment(wallMs - LONGEST_MS[unit], wallMs, isIn);
    const endMs = firstMoment(wallMs, wallMs + LONGEST_MS[unit], (moment) => !isIn(moment));
    return { id, startMs, endMs };
  };
}

/** The first millisecond for which `holds`, between one for which it does not and one for which it does. */
function firstMoment(before: number, after: number, holds: (moment: number) => boolean): number {
  let low = before;
  let high = after;
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (holds(middle)) high = middle;
    else low = middle;
  }
  return high;
}
