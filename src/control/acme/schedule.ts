/** When a certificate is ordered: in good time before it ends, and after failures ever more rarely. */
import type { Random } from '../../clock.ts';
import type { Issued } from './issued.ts';

const DAY_MS = 86_400_000;
const FIRST_PAUSE_MS = 60_000;
const LONGEST_PAUSE_MS = 6 * 3_600_000;
/** What an authority asks for is heeded, within reason. */
const LONGEST_ASKED_MS = 7 * DAY_MS;
/** The spread, so that certificates of one day are not renewed in one minute. */
const SPREAD = 1 / 30;

/** After two thirds of its life, or a little before. */
export function renewAt({ validFrom, validTo }: Issued, random: Random): number {
  return validFrom + (validTo - validFrom) * (2 / 3 - SPREAD * random());
}

/**
 * Whatever clocks and dates say, an authority is not asked again sooner: with one of the two wrong, each certificate would
 * be old when it comes.
 */
export function restMs({ validFrom, validTo }: Issued): number {
  return Math.min(DAY_MS, (validTo - validFrom) / 3);
}

/**
 * 1, 4, 16, 64 minutes, then four and six hours: four failures in the first hour, of the five that Let's Encrypt allows.
 * @param failures in a row, this one included. @param askedSeconds Retry-After.
 */
export function pauseMs(failures: number, askedSeconds: number, random: Random): number {
  const own = Math.min(FIRST_PAUSE_MS * 4 ** Math.min(failures - 1, 10), LONGEST_PAUSE_MS);
  const asked = Math.min(askedSeconds * 1000, LONGEST_ASKED_MS);
  return Math.max(own, asked) * (1 + random() / 8);
}
