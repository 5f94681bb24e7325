/**
 * What pools have spent on further tries, in memory that every thread sees, one row each: a ring of seconds with how many
 * requests came and how many further tries they were given, and how many of those are under way. One region per thread, so
 * that each cell has one writer and counting is a plain add; whoever asks adds up all threads. Beside it, how fast the pool
 * answers (upstream/latency-quantile.ts): two cells that all threads write, where a lost update does no harm.
 */

export const BUDGET_SECONDS = 10;

/** Cells of a row in a thread's region. */
const UNDER_WAY = 0;
const SLOTS = 1;
const CELLS = 32;

/** Cells of a slot. */
const SECOND = 0;
const REQUESTS = 1;
const EXTRA = 2;
const SLOT_CELLS = 3;

/** Cells of a row that all threads write. */
const QUANTILE_MS = 0;
const SAMPLES = 1;
const FLOAT_COLUMNS = 2;

/** What happened in the window, over all threads; reused, so that looking allocates nothing. */
export interface Spent {
  requests: number;
  extra: number;
}

export class BudgetTable {
  readonly #floats: Float64Array;
  readonly #regions: readonly Int32Array[];

  static bytes(capacity: number, threads: number): number {
    return capacity * (FLOAT_COLUMNS * 8 + threads * CELLS * 4);
  }

  /** @param offset a multiple of eight. */
  constructor(shared: SharedArrayBuffer, offset: number, capacity: number, threads: number) {
    this.#floats = new Float64Array(shared, offset, capacity * FLOAT_COLUMNS);
    const regionsAt = offset + this.#floats.byteLength;
    this.#regions = Array.from(
      { length: threads },
      (_, thread) => new Int32Array(shared, regionsAt + thread * capacity * CELLS * 4, capacity * CELLS),
    );
  }

  reset(row: number): void {
    this.#floats.fill(0, row * FLOAT_COLUMNS, (row + 1) * FLOAT_COLUMNS);
    for (const region of this.#regions) region.fill(0, row * CELLS, (row + 1) * CELLS);
  }

  /** What a thread that died had under way is over. */
  forgetThread(thread: number): void {
    const region = this.#regions[thread]!;
    for (let cell = UNDER_WAY; cell < region.length; cell += CELLS) if (region[cell] !== 0) region[cell] = 0;
  }

  // --- written by one thread each ---

  addRequest(row: number, thread: number, second: number): void {
    this.#add(row, thread, second, REQUESTS);
  }

  beginExtra(row: number, thread: number, second: number): void {
    this.#add(row, thread, second, EXTRA);
    this.#regions[thread]![row * CELLS + UNDER_WAY]! += 1;
  }

  /** Counts one that was not made. */
  chargeExtra(row: number, thread: number, second: number): void {
    this.#add(row, thread, second, EXTRA);
  }

  endExtra(row: number, thread: number): void {
    this.#regions[thread]![row * CELLS + UNDER_WAY]! -= 1;
  }

  #add(row: number, thread: number, second: number, cell: number): void {
    const region = this.#regions[thread]!;
    const at = row * CELLS + SLOTS + (second % BUDGET_SECONDS) * SLOT_CELLS;
    const written = region[at + SECOND]!;
    // Of a request that took long to be read, the second may have left the window.
    if (written > second) return;
    if (written !== second) {
      region[at + REQUESTS] = region[at + EXTRA] = 0;
      region[at + SECOND] = second;
    }
    region[at + cell]! += 1;
  }

  // --- read by all ---

  /** Sums up the window that ends with `second`. */
  spent(row: number, second: number, into: Spent): void {
    into.requests = into.extra = 0;
    for (const region of this.#regions) {
      const end = row * CELLS + SLOTS + BUDGET_SECONDS * SLOT_CELLS;
      for (let at = row * CELLS + SLOTS; at < end; at += SLOT_CELLS) {
        if (second - region[at + SECOND]! >= BUDGET_SECONDS) continue;
        into.requests += region[at + REQUESTS]!;
        into.extra += region[at + EXTRA]!;
      }
    }
  }

  /** Further tries that are under way, or wait to be. */
  underWay(row: number): number {
    let sum = 0;
    for (const region of this.#regions) sum += region[row * CELLS + UNDER_WAY]!;
    return sum;
  }

  // --- how fast the pool answers ---

  quantileMs(row: number): number {
    return this.#floats[row * FLOAT_COLUMNS + QUANTILE_MS]!;
  }

  /** How many answers it was learnt from. */
  samples(row: number): number {
    return this.#floats[row * FLOAT_COLUMNS + SAMPLES]!;
  }

  learn(row: number, quantileMs: number): void {
    this.#floats[row * FLOAT_COLUMNS + QUANTILE_MS] = quantileMs;
    this.#floats[row * FLOAT_COLUMNS + SAMPLES]! += 1;
  }
}
