/** The two forms of `x-request-deadline`. */
import type { Clock } from '../../src/clock.ts';

/** What is left when the request was sent. */
const RELATIVE = /^(\d{1,9}(?:\.\d{1,6})?)(ms|s)$/;
/** Unix milliseconds: thirteen digits until the year 2286. Ten would be seconds, and are refused rather than taken for 1970. */
const ABSOLUTE = /^\d{13}$/;

/** @returns the moment on the clock's own scale; NaN when it is none. */
export function readDeadline(text: string, startedAt: number, clock: Clock): number {
  const [, number, unit] = RELATIVE.exec(text) ?? [];
  if (number !== undefined) return startedAt + Number(number) * (unit === 's' ? 1_000 : 1);
  return ABSOLUTE.test(text) ? clock.now() + (Number(text) - clock.wall()) : NaN;
}
