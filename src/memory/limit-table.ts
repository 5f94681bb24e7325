/**
 * What callers have used of their limits, in memory that all data threads share: an open table of 60-bit keys, each with
 * one 64-bit state that is only ever changed by compare-and-swap. No thread waits for another, none can leave a lock
 * behind, and a key that four threads charge at once is charged exactly.
 *
 * A key lives in one of the 16 slots of its bucket. A state is one of
 *
 *     empty   nobody's
 *     claim   being taken by the key that it spells; not yet charged
 *     due     free again at a moment (the state of GCRA)
 *     count   a number, good until a moment; monotonic or of the wall clock
 *
 * and says by itself when it is worth nothing any more: a spent entry equals none, and is taken over when its bucket
 * needs room. A slot changes hands only through `claim`: the old state is swapped for it, so a charge that was under way
 * fails and looks again; then the key is written, then the first charge swaps the claim away. Whoever meets a claim of its
 * own key completes it, so it does not matter whether the claimer still lives.
 *
 * Two threads may claim two slots for one new key. Each looks over the bucket after its claim: a live entry or a lower
 * claim makes it give up its own, a higher claim it ends. At least one of the two sees the other.
 *
 * In a bucket full of live entries a new key replaces the one that is free soonest, but never a blocked one: rotating keys
 * frees nobody. When all sixteen are blocked the new key is refused until the first of them is spent: with a seeded hash
 * that takes sixteen blocked keys for every bucket there is.
 */
import { fillSeed, SEED_WORDS } from './key-hash.ts';

export interface LimitTableBuffers {
  readonly shared: SharedArrayBuffer;
}

const HEADER_BYTES = 128;
const WAYS = 16;
/** Key and state. */
const SLOT_BYTES = 16;
/**
 * Four million slots in 64 MiB: with a million live keys, one such table in six or seven has a bucket that is too small for its
 * own. Pages that no key touches cost nothing.
 */
const BUCKETS = 262_144;

/** Time is counted from the table's birth in ticks of 10 ns: 2^53 of them are 2.8 years. */
export const TICKS_PER_MS = 100_000;
/** Ends of counts, coarser: 2^30 of them are 4.3 years. */
const TICKS_PER_UNIT = 128 * TICKS_PER_MS;
/** Ends of counts in wall time are seconds since 2025: 2^30 of them last until 2059. */
const WALL_ORIGIN_S = Date.UTC(2025, 0, 1) / 1000;

const EMPTY = 0;
const DUE = 1;
const COUNT = 2;
const WALL_COUNT = 3;
const CLAIM = 4;
const BLOCKED = 1 << 28;
const HIGH_BITS = 0x0fffffff;
const WORD = 2 ** 32;

/** The largest count. */
export const MAX_COUNT = 2 ** 30 - 1;

export class LimitTable {
  readonly buffers: LimitTableBuffers;
  readonly seed: Uint32Array;
  readonly #ints: Int32Array;
  readonly #longs: BigInt64Array;
  readonly #buckets: number;
  readonly #originMs: number;

  /** The state that `open` or `find` has found. */
  #low = 0;
  #high = 0;
  /** When `open` found all blocked: ticks until the first is spent. */
  crowdedFor = 0;

  /** Two words and a double-word over the same bytes, to go from one to the other without arithmetic on BigInt. */
  readonly #words = new Int32Array(2);
  readonly #long = new BigInt64Array(this.#words.buffer);

  /** @param nowMs of the monotonic clock. */
  static allocate(nowMs: number, buckets = BUCKETS): LimitTable {
    const shared = new SharedArrayBuffer(HEADER_BYTES + buckets * WAYS * SLOT_BYTES);
    fillSeed(new Uint32Array(shared, 0, SEED_WORDS));
    new Float64Array(shared, 16, 1)[0] = nowMs;
    return new LimitTable({ shared });
  }

  constructor(buffers: LimitTableBuffers) {
    const { shared } = buffers;
    this.buffers = buffers;
    this.seed = new Uint32Array(shared, 0, SEED_WORDS);
    this.#originMs = new Float64Array(shared, 16, 1)[0]!;
    this.#ints = new Int32Array(shared, HEADER_BYTES);
    this.#longs = new BigInt64Array(shared, HEADER_BYTES);
    this.#buckets = this.#ints.byteLength / (WAYS * SLOT_BYTES);
  }

  ticksAt(nowMs: number): number {
    return Math.floor((nowMs - this.#originMs) * TICKS_PER_MS);
  }

  // --- slots ---

  /**
   * The slot of a key, its own from now on: with a state, or `isFresh`. -1: there is room for nobody new in its bucket.
   * @param wallMs only asked where room is needed.
   */
  open(keyLow: number, keyHigh: number, now: number, wallMs: () => number): number {
    for (;;) {
      const slot = this.find(keyLow, keyHigh);
      if (slot >= 0) return slot;
      const claim = this.#claimOf(keyLow, keyHigh) ?? this.#claim(keyLow, keyHigh, now, wallMs);
      if (claim === CROWDED) return -1;
      if (claim !== LOST && this.#settle(claim, keyLow, keyHigh)) return claim;
    }
  }

  /** The slot of a key that has a state, or -1. */
  find(keyLow: number, keyHigh: number): number {
    const ints = this.#ints;
    const first = this.#bucketOf(keyLow, keyHigh);
    for (let at = first; at < first + WAYS * 4; at += 4) {
      if (ints[at] !== keyLow || ints[at + 1] !== keyHigh) continue;
      this.#load(at);
      // In this order: a slot that changes hands after its state was read fails the swap of that state.
      if (Atomics.load(ints, at) !== keyLow || Atomics.load(ints, at + 1) !== keyHigh) continue;
      const tag = this.#high >>> 29;
      if (tag !== EMPTY && tag !== CLAIM) return at;
    }
    return -1;
  }

  get isFresh(): boolean {
    return this.#high >>> 29 === CLAIM;
  }

  get isBlocked(): boolean {
    return (this.#high & BLOCKED) !== 0;
  }

  /** Of a `due` state, in ticks. */
  get due(): number {
    return (this.#high & HIGH_BITS) * WORD + (this.#low >>> 0);
  }

  /** Of a `count` state. */
  get count(): number {
    return this.#low & MAX_COUNT;
  }

  // --- changes: of the state that was found; false when another thread was faster ---

  setDue(slot: number, due: number, isBlocked: boolean): boolean {
    const ticks = Math.ceil(due);
    return this.#swap(slot, ticks | 0, (DUE << 29) | (isBlocked ? BLOCKED : 0) | Math.floor(ticks / WORD));
  }

  /** @param until in ticks. */
  setCount(slot: number, count: number, until: number, isBlocked: boolean): boolean {
    return this.#setCount(slot, COUNT, count, Math.ceil(until / TICKS_PER_UNIT), isBlocked);
  }

  /** @param untilMs in wall time. */
  setWallCount(slot: number, count: number, untilMs: number, isBlocked: boolean): boolean {
    return this.#setCount(slot, WALL_COUNT, count, Math.ceil(untilMs / 1000) - WALL_ORIGIN_S, isBlocked);
  }

  /** Whoever has been refused is not replaced by a newcomer. Losing a race is no harm: the next refusal says it again. */
  block(slot: number): void {
    if (!this.isBlocked) this.#swap(slot, this.#low, this.#high | BLOCKED);
  }

  #setCount(slot: number, tag: number, count: number, until: number, isBlocked: boolean): boolean {
    const end = Math.min(Math.max(until, 0), MAX_COUNT);
    const high = (tag << 29) | (isBlocked ? BLOCKED : 0) | (end >>> 2);
    return this.#swap(slot, ((end & 3) << 30) | count, high);
  }

  // --- taking a slot ---

  /** A slot that the key's claim was swapped into, by whomever. */
  #claimOf(keyLow: number, keyHigh: number): number | undefined {
    const first = this.#bucketOf(keyLow, keyHigh);
    for (let at = first; at < first + WAYS * 4; at += 4) {
      this.#load(at);
      if (this.#isClaimOf(keyLow, keyHigh)) return at;
    }
    return undefined;
  }

  #claim(keyLow: number, keyHigh: number, now: number, wallMs: () => number): number {
    const first = this.#bucketOf(keyLow, keyHigh);
    const wall = wallMs() / 1000 - WALL_ORIGIN_S;
    let best = CROWDED;
    let bestLeft = Infinity;
    let soonest = Infinity;
    for (let at = first; at < first + WAYS * 4 && bestLeft > 0; at += 4) {
      this.#load(at);
      const left = this.#ticksLeft(now, wall);
      soonest = Math.min(soonest, left);
      if (left >= bestLeft || (left > 0 && this.isBlocked)) continue;
      best = at;
      bestLeft = left;
    }
    this.crowdedFor = soonest;
    if (best === CROWDED) return CROWDED;
    this.#load(best);
    // It may have been charged since it was judged: a spent one must still be, another must not have become blocked.
    const left = this.#ticksLeft(now, wall);
    if (left > 0 && (bestLeft <= 0 || this.isBlocked)) return LOST;
    return this.#swap(best, keyLow, (CLAIM << 29) | keyHigh) ? best : LOST;
  }

  /** Makes a claim the only one, and the slot the key's. The state is then the claim itself. */
  #settle(claim: number, keyLow: number, keyHigh: number): boolean {
    const first = this.#bucketOf(keyLow, keyHigh);
    for (let at = first; at < first + WAYS * 4; at += 4) {
      if (at === claim) continue;
      this.#load(at);
      if (this.#isClaimOf(keyLow, keyHigh)) {
        if (at < claim) return this.#giveUp(claim, keyLow, keyHigh);
        if (!this.#swap(at, 0, EMPTY)) return false;
      }
    }
    if (this.find(keyLow, keyHigh) >= 0) return this.#giveUp(claim, keyLow, keyHigh);
    this.#low = keyLow;
    this.#high = (CLAIM << 29) | keyHigh;
    // Compared with what was there: a thread that comes late with this must not rename a slot that has gone on.
    const before = Atomics.load(this.#longs, claim >> 1);
    if (Atomics.load(this.#ints, claim + 2) !== this.#low || Atomics.load(this.#ints, claim + 3) !== this.#high) {
      return false;
    }
    const key = this.#join(keyLow, keyHigh);
    return before === key || Atomics.compareExchange(this.#longs, claim >> 1, before, key) === before;
  }

  #giveUp(claim: number, keyLow: number, keyHigh: number): false {
    this.#low = keyLow;
    this.#high = (CLAIM << 29) | keyHigh;
    this.#swap(claim, 0, EMPTY);
    return false;
  }

  #isClaimOf(keyLow: number, keyHigh: number): boolean {
    return this.#low === keyLow && this.#high === ((CLAIM << 29) | keyHigh);
  }

  /** Until the loaded state is worth nothing. Claims are worth little: whoever loses one makes another. */
  #ticksLeft(now: number, wallSeconds: number): number {
    const until = ((this.#high & HIGH_BITS) << 2) | (this.#low >>> 30);
    switch (this.#high >>> 29) {
      case DUE:
        return this.due - now;
      case COUNT:
        return until * TICKS_PER_UNIT - now;
      case WALL_COUNT:
        return (until - wallSeconds) * 1000 * TICKS_PER_MS;
      case CLAIM:
        return 1;
      default:
        return 0;
    }
  }

  // --- words ---

  #bucketOf(keyLow: number, keyHigh: number): number {
    const spread = (keyLow ^ (keyHigh << 4)) >>> 0;
    return Math.floor((spread * this.#buckets) / WORD) * WAYS * 4;
  }

  #load(slot: number): void {
    this.#low = Atomics.load(this.#ints, slot + 2);
    this.#high = Atomics.load(this.#ints, slot + 3);
  }

  /** Halves that were read on either side of a change are no state that ever was: this is where that comes out. */
  #swap(slot: number, low: number, high: number): boolean {
    const before = this.#join(this.#low, this.#high);
    const after = this.#join(low, high);
    return Atomics.compareExchange(this.#longs, (slot >> 1) + 1, before, after) === before;
  }

  #join(low: number, high: number): bigint {
    this.#words[0] = low;
    this.#words[1] = high;
    return this.#long[0]!;
  }
}

const CROWDED = -1;
const LOST = -2;
