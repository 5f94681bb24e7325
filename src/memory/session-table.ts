/**
 * Which endpoint each session is stuck to, in memory that all data threads share. A session is a hint: what is lost costs
 * one choice of an endpoint. So there is no lock and no claim: a slot ends with a sum over its words, and one that was read
 * while it was written, or that a thread died in, does not fit and counts for nothing.
 *
 * A key lives in one of the 8 slots of its bucket. A bucket full of live sessions gives up the one that was not used for the longest.
 */
import { fillSeed, SEED_WORDS } from './key-hash.ts';

export interface SessionTableBuffers {
  readonly shared: SharedArrayBuffer;
}

/** Ids are of endpoints (upstream/sticky/sessions.ts), times seconds since the epoch. */
export interface StoredSession {
  readonly home: number;
  readonly current: number;
  readonly beganAt: number;
  readonly seenAt: number;
}

const HEADER_BYTES = 64;
const WAYS = 8;
/** A million sessions in 32 MiB; pages that none touches cost nothing. */
const BUCKETS = 131_072;

/** Words of a slot. */
const LOW = 0;
const HIGH = 1;
const HOME = 2;
const CURRENT = 3;
const BEGAN = 4;
const SEEN = 5;
const UNTIL = 6;
const SUM = 7;
const SLOT = 8;

export class SessionTable {
  readonly buffers: SessionTableBuffers;
  /** Of the hash of keys. */
  readonly seed: Uint32Array;
  readonly #words: Int32Array;
  readonly #buckets: number;

  static allocate(buckets = BUCKETS): SessionTable {
    const shared = new SharedArrayBuffer(HEADER_BYTES + buckets * WAYS * SLOT * 4);
    fillSeed(new Uint32Array(shared, 0, SEED_WORDS));
    return new SessionTable({ shared });
  }

  constructor(buffers: SessionTableBuffers) {
    this.buffers = buffers;
    this.seed = new Uint32Array(buffers.shared, 0, SEED_WORDS);
    this.#words = new Int32Array(buffers.shared, HEADER_BYTES);
    this.#buckets = this.#words.length / (WAYS * SLOT);
  }

  find(low: number, high: number, now: number): StoredSession | undefined {
    const words = this.#words;
    const at = this.#slotOf(low, high);
    if (at < 0) return undefined;
    const session = {
      home: words[at + HOME]! >>> 0,
      current: words[at + CURRENT]! >>> 0,
      beganAt: words[at + BEGAN]! >>> 0,
      seenAt: words[at + SEEN]! >>> 0,
    };
    const until = words[at + UNTIL]!;
    const sum = sumOf(low, high, session.home, session.current, session.beganAt, session.seenAt, until);
    return sum === words[at + SUM] && until >>> 0 > now ? session : undefined;
  }

  /** In place of what the key had. @param until seconds since the epoch. */
  store(low: number, high: number, { home, current, beganAt, seenAt }: StoredSession, until: number): void {
    const words = this.#words;
    const at = this.#slotOf(low, high);
    const slot = at < 0 ? this.#victim(low, high, seenAt) : at;
    // Whoever reads in between finds that it does not fit.
    Atomics.store(words, slot + SUM, ~words[slot + SUM]!);
    words[slot + LOW] = low;
    words[slot + HIGH] = high;
    words[slot + HOME] = home;
    words[slot + CURRENT] = current;
    words[slot + BEGAN] = beganAt;
    words[slot + SEEN] = seenAt;
    words[slot + UNTIL] = until;
    Atomics.store(words, slot + SUM, sumOf(low, high, home, current, beganAt, seenAt, until));
  }

  #slotOf(low: number, high: number): number {
    const words = this.#words;
    const first = this.#first(low, high);
    for (let at = first; at < first + WAYS * SLOT; at += SLOT) {
      if (words[at + LOW] === (low | 0) && words[at + HIGH] === (high | 0) && words[at + UNTIL] !== 0) return at;
    }
    return -1;
  }

  #victim(low: number, high: number, now: number): number {
    const words = this.#words;
    const first = this.#first(low, high);
    let oldest = first;
    for (let at = first; at < first + WAYS * SLOT; at += SLOT) {
      if (words[at + UNTIL]! >>> 0 <= now) return at;
      if (words[at + SEEN]! >>> 0 < words[oldest + SEEN]! >>> 0) oldest = at;
    }
    return oldest;
  }

  #first(low: number, high: number): number {
    const spread = (low ^ (high << 4)) >>> 0;
    return Math.floor((spread * this.#buckets) / 2 ** 32) * WAYS * SLOT;
  }
}

/** Any two sessions that differ in a word differ in it, but for one in four thousand million. */
function sumOf(
  low: number,
  high: number,
  home: number,
  current: number,
  began: number,
  seen: number,
  until: number,
): number {
  let sum = 0x9e3779b1;
  sum = Math.imul(sum ^ low, 0x85ebca77);
  sum = Math.imul((sum ^ (sum >>> 15)) + high, 0xc2b2ae3d);
  sum = Math.imul((sum ^ (sum >>> 13)) + home, 0x27d4eb2f);
  sum = Math.imul((sum ^ (sum >>> 16)) + current, 0x165667b1);
  sum = Math.imul((sum ^ (sum >>> 15)) + began, 0x85ebca77);
  sum = Math.imul((sum ^ (sum >>> 13)) + seen, 0xc2b2ae3d);
  sum = Math.imul((sum ^ (sum >>> 16)) + until, 0x27d4eb2f);
  return sum ^ (sum >>> 15);
}
