/**
 * API keys as `aya consumer key` makes them: `aya_<id>_<30 letters and digits>_<checksum>`. The prefix is for those who
 * look for leaked keys, the checksum lets them, and the gateway, tell a key from what only looks like one. What is kept
 * of a key is its SHA-256: with 178 random bits behind it nothing slower is needed.
 */
import { hash, randomInt } from 'node:crypto';
import { crc32 } from 'node:zlib';

const PREFIX = 'aya_';
const DIGITS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
/** 62^30 > 2^178. */
const SECRET_LENGTH = 30;
const ID_LENGTH = 8;
/** 62^6 > 2^32. */
const CHECKSUM_LENGTH = 6;

export interface ApiKey {
  readonly id: string;
  /** Shown once, and kept by nobody but its owner. */
  readonly key: string;
  readonly sha256: string;
}

export function createApiKey(id = randomText(ID_LENGTH)): ApiKey {
  const body = `${PREFIX}${id}_${randomText(SECRET_LENGTH)}`;
  const key = `${body}_${checksum(body)}`;
  return { id, key, sha256: hashApiKey(key) };
}

/** SHA-256 in lower-case hex. */
export const hashApiKey = (key: string): string => hash('sha256', key);

/** Visible ASCII: nothing that two encodings, a NUL or a space could make two spellings of. */
const SPELLING = /^[!-~]{1,512}$/;

/** Whether it can be a key at all. Keys of other makers can be anything visible; ours must add up. */
export function isWellFormed(key: string): boolean {
  if (!SPELLING.test(key)) return false;
  if (!key.startsWith(PREFIX)) return true;
  const end = key.length - CHECKSUM_LENGTH - 1;
  return key[end] === '_' && checksum(key.slice(0, end)) === key.slice(end + 1);
}

function checksum(text: string): string {
  let rest = crc32(text);
  let digits = '';
  for (let at = 0; at < CHECKSUM_LENGTH; at++) {
    digits = DIGITS[rest % 62]! + digits;
    rest = Math.floor(rest / 62);
  }
  return digits;
}

function randomText(length: number): string {
  return Array.from({ length }, () => DIGITS[randomInt(DIGITS.length)]).join('');
}
