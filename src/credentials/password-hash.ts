/**
 * Passwords are kept as `scrypt$N$r$p$salt$hash` (RFC 7914; salt and hash in base64url). What a file may ask for is
 * bounded: whoever writes a hash decides how much memory and time each wrong guess costs the gateway.
 */
import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto';

export interface PasswordHash {
  readonly cost: ScryptCost;
  readonly salt: Buffer;
  readonly hash: Buffer;
}

export interface ScryptCost {
  /** A power of two: the cost in time and memory. */
  readonly N: number;
  readonly r: number;
  readonly p: number;
}

/** 32 MiB and some 80 ms, once for each password and thread. */
export const DEFAULT_COST: ScryptCost = { N: 2 ** 15, r: 8, p: 1 };

/** Less is guessed too fast by whoever gets hold of the file. */
export const LEAST_N = 2 ** 14;
const MOST_MEMORY = 64 * 1024 ** 2;
const MOST_P = 8;
const SALT_BYTES = 16;
const HASH_BYTES = 32;

const WRITTEN = /^scrypt\$(\d{1,8})\$(\d{1,3})\$(\d{1,3})\$([\w-]{4,128})\$([\w-]{22,128})$/;

/** @returns what is wrong with it, where it is no hash that the gateway would verify. It holds nothing of the hash. */
export function parsePasswordHash(text: string): PasswordHash | string {
  const [, N = '', r = '', p = '', salt = '', hash = ''] = WRITTEN.exec(text) ?? [];
  if (N === '')
    return 'is not scrypt$N$r$p$salt$hash with salt and hash in base64url: make it with aya consumer password';
  const cost = { N: Number(N), r: Number(r), p: Number(p) };
  if (cost.N < 2 || !Number.isInteger(Math.log2(cost.N))) return `has N ${N}, which is no power of two`;
  if (cost.r === 0 || cost.p === 0) return 'has r or p 0';
  if (memoryOf(cost) > MOST_MEMORY || cost.p > MOST_P) {
    return `costs too much for each guess: at most ${MOST_MEMORY / 1024 ** 2} MiB (128 × N × r), and p ${MOST_P}`;
  }
  return { cost, salt: Buffer.from(salt, 'base64url'), hash: Buffer.from(hash, 'base64url') };
}

/** One person's é is another's e with an accent (RFC 8265 §4.2): both are one. */
export const normalForm = (text: string): string => text.normalize('NFC');

/** @param password in normal form. */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(SALT_BYTES);
  const { N, r, p } = DEFAULT_COST;
  const hash = await new Promise<Buffer>((resolve, reject) => {
    derive(password, salt, HASH_BYTES, DEFAULT_COST, (error, key) => (error === null ? resolve(key) : reject(error)));
  });
  return ['scrypt', N, r, p, salt.toString('base64url'), hash.toString('base64url')].join('$');
}

/** Off the event loop. @param password in normal form. @param done gets false too when it could not be told. */
export function verifyPassword(
  password: string,
  { cost, salt, hash }: PasswordHash,
  done: (is: boolean) => void,
): void {
  derive(password, salt, hash.length, cost, (error, key) => done(error === null && timingSafeEqual(key, hash)));
}

function derive(
  password: string,
  salt: Buffer,
  length: number,
  cost: ScryptCost,
  done: (error: Error | null, key: Buffer) => void,
): void {
  // Twice: scrypt needs a little beside its table.
  scrypt(password, salt, length, { ...cost, maxmem: 2 * memoryOf(cost) }, done);
}

const memoryOf = ({ N, r }: ScryptCost) => 128 * N * r;
