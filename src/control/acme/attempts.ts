/**
 * Failures in a row, and when the authority may be asked again. Written down, so that whoever starts again and again asks
 * no more often.
 */
import type { Random } from '../../clock.ts';
import type { Issued } from './issued.ts';
import { pauseMs, restMs } from './schedule.ts';

export interface Attempts {
  readonly failures: number;
  readonly reason: string;
  /** Milliseconds since the epoch. */
  readonly notBefore: number;
}

export const NO_ATTEMPTS: Attempts = { failures: 0, reason: '', notBefore: 0 };

/** Written before an order begins: a process that dies in the middle of it has failed. */
export const UNDER_WAY = 'an order is under way, or whoever placed it has ended';

/** @param now milliseconds since the epoch. @param askedSeconds the authority's own Retry-After. */
export function failedOnce(
  { failures: before }: Attempts,
  reason: string,
  now: number,
  random: Random,
  askedSeconds = 0,
): Attempts {
  const failures = before + 1;
  return { failures, reason, notBefore: now + pauseMs(failures, askedSeconds, random) };
}

export const succeeded = (issued: Issued, now: number): Attempts => ({
  ...NO_ATTEMPTS,
  notBefore: now + restMs(issued),
});

/** @throws when it tells of none. */
export function readAttempts({ failures, reason, notBefore }: Readonly<Record<string, unknown>>): Attempts {
  const isRight = Number.isInteger(failures) && typeof reason === 'string' && Number.isFinite(notBefore);
  if (!isRight) throw new Error('it does not tell of attempts');
  return { failures, reason, notBefore } as Attempts;
}
