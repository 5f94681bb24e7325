/**
 * How much callers use in a window, by limit: a histogram of each caller's total of each window, in logarithmic buckets.
 * It follows the totals as they grow: a caller moves from bucket to bucket, so no window has to end for it to be seen.
 */
import { fillSeed, KeyHash, SEED_WORDS } from './key-hash.ts';

const HEADER_BYTES = 64;
/** As many limits can be watched; those beyond are not. */
const ROWS = 64;
/** Counts up to 16 have a bucket each, then four share each doubling. */
const EXACT = 16;
const PER_DOUBLING = 4;
const BUCKETS = 128;
/** A bucket that holds so many stays there; far enough from the end of an Int32 that threads may meet on the way. */
const MOST_IN_A_BUCKET = 2 ** 30;
/** The row's mark and its buckets. */
const ROW_CELLS = 1 + BUCKETS;

/** What a limit has seen. Counts are the upper ends of their buckets. */
export interface UsageView {
  /** How often a caller was seen in a window. */
  readonly windows: number;
  readonly median: number;
  readonly p99: number;
  readonly most: number;
  /** A limit that would have left 99.9 % of them alone. */
  readonly recommended: number;
}

export class UsageTable {
  readonly shared: SharedArrayBuffer;
  readonly #seed: Uint32Array;
  readonly #cells: Int32Array;

  static allocate(): UsageTable {
    const shared = new SharedArrayBuffer(HEADER_BYTES + ROWS * ROW_CELLS * 4);
    fillSeed(new Uint32Array(shared, 0, SEED_WORDS));
    return new UsageTable(shared);
  }

  constructor(shared: SharedArrayBuffer) {
    this.shared = shared;
    this.#seed = new Uint32Array(shared, 0, SEED_WORDS);
    this.#cells = new Int32Array(shared, HEADER_BYTES);
  }

  /** The row of a limit, its own from now on; -1 when there is none left. */
  rowOf(name: string): number {
    const mark = this.#markOf(name);
    for (let row = 0; row < ROWS; row++) {
      const there = Atomics.compareExchange(this.#cells, row * ROW_CELLS, 0, mark);
      if (there === 0 || there === mark) return row;
    }
    return -1;
  }

  /** A caller's total of a window went up. @param before 0: it is new in this window. */
  moved(row: number, before: number, after: number): void {
    const from = bucketOf(before);
    const to = bucketOf(after);
    if (row === -1 || from === to) return;
    const first = row * ROW_CELLS + 1;
    // What was not counted because it was too many is taken off all the same: shares are right again as time goes on.
    if (this.#cells[first + to]! < MOST_IN_A_BUCKET) Atomics.add(this.#cells, first + to, 1);
    if (before > 0 && this.#cells[first + from]! > 0) Atomics.sub(this.#cells, first + from, 1);
  }

  /** Undefined: nothing was seen. */
  view(name: string): UsageView | undefined {
    const mark = this.#markOf(name);
    for (let row = 0; row < ROWS; row++) {
      if (this.#cells[row * ROW_CELLS] !== mark) continue;
      const buckets = this.#cells.subarray(row * ROW_CELLS + 1, (row + 1) * ROW_CELLS);
      const windows = buckets.reduce((sum, count) => sum + count, 0);
      if (windows === 0) return undefined;
      const at = (share: number) => quantile(buckets, windows, share);
      return { windows, median: at(0.5), p99: at(0.99), most: at(1), recommended: at(0.999) };
    }
    return undefined;
  }

  #markOf(name: string): number {
    return new KeyHash(this.#seed, name).low | 1;
  }
}

function bucketOf(count: number): number {
  if (count <= EXACT) return Math.max(0, count);
  return Math.min(BUCKETS - 1, EXACT + Math.ceil(Math.log2(count / EXACT) * PER_DOUBLING));
}

function endOf(bucket: number): number {
  return bucket <= EXACT ? bucket : Math.floor(EXACT * 2 ** ((bucket - EXACT) / PER_DOUBLING));
}

function quantile(buckets: Int32Array, total: number, share: number): number {
  let left = Math.ceil(total * share);
  for (let bucket = 0; bucket < BUCKETS; bucket++) {
    left -= buckets[bucket]!;
    if (left <= 0) return endOf(bucket);
  }
  return endOf(BUCKETS - 1);
}
