/**
 * Circuit breakers in memory that every thread sees, one row each. Any thread may move a breaker: the state is one word that
 * is changed by compare-and-swap alone, and carries how often it has been, so that whoever asked in an earlier state is
 * known by the word it was admitted under. All other cells describe the state and are written before the word.
 *
 * Answers are counted in a ring of slots, each with the number of the moment it stands for. A slot that is out of date is
 * emptied and then renumbered: threads that do so at once may lose an answer or two, and never count an old one as new.
 */

export const BREAKER = { closed: 0, open: 1, halfOpen: 2 } as const;
export type BreakerState = (typeof BREAKER)[keyof typeof BREAKER];

/** Of a state word; the rest counts the changes. */
const STATE_BITS = 3;
const CHANGE = 4;

export const WINDOW_SLOTS = 10;

/** Cells of a row in the Int32 part. */
const WORD = 0;
const FAILURES_IN_A_ROW = 1;
const PROBES = 2;
const PROBES_PASSED = 3;
const OPENED_IN_A_ROW = 4;
const SLOTS = 5;
const SLOT_CELLS = 4;
const INT_COLUMNS = SLOTS + WINDOW_SLOTS * SLOT_CELLS;

/** Cells of a slot. */
const NUMBER = 0;
const TOTAL = 1;
const FAILED = 2;
const SLOW = 3;

/** What the answers of a window were; reused, so that looking allocates nothing. */
export interface Tally {
  total: number;
  failed: number;
  slow: number;
}

export class BreakerTable {
  readonly #capacity: number;
  readonly #threads: number;
  /** By row, on the clock's scale. */
  readonly #until: Float64Array;
  readonly #ints: Int32Array;
  /** Probes by row and thread, so that those of a dead thread can be given back. */
  readonly #probesByThread: Int32Array;

  static bytes(capacity: number, threads: number): number {
    return capacity * (8 + (INT_COLUMNS + threads) * 4);
  }

  /** @param offset a multiple of eight. */
  constructor(shared: SharedArrayBuffer, offset: number, capacity: number, threads: number) {
    this.#capacity = capacity;
    this.#threads = threads;
    this.#until = new Float64Array(shared, offset, capacity);
    const intsAt = offset + this.#until.byteLength;
    this.#ints = new Int32Array(shared, intsAt, capacity * INT_COLUMNS);
    this.#probesByThread = new Int32Array(shared, intsAt + this.#ints.byteLength, capacity * threads);
  }

  reset(row: number): void {
    this.#until[row] = 0;
    this.#ints.fill(0, row * INT_COLUMNS, (row + 1) * INT_COLUMNS);
    this.#probesByThread.fill(0, row * this.#threads, (row + 1) * this.#threads);
  }

  // --- the state ---

  word(row: number): number {
    return Atomics.load(this.#ints, row * INT_COLUMNS + WORD);
  }

  /** @returns whether it was this caller who moved it. */
  move(row: number, from: number, to: BreakerState): boolean {
    const next = ((from & ~STATE_BITS) + CHANGE) | to | 0;
    return Atomics.compareExchange(this.#ints, row * INT_COLUMNS + WORD, from, next) === from;
  }

  /** Of an open one: when it may be probed. Of a closed one: until when another opening is one more in a row. */
  until(row: number): number {
    return this.#until[row]!;
  }

  setUntil(row: number, at: number): void {
    this.#until[row] = at;
  }

  openedInARow(row: number): number {
    return Atomics.load(this.#ints, row * INT_COLUMNS + OPENED_IN_A_ROW);
  }

  setOpenedInARow(row: number, times: number): void {
    Atomics.store(this.#ints, row * INT_COLUMNS + OPENED_IN_A_ROW, times);
  }

  // --- answers while it is closed ---

  /** @returns how many there are in a row now. */
  addFailure(row: number): number {
    return Atomics.add(this.#ints, row * INT_COLUMNS + FAILURES_IN_A_ROW, 1) + 1;
  }

  clearFailures(row: number): void {
    const cell = row * INT_COLUMNS + FAILURES_IN_A_ROW;
    if (this.#ints[cell] !== 0) Atomics.store(this.#ints, cell, 0);
  }

  /** @param number of the moment, counted in slots. */
  count(row: number, number: number, failed: boolean, slow: boolean): void {
    const ints = this.#ints;
    const at = slotCell(row, number);
    if (Atomics.load(ints, at + NUMBER) !== number) {
      for (const cell of [TOTAL, FAILED, SLOW]) Atomics.store(ints, at + cell, 0);
      Atomics.store(ints, at + NUMBER, number);
    }
    Atomics.add(ints, at + TOTAL, 1);
    if (failed) Atomics.add(ints, at + FAILED, 1);
    if (slow) Atomics.add(ints, at + SLOW, 1);
  }

  /** Sums up the window that ends with slot `number`. */
  tally(row: number, number: number, into: Tally): void {
    into.total = into.failed = into.slow = 0;
    for (let back = 0; back < WINDOW_SLOTS; back++) {
      const at = slotCell(row, number - back);
      if (this.#ints[at + NUMBER] !== number - back) continue;
      into.total += this.#ints[at + TOTAL]!;
      into.failed += this.#ints[at + FAILED]!;
      into.slow += this.#ints[at + SLOW]!;
    }
  }

  forgetAnswers(row: number): void {
    const at = row * INT_COLUMNS;
    this.#ints.fill(0, at + SLOTS, at + INT_COLUMNS);
    Atomics.store(this.#ints, at + FAILURES_IN_A_ROW, 0);
  }

  // --- probes while it is half-open ---

  /** On the way, from all threads. */
  probes(row: number): number {
    return Atomics.load(this.#ints, row * INT_COLUMNS + PROBES);
  }

  /** Takes a slot when fewer than `most` are taken. */
  tryProbe(row: number, thread: number, most: number): boolean {
    const cell = row * INT_COLUMNS + PROBES;
    if (Atomics.add(this.#ints, cell, 1) >= most) {
      Atomics.sub(this.#ints, cell, 1);
      return false;
    }
    this.#probesByThread[row * this.#threads + thread]! += 1;
    return true;
  }

  endProbe(row: number, thread: number): void {
    this.#probesByThread[row * this.#threads + thread]! -= 1;
    Atomics.sub(this.#ints, row * INT_COLUMNS + PROBES, 1);
  }

  passed(row: number): number {
    return Atomics.load(this.#ints, row * INT_COLUMNS + PROBES_PASSED);
  }

  /** @returns how many have passed now. */
  addPassed(row: number): number {
    return Atomics.add(this.#ints, row * INT_COLUMNS + PROBES_PASSED, 1) + 1;
  }

  clearPassed(row: number): void {
    Atomics.store(this.#ints, row * INT_COLUMNS + PROBES_PASSED, 0);
  }

  /** Gives back the slots of a thread that died. */
  forgetThread(thread: number): void {
    for (let row = 0; row < this.#capacity; row++) {
      const cell = row * this.#threads + thread;
      const left = this.#probesByThread[cell]!;
      if (left === 0) continue;
      this.#probesByThread[cell] = 0;
      Atomics.sub(this.#ints, row * INT_COLUMNS + PROBES, left);
    }
  }
}

export const stateOf = (word: number): BreakerState => (word & STATE_BITS) as BreakerState;

function slotCell(row: number, number: number): number {
  return row * INT_COLUMNS + SLOTS + (((number % WINDOW_SLOTS) + WINDOW_SLOTS) % WINDOW_SLOTS) * SLOT_CELLS;
}
