/**
 * Keys as 60 bits, under a secret seed of the process: who sends keys cannot know which meet in one bucket of a table, so
 * nobody can crowd another's bucket or hide behind another's count. HalfSipHash-1-3 (Aumasson and Bernstein), which works
 * on 32-bit words, over UTF-16 units two at a time.
 */
import { randomFillSync } from 'node:crypto';

/** Four words: two seed the hash, two the names of limits. */
export const SEED_WORDS = 4;

export function fillSeed(words: Uint32Array): void {
  randomFillSync(words);
}

export class KeyHash {
  /** Of the latest key: 32 bits, and 28 bits. */
  low = 0;
  high = 0;
  readonly #seed0: number;
  readonly #seed1: number;

  /** @param name separates the keys of one limit from those of all others. */
  constructor(seed: Uint32Array, name: string) {
    this.#seed0 = seed[2]!;
    this.#seed1 = seed[3]!;
    this.hash(name);
    const { low, high } = this;
    this.#seed0 = seed[0]! ^ low;
    this.#seed1 = seed[1]! ^ high;
  }

  hash(key: string): void {
    const { length } = key;
    let v0 = this.#seed0;
    let v1 = this.#seed1 ^ 0xee;
    let v2 = 0x6c796765 ^ this.#seed0;
    let v3 = 0x74656462 ^ this.#seed1;
    for (let at = 0; at <= length; at += 2) {
      // The last word holds what is left and the length, so that no key is another's beginning.
      const isLast = at + 1 >= length;
      const first = at < length ? key.charCodeAt(at) : 0;
      const word = isLast ? first | (length << 16) : first | (key.charCodeAt(at + 1) << 16);
      v3 ^= word;
      v0 = (v0 + v1) | 0;
      v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
      v0 = (v0 << 16) | (v0 >>> 16);
      v2 = (v2 + v3) | 0;
      v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
      v0 = (v0 + v3) | 0;
      v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
      v2 = (v2 + v1) | 0;
      v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
      v2 = (v2 << 16) | (v2 >>> 16);
      v0 ^= word;
    }
    this.#finish(v0, v1, v2, v3);
  }

  /** The latest key in one of its slices of time. Its bits are secret and even already; they only have to move. */
  slice(low: number, high: number, number: number): void {
    this.low = mixed(low ^ Math.imul(number, 0x9e3779b1));
    this.high = mixed(high ^ Math.imul(number, 0x85ebca77)) & 0x0fffffff;
  }

  #finish(v0: number, v1: number, v2: number, v3: number): void {
    v2 ^= 0xee;
    for (let round = 0; round < 6; round++) {
      v0 = (v0 + v1) | 0;
      v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
      v0 = (v0 << 16) | (v0 >>> 16);
      v2 = (v2 + v3) | 0;
      v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
      v0 = (v0 + v3) | 0;
      v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
      v2 = (v2 + v1) | 0;
      v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
      v2 = (v2 << 16) | (v2 >>> 16);
      if (round !== 2) continue;
      this.low = v1 ^ v3;
      v1 ^= 0xdd;
    }
    this.high = (v1 ^ v3) & 0x0fffffff;
  }
}

/** MurmurHash3's finish. */
function mixed(word: number): number {
  let bits = word ^ (word >>> 16);
  bits = Math.imul(bits, 0x85ebca6b);
  bits ^= bits >>> 13;
  bits = Math.imul(bits, 0xc2b2ae35);
  return bits ^ (bits >>> 16);
}
