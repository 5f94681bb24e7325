/**
 * What the threads know of each other where places in a pool are scarce, one row per pool: who waits in which thread, the
 * limit that adapts, and what became of those who waited. The places themselves are requests in flight, and are counted
 * with those (memory/endpoint-table.ts).
 *
 * Counters of a thread are plain cells with one writer. What all threads write is either atomic, or written by the one
 * thread that holds the row's pen.
 */

/** Why one that waited, or would have, was refused. */
export const REFUSALS = ['full', 'late', 'overloaded', 'displaced'] as const;
export type Refusal = (typeof REFUSALS)[number];

/** What the row's pen writes: see upstream/saturation/adaptive-limit.ts. */
export interface LimitState {
  /** 0: nothing is known yet. */
  limit: number;
  /** Latency of the pool when nothing is in a hurry. */
  baseMs: number;
  /** When the present window began. */
  windowAt: number;
  remeasureAt: number;
  /** While it is measured anew: what it was before; else 0. */
  limitBefore: number;
  /** While it is measured anew: latency at the step above. */
  aboveMs: number;
  /** While it is measured anew: 1 when the present window has no answers from the step above. */
  isSettled: number;
  /** Sums of answers when the window began. */
  seenMs: number;
  seen: number;
}

/** Float cells of a row that all threads share, in this order. */
const STATE = [
  'limit',
  'baseMs',
  'windowAt',
  'remeasureAt',
  'limitBefore',
  'aboveMs',
  'isSettled',
  'seenMs',
  'seen',
] as const;
const LIMIT = STATE.indexOf('limit');
const BASE_MS = STATE.indexOf('baseMs');
const WINDOW_AT = STATE.indexOf('windowAt');
const SHARED_FLOATS = STATE.length;

/** Float cells of each thread. */
const ANSWERS_MS = 0;
const ANSWERS = 1;
const WAITED_MS = 2;
const WAITED = 3;
const REFUSED = 4;
const THREAD_FLOATS = REFUSED + REFUSALS.length;

/** Int cells of a row. */
const WAITING = 0;
const PEN = 1;
const SHARED_INTS = 2;

/** Int cells of each thread. */
const OWN_WAITING = 0;
const BELL = 1;
const THREAD_INTS = 2;

export interface PlaceSums {
  readonly waiting: number;
  readonly waited: number;
  readonly waitedMs: number;
  readonly refused: Readonly<Record<Refusal, number>>;
  /** That adapts; 0 before the first answers, and where it does not. */
  readonly limit: number;
  readonly baseMs: number;
}

export class PlaceTable {
  readonly #capacity: number;
  readonly #threads: number;
  readonly #floats: Float64Array;
  readonly #ints: Int32Array;
  readonly #floatColumns: number;
  readonly #intColumns: number;

  static bytes(capacity: number, threads: number): number {
    const floats = SHARED_FLOATS + threads * THREAD_FLOATS;
    const ints = SHARED_INTS + threads * THREAD_INTS;
    return capacity * (floats * 8 + ints * 4);
  }

  /** @param offset a multiple of eight. */
  constructor(shared: SharedArrayBuffer, offset: number, capacity: number, threads: number) {
    this.#capacity = capacity;
    this.#threads = threads;
    this.#floatColumns = SHARED_FLOATS + threads * THREAD_FLOATS;
    this.#intColumns = SHARED_INTS + threads * THREAD_INTS;
    this.#floats = new Float64Array(shared, offset, capacity * this.#floatColumns);
    this.#ints = new Int32Array(shared, offset + this.#floats.byteLength, capacity * this.#intColumns);
  }

  reset(row: number): void {
    clear(this.#floats, row * this.#floatColumns, this.#floatColumns);
    clear(this.#ints, row * this.#intColumns, this.#intColumns);
  }

  /** What waited in a thread that died is gone, and whatever it was writing is another's to write. */
  forgetThread(thread: number): void {
    for (let row = 0; row < this.#capacity; row++) {
      const left = this.#ints[this.#ownInt(row, thread) + OWN_WAITING]!;
      if (left !== 0) this.addWaiting(row, thread, -left);
      const pen = row * this.#intColumns + PEN;
      if (this.#ints[pen] === thread + 1) Atomics.store(this.#ints, pen, 0);
    }
  }

  // --- who waits ---

  addWaiting(row: number, thread: number, change: number): void {
    this.#ints[this.#ownInt(row, thread) + OWN_WAITING]! += change;
    Atomics.add(this.#ints, row * this.#intColumns + WAITING, change);
  }

  /** In all threads. */
  waiting(row: number): number {
    return Atomics.load(this.#ints, row * this.#intColumns + WAITING);
  }

  waitingIn(row: number, thread: number): number {
    return Atomics.load(this.#ints, this.#ownInt(row, thread) + OWN_WAITING);
  }

  // --- bells: one thread tells another that there may be a place for it ---

  ring(row: number, thread: number): void {
    const bell = this.#ownInt(row, thread) + BELL;
    Atomics.add(this.#ints, bell, 1);
    Atomics.notify(this.#ints, bell);
  }

  /** Resolves when it rings, or after `forMs`; undefined: it has just rung. */
  rings(row: number, thread: number, forMs: number): Promise<unknown> | undefined {
    const bell = this.#ownInt(row, thread) + BELL;
    const heard = Atomics.waitAsync(this.#ints, bell, Atomics.load(this.#ints, bell), forMs);
    return heard.async ? heard.value : undefined;
  }

  // --- what became of those who waited, and how long answers took: counted by each thread for itself ---

  countWaited(row: number, thread: number, waitedMs: number): void {
    const at = this.#ownFloat(row, thread);
    this.#floats[at + WAITED_MS]! += waitedMs;
    this.#floats[at + WAITED]! += 1;
  }

  countRefused(row: number, thread: number, why: Refusal): void {
    this.#floats[this.#ownFloat(row, thread) + REFUSED + REFUSALS.indexOf(why)]! += 1;
  }

  countAnswer(row: number, thread: number, latencyMs: number): void {
    const at = this.#ownFloat(row, thread);
    this.#floats[at + ANSWERS_MS]! += latencyMs;
    this.#floats[at + ANSWERS]! += 1;
  }

  answers(row: number): number {
    return this.#sum(row, ANSWERS);
  }

  answersMs(row: number): number {
    return this.#sum(row, ANSWERS_MS);
  }

  sums(row: number): PlaceSums {
    const refused = REFUSALS.map((why, at) => [why, this.#sum(row, REFUSED + at)] as const);
    return {
      waiting: this.waiting(row),
      waited: this.#sum(row, WAITED),
      waitedMs: this.#sum(row, WAITED_MS),
      refused: Object.fromEntries(refused) as Record<Refusal, number>,
      limit: this.limit(row),
      baseMs: this.#floats[row * this.#floatColumns + BASE_MS]!,
    };
  }

  // --- the limit that adapts ---

  limit(row: number): number {
    return this.#floats[row * this.#floatColumns + LIMIT]!;
  }

  windowAt(row: number): number {
    return this.#floats[row * this.#floatColumns + WINDOW_AT]!;
  }

  /** Lets one thread at a time change the state of the limit: `change` runs, or somebody else is at it. */
  write(row: number, thread: number, change: (state: LimitState) => void, state: LimitState): void {
    const pen = row * this.#intColumns + PEN;
    if (Atomics.compareExchange(this.#ints, pen, 0, thread + 1) !== 0) return;
    const floats = this.#floats;
    const at = row * this.#floatColumns;
    STATE.forEach((name, cell) => (state[name] = floats[at + cell]!));
    change(state);
    STATE.forEach((name, cell) => (floats[at + cell] = state[name]));
    Atomics.store(this.#ints, pen, 0);
  }

  #sum(row: number, cell: number): number {
    let sum = 0;
    for (let thread = 0; thread < this.#threads; thread++) sum += this.#floats[this.#ownFloat(row, thread) + cell]!;
    return sum;
  }

  #ownFloat(row: number, thread: number): number {
    return row * this.#floatColumns + SHARED_FLOATS + thread * THREAD_FLOATS;
  }

  #ownInt(row: number, thread: number): number {
    return row * this.#intColumns + SHARED_INTS + thread * THREAD_INTS;
  }
}

/** Reading a page that was never written costs no memory, writing a zero to it would; most rows are of endpoints. */
function clear(cells: Float64Array | Int32Array, at: number, count: number): void {
  for (let cell = at; cell < at + count; cell++) if (cells[cell] !== 0) cells[cell] = 0;
}
