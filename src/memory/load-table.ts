/**
 * What endpoints say of their load, in memory that every thread sees. Data threads write what answers report; the control
 * plane writes what follows from that, and what agents say, so that all threads weigh alike.
 */

/** A report as it is counted; see upstream/load/report.ts. */
export interface ReportedLoad {
  /** 0: idle, or not said. */
  readonly utilization: number;
  /** Requests each second that the endpoint has from everybody; 0: not said. */
  readonly rate: number;
  /** Of them, those that fail. */
  readonly errorRate: number;
}

/** Cells of a row in the Float64 part. */
const UTILIZATION = 0;
const RATE = 1;
const ERROR_RATE = 2;
const REPORTED_AT = 3;
const FACTOR = 4;
const SHARE = 5;
const FLOAT_COLUMNS = 6;

/** Cells of a row in the Int32 part. */
const REPORTS = 0;
const FAILED = 1;
const MALFORMED = 2;
const MAX_IN_FLIGHT = 3;
const INT_COLUMNS = 4;

const HEADER_BYTES = 8;

export class LoadTable {
  /** [0] counts the changes of factors. */
  readonly #header: Int32Array;
  readonly #floats: Float64Array;
  readonly #ints: Int32Array;

  /** A multiple of eight. */
  static bytes(capacity: number): number {
    return HEADER_BYTES + capacity * (FLOAT_COLUMNS * 8 + INT_COLUMNS * 4);
  }

  /** @param offset a multiple of eight. */
  constructor(shared: SharedArrayBuffer, offset: number, capacity: number) {
    this.#header = new Int32Array(shared, offset, HEADER_BYTES / 4);
    this.#floats = new Float64Array(shared, offset + HEADER_BYTES, capacity * FLOAT_COLUMNS);
    const intsAt = offset + HEADER_BYTES + this.#floats.byteLength;
    this.#ints = new Int32Array(shared, intsAt, capacity * INT_COLUMNS);
  }

  /** Nothing is known: it has its whole weight. */
  reset(row: number): void {
    this.#floats.fill(0, row * FLOAT_COLUMNS, (row + 1) * FLOAT_COLUMNS);
    this.#floats[row * FLOAT_COLUMNS + SHARE] = 1;
    this.#ints.fill(0, row * INT_COLUMNS, (row + 1) * INT_COLUMNS);
  }

  // --- reports: written by data threads. Two at once may leave parts of both, a millisecond apart ---

  /** @param failed what the answer that brought it says of the endpoint. */
  report(row: number, { utilization, rate, errorRate }: ReportedLoad, failed: boolean, now: number): void {
    const at = row * FLOAT_COLUMNS;
    this.#floats[at + UTILIZATION] = utilization;
    this.#floats[at + RATE] = rate;
    this.#floats[at + ERROR_RATE] = errorRate;
    this.#floats[at + REPORTED_AT] = now;
    Atomics.add(this.#ints, row * INT_COLUMNS + REPORTS, 1);
    if (failed) Atomics.add(this.#ints, row * INT_COLUMNS + FAILED, 1);
  }

  /** A report that is none. */
  refuse(row: number): void {
    Atomics.add(this.#ints, row * INT_COLUMNS + MALFORMED, 1);
  }

  /** The latest. */
  reported(row: number): ReportedLoad {
    const at = row * FLOAT_COLUMNS;
    return {
      utilization: this.#floats[at + UTILIZATION]!,
      rate: this.#floats[at + RATE]!,
      errorRate: this.#floats[at + ERROR_RATE]!,
    };
  }

  /** 0: never. */
  reportedAt(row: number): number {
    return this.#floats[row * FLOAT_COLUMNS + REPORTED_AT]!;
  }

  /** Counts that only go up, and wrap around as 32 bits do. */
  counts(row: number): { readonly reports: number; readonly failed: number; readonly malformed: number } {
    const at = row * INT_COLUMNS;
    return {
      reports: this.#ints[at + REPORTS]! >>> 0,
      failed: this.#ints[at + FAILED]! >>> 0,
      malformed: this.#ints[at + MALFORMED]! >>> 0,
    };
  }

  // --- what follows: written by the control plane ---

  /** Moves whenever a factor does. */
  get version(): number {
    return Atomics.load(this.#header, 0);
  }

  /** What a weight is multiplied by under `balance: adaptive`. */
  factor(row: number): number {
    return this.#floats[row * FLOAT_COLUMNS + FACTOR]! || 1;
  }

  setFactor(row: number, factor: number): void {
    this.#floats[row * FLOAT_COLUMNS + FACTOR] = factor;
    Atomics.add(this.#header, 0, 1);
  }

  /** How much of its weight its agent leaves an endpoint that was given its row; usually 0 … 1. */
  share(row: number): number {
    return this.#floats[row * FLOAT_COLUMNS + SHARE]!;
  }

  /** Of which pools hear by the endpoint table's epoch. */
  setShare(row: number, share: number): void {
    this.#floats[row * FLOAT_COLUMNS + SHARE] = share;
  }

  /** What its agent lets an endpoint have at once; 0: any number. */
  maxInFlight(row: number): number {
    return this.#ints[row * INT_COLUMNS + MAX_IN_FLIGHT]!;
  }

  setMaxInFlight(row: number, most: number): void {
    Atomics.store(this.#ints, row * INT_COLUMNS + MAX_IN_FLIGHT, most);
  }
}
