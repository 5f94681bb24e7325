/**
 * Requests in flight by key, over all data threads, exactly. A slot is one 64-bit cell: 44 bits of the key and how many of
 * its requests are in flight; changed by compare-and-swap, free when the number is zero. Each thread also keeps what it has
 * in each slot in a column of its own, so that the control plane can take back what a dead thread has left.
 */
import { fillSeed, SEED_WORDS } from './key-hash.ts';

export interface ConcurrencyTableBuffers {
  readonly threads: number;
  readonly shared: SharedArrayBuffer;
}

const HEADER_BYTES = 128;
const WAYS = 8;
/** As many keys can be in flight at once, give or take a crowded bucket; a gateway has ten thousand connections. */
const SLOTS = 131_072;

const COUNT_BITS = 20;
/** The most that can be in flight of one key. */
export const MAX_IN_FLIGHT = 2 ** COUNT_BITS - 1;

export class ConcurrencyTable {
  readonly buffers: ConcurrencyTableBuffers;
  readonly seed: Uint32Array;
  readonly #longs: BigInt64Array;
  readonly #ints: Int32Array;
  /** What each thread has in flight, by slot. */
  readonly #columns: readonly Int32Array[];
  readonly #slots: number;
  readonly #words = new Int32Array(2);
  readonly #long = new BigInt64Array(this.#words.buffer);

  static allocate(threads: number, slots = SLOTS): ConcurrencyTable {
    const shared = new SharedArrayBuffer(HEADER_BYTES + slots * (8 + 4 * threads));
    fillSeed(new Uint32Array(shared, 0, SEED_WORDS));
    return new ConcurrencyTable({ threads, shared });
  }

  constructor(buffers: ConcurrencyTableBuffers) {
    const { threads, shared } = buffers;
    this.buffers = buffers;
    this.#slots = (shared.byteLength - HEADER_BYTES) / (8 + 4 * threads);
    this.seed = new Uint32Array(shared, 0, SEED_WORDS);
    this.#longs = new BigInt64Array(shared, HEADER_BYTES, this.#slots);
    this.#ints = new Int32Array(shared, HEADER_BYTES, this.#slots * 2);
    const columnsAt = HEADER_BYTES + this.#slots * 8;
    this.#columns = Array.from(
      { length: threads },
      (_, thread) => new Int32Array(shared, columnsAt + thread * this.#slots * 4, this.#slots),
    );
  }

  /**
   * @returns the slot, to `leave`; -1 when `max` are in flight. A key that finds its bucket full of others is refused too:
   * nobody can choose whose bucket that is.
   */
  enter(thread: number, keyLow: number, keyHigh: number, max: number): number {
    const first = this.#bucketOf(keyLow);
    const mark = keyLow & ~MAX_IN_FLIGHT;
    for (;;) {
      const own = this.#find(first, mark, keyHigh);
      const inFlight = this.#sum;
      const slot = own === -1 ? this.#free : own;
      if (inFlight >= max || slot === -1) return -1;
      if (!this.#add(slot, thread, mark, keyHigh)) continue;
      if (own !== -1) return slot;
      // Another thread may have put the same key into another slot at the same time: the lower one stays.
      const lowest = this.#find(first, mark, keyHigh);
      if (lowest === slot && this.#sum <= max) return slot;
      this.leave(thread, slot);
    }
  }

  leave(thread: number, slot: number): void {
    this.#columns[thread]![slot]! -= 1;
    this.#subtract(slot, 1);
  }

  /** Takes back what a thread that died had in flight. */
  forgetThread(thread: number): void {
    const column = this.#columns[thread]!;
    for (let slot = 0; slot < this.#slots; slot++) {
      const left = column[slot]!;
      if (left === 0) continue;
      column[slot] = 0;
      this.#subtract(slot, left);
    }
  }

  /** Requests of a key that are in flight. */
  inFlight(keyLow: number, keyHigh: number): number {
    this.#find(this.#bucketOf(keyLow), keyLow & ~MAX_IN_FLIGHT, keyHigh);
    return this.#sum;
  }

  /** What `#find` saw on its way. */
  #sum = 0;
  #free = -1;
  /** The low word of the slot that it found; of the free one when the key has none. */
  #seen = 0;

  /** The first slot of the key, or -1. */
  #find(first: number, mark: number, keyHigh: number): number {
    let own = -1;
    this.#sum = 0;
    this.#free = -1;
    for (let slot = first; slot < first + WAYS; slot++) {
      const low = Atomics.load(this.#ints, slot * 2);
      const count = low & MAX_IN_FLIGHT;
      if (count === 0) {
        if (this.#free === -1) {
          this.#free = slot;
          if (own === -1) this.#seen = low;
        }
      } else if ((low & ~MAX_IN_FLIGHT) === mark && Atomics.load(this.#ints, slot * 2 + 1) === keyHigh) {
        this.#sum += count;
        if (own === -1) {
          own = slot;
          this.#seen = low;
        }
      }
    }
    return own;
  }

  /** Only if the slot is still as it was found: what was counted is what is swapped. */
  #add(slot: number, thread: number, mark: number, keyHigh: number): boolean {
    const count = this.#seen & MAX_IN_FLIGHT;
    const high = count === 0 ? Atomics.load(this.#ints, slot * 2 + 1) : keyHigh;
    const before = this.#join(this.#seen, high);
    const after = this.#join(mark | (count + 1), keyHigh);
    if (Atomics.compareExchange(this.#longs, slot, before, after) !== before) return false;
    this.#columns[thread]![slot]! += 1;
    return true;
  }

  #subtract(slot: number, amount: number): void {
    for (;;) {
      const low = Atomics.load(this.#ints, slot * 2);
      const high = Atomics.load(this.#ints, slot * 2 + 1);
      const count = Math.max(0, (low & MAX_IN_FLIGHT) - amount);
      const before = this.#join(low, high);
      const after = this.#join((low & ~MAX_IN_FLIGHT) | count, high);
      if (Atomics.compareExchange(this.#longs, slot, before, after) === before) return;
    }
  }

  #bucketOf(keyLow: number): number {
    return ((keyLow >>> 0) % (this.#slots / WAYS)) * WAYS;
  }

  #join(low: number, high: number): bigint {
    this.#words[0] = low;
    this.#words[1] = high;
    return this.#long[0]!;
  }
}
