/**
 * One row per endpoint in memory that every thread sees: whether it may be used and why not, how many requests it has,
 * how fast it answers. The control plane alone writes `status`; data threads count. Rows are given out by the control
 * plane by identity, so that an endpoint keeps its row, and with it its state, through reloads. A pool has a row too,
 * for its own breaker, its limit and its budget of further tries.
 */
import { BreakerTable } from './breaker-table.ts';
import { BudgetTable } from './budget-table.ts';
import { LoadTable } from './load-table.ts';
import { PlaceTable } from './place-table.ts';
import { SampleTable } from './sample-table.ts';

/** Why an endpoint takes no traffic: bits of its status. Zero is available. */
export const ENDPOINT = {
  /** Failed its active check. */
  unhealthy: 1,
  /** Ejected by what real traffic told. */
  ejected: 2,
  /** Told to take nothing new. */
  draining: 4,
  /** Has joined others that serve, and has not passed its active check yet. */
  joining: 8,
  /**
   * Only beside `draining`: sessions that are stuck to it may stay, and nothing else comes. Alone `draining` lets nothing
   * come at all, unless the pool says otherwise. See upstream/sticky/keeps-sessions.ts.
   */
  keepsSessions: 16,
  /** Its agent says that it is down. */
  down: 32,
  /** Its agent wants nothing new for it: `drain`, `maint`. */
  resting: 64,
} as const;

/** Cells of one row in the Int32 part. */
const STATUS = 0;
const IN_FLIGHT = 1;
const CONSECUTIVE_FAILURES = 2;
const CONSECUTIVE_GATEWAY_FAILURES = 3;
/** One bit for each of its last 32 answers, the latest the lowest; set: it was a failure. */
const LATELY = 4;
const INT_COLUMNS = 5;

/** Cells of one row in the Float64 part. */
const AVERAGE_MS = 0;
const AVERAGE_AT = 1;
const STARTED_AT = 2;
const FLOAT_COLUMNS = 3;

export interface EndpointTableBuffers {
  readonly capacity: number;
  readonly threads: number;
  readonly shared: SharedArrayBuffer;
}

const HEADER_BYTES = 64;

export class EndpointTable {
  readonly capacity: number;
  readonly buffers: EndpointTableBuffers;
  readonly breakers: BreakerTable;
  readonly samples: SampleTable;
  readonly places: PlaceTable;
  readonly loads: LoadTable;
  readonly budgets: BudgetTable;
  /** [0] the epoch: moves whenever any status moves. */
  readonly #header: Int32Array;
  readonly #ints: Int32Array;
  readonly #floats: Float64Array;
  /** In flight by row and thread, so that what a dead thread left behind can be taken back. */
  readonly #byThread: Int32Array;
  readonly #threads: number;

  /** Pages that no row touches cost no memory, so the capacity can be generous. */
  static allocate(threads: number, capacity = 65_536): EndpointTable {
    const own = HEADER_BYTES + ownBytes(capacity, threads);
    const parts = [LoadTable, BreakerTable, BudgetTable, SampleTable, PlaceTable].map((part) =>
      eights(part.bytes(capacity, threads)),
    );
    const bytes = parts.reduce((sum, part) => sum + part, own);
    return new EndpointTable({ capacity, threads, shared: new SharedArrayBuffer(bytes) });
  }

  constructor(buffers: EndpointTableBuffers) {
    const { capacity, threads, shared } = buffers;
    this.buffers = buffers;
    this.capacity = capacity;
    this.#threads = threads;
    this.#header = new Int32Array(shared, 0, HEADER_BYTES / 4);
    this.#floats = new Float64Array(shared, HEADER_BYTES, capacity * FLOAT_COLUMNS);
    const intsAt = HEADER_BYTES + this.#floats.byteLength;
    this.#ints = new Int32Array(shared, intsAt, capacity * INT_COLUMNS);
    this.#byThread = new Int32Array(shared, intsAt + this.#ints.byteLength, capacity * threads);
    const loadsAt = HEADER_BYTES + ownBytes(capacity, threads);
    this.loads = new LoadTable(shared, loadsAt, capacity);
    const breakersAt = loadsAt + eights(LoadTable.bytes(capacity));
    this.breakers = new BreakerTable(shared, breakersAt, capacity, threads);
    const budgetsAt = breakersAt + eights(BreakerTable.bytes(capacity, threads));
    this.budgets = new BudgetTable(shared, budgetsAt, capacity, threads);
    const samplesAt = budgetsAt + eights(BudgetTable.bytes(capacity, threads));
    this.samples = new SampleTable(shared, samplesAt, capacity, threads);
    const placesAt = samplesAt + eights(SampleTable.bytes(capacity, threads));
    this.places = new PlaceTable(shared, placesAt, capacity, threads);
  }

  /** Moves whenever any status, breaker or share does: a pool compares it before each pick and sorts anew only when it moved. */
  get epoch(): number {
    return Atomics.load(this.#header, 0);
  }

  /** A breaker has moved, or a share. */
  turnEpoch(): void {
    Atomics.add(this.#header, 0, 1);
  }

  // --- status: written by the control plane ---

  status(row: number): number {
    return Atomics.load(this.#ints, row * INT_COLUMNS + STATUS);
  }

  setStatus(row: number, bit: number, on: boolean): void {
    const cell = row * INT_COLUMNS + STATUS;
    if (on) Atomics.or(this.#ints, cell, bit);
    else Atomics.and(this.#ints, cell, ~bit);
    Atomics.add(this.#header, 0, 1);
  }

  /** When it last began to serve beside others that did already: what its slow start counts from. 0: it never has. */
  startedAt(row: number): number {
    return this.#floats[row * FLOAT_COLUMNS + STARTED_AT]!;
  }

  /** Before the status that lets it serve. @param at of the clock that all threads share. */
  setStartedAt(row: number, at: number): void {
    this.#floats[row * FLOAT_COLUMNS + STARTED_AT] = at;
  }

  /** A fresh row for a new endpoint. */
  reset(row: number): void {
    this.#ints.fill(0, row * INT_COLUMNS, (row + 1) * INT_COLUMNS);
    this.#floats.fill(0, row * FLOAT_COLUMNS, (row + 1) * FLOAT_COLUMNS);
    this.#byThread.fill(0, row * this.#threads, (row + 1) * this.#threads);
    this.breakers.reset(row);
    this.samples.reset(row);
    this.places.reset(row);
    this.loads.reset(row);
    this.budgets.reset(row);
    Atomics.add(this.#header, 0, 1);
  }

  // --- in flight: written by data threads ---

  begin(row: number, thread: number): void {
    Atomics.add(this.#ints, row * INT_COLUMNS + IN_FLIGHT, 1);
    this.#byThread[row * this.#threads + thread]! += 1;
  }

  /** The same, when fewer than `most` are. @returns whether it did. */
  tryBegin(row: number, thread: number, most: number): boolean {
    const cell = row * INT_COLUMNS + IN_FLIGHT;
    for (;;) {
      // Not added first and taken back: another thread would see no place where there is one.
      const now = Atomics.load(this.#ints, cell);
      if (now >= most) return false;
      if (Atomics.compareExchange(this.#ints, cell, now, now + 1) !== now) continue;
      this.#byThread[row * this.#threads + thread]! += 1;
      return true;
    }
  }

  end(row: number, thread: number): void {
    Atomics.sub(this.#ints, row * INT_COLUMNS + IN_FLIGHT, 1);
    this.#byThread[row * this.#threads + thread]! -= 1;
  }

  /** Requests that the endpoint has now, from all threads. */
  inFlight(row: number): number {
    return Atomics.load(this.#ints, row * INT_COLUMNS + IN_FLIGHT);
  }

  /** Requests that it has from one thread. */
  inFlightOf(row: number, thread: number): number {
    return this.#byThread[row * this.#threads + thread]!;
  }

  /** Takes back what a thread that died had in flight. */
  forgetThread(thread: number): void {
    this.breakers.forgetThread(thread);
    this.places.forgetThread(thread);
    this.budgets.forgetThread(thread);
    for (let row = 0; row < this.capacity; row++) {
      const cell = row * this.#threads + thread;
      const left = this.#byThread[cell]!;
      if (left === 0) continue;
      this.#byThread[cell] = 0;
      Atomics.sub(this.#ints, row * INT_COLUMNS + IN_FLIGHT, left);
    }
  }

  // --- failures in a row, and of the last answers, over all threads ---

  /** @returns how many in a row there are now. */
  addFailure(row: number): number {
    const cells = row * INT_COLUMNS;
    this.#ints[cells + LATELY] = (this.#ints[cells + LATELY]! << 1) | 1;
    return Atomics.add(this.#ints, cells + CONSECUTIVE_FAILURES, 1) + 1;
  }

  /** Writes nothing where nothing has failed lately. */
  addSuccess(row: number): void {
    const cells = row * INT_COLUMNS;
    if (this.#ints[cells + CONSECUTIVE_FAILURES] !== 0) Atomics.store(this.#ints, cells + CONSECUTIVE_FAILURES, 0);
    // A plain cell: an answer that two threads forget between them does no harm.
    const lately = this.#ints[cells + LATELY]!;
    if (lately !== 0) this.#ints[cells + LATELY] = lately << 1;
  }

  failures(row: number): number {
    return Atomics.load(this.#ints, row * INT_COLUMNS + CONSECUTIVE_FAILURES);
  }

  setFailures(row: number, count: number): void {
    Atomics.store(this.#ints, row * INT_COLUMNS + CONSECUTIVE_FAILURES, count);
  }

  /** Of its last 32 answers, how many were failures. */
  failedLately(row: number): number {
    let count = 0;
    for (let bits = this.#ints[row * INT_COLUMNS + LATELY]!; bits !== 0; bits &= bits - 1) count++;
    return count;
  }

  /** Failures in a row of which the service itself said nothing, or that its own gateway answered. */
  addGatewayFailure(row: number): number {
    return Atomics.add(this.#ints, row * INT_COLUMNS + CONSECUTIVE_GATEWAY_FAILURES, 1) + 1;
  }

  clearGatewayFailures(row: number): void {
    const cell = row * INT_COLUMNS + CONSECUTIVE_GATEWAY_FAILURES;
    if (this.#ints[cell] !== 0) Atomics.store(this.#ints, cell, 0);
  }

  gatewayFailures(row: number): number {
    return Atomics.load(this.#ints, row * INT_COLUMNS + CONSECUTIVE_GATEWAY_FAILURES);
  }

  setGatewayFailures(row: number, count: number): void {
    Atomics.store(this.#ints, row * INT_COLUMNS + CONSECUTIVE_GATEWAY_FAILURES, count);
  }

  // --- latency average: plain 8-byte cells; a lost update of a moving average does no harm ---

  averageMs(row: number): number {
    return this.#floats[row * FLOAT_COLUMNS + AVERAGE_MS]!;
  }

  averageAt(row: number): number {
    return this.#floats[row * FLOAT_COLUMNS + AVERAGE_AT]!;
  }

  setAverage(row: number, averageMs: number, at: number): void {
    this.#floats[row * FLOAT_COLUMNS + AVERAGE_MS] = averageMs;
    this.#floats[row * FLOAT_COLUMNS + AVERAGE_AT] = at;
  }
}

/** A multiple of eight, whatever the number of threads: what lies behind it is aligned. */
function ownBytes(capacity: number, threads: number): number {
  return eights(capacity * (FLOAT_COLUMNS * 8 + (INT_COLUMNS + threads) * 4));
}

const eights = (bytes: number): number => Math.ceil(bytes / 8) * 8;
