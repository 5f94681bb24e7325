/**
 * What every thread counts, in memory that the scraper sees: one region per thread, so that each cell has one writer and
 * counting is a plain add. A thread that replaces a dead one goes on in its region, so no counter ever runs backwards.
 *
 * An aligned 8-byte cell is written whole on every machine that Node 24 runs on; a scrape that misses the latest add sees
 * it the next time.
 */
import { CATALOGUE, type ErrorType } from '../errors.ts';
import { GRPC_STATUSES, type GrpcStatus } from '../grpc/status.ts';

/** Upper bounds in seconds, as Prometheus wants them; `+Inf` follows. */
export const DURATION_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30] as const;

/** How a try at an endpoint ended. Of an answer: the first digit of its status, so these two are none. */
export const OUTCOME = { failure: 0, cancelled: 10 } as const;
export const OUTCOMES = ['failure', '1xx', '2xx', '3xx', '4xx', '5xx', 'cancelled'] as const;

const SERVER_ERROR = OUTCOMES.indexOf('5xx');
const CANCELLED = OUTCOMES.indexOf('cancelled');

export const ERROR_TYPES = Object.keys(CATALOGUE) as ErrorType[];

/** The client left before an answer; nginx's number for it, which dashboards know. */
const CLIENT_GONE = 499;
/** Final codes of the IANA registry (RFC 9110 §16.2) have a cell each; all others share the last. */
const CODES = [
  101, 200, 201, 202, 203, 204, 205, 206, 207, 208, 226, 300, 301, 302, 303, 304, 305, 307, 308, 400, 401, 402, 403,
  404, 405, 406, 407, 408, 409, 410, 411, 412, 413, 414, 415, 416, 417, 418, 421, 422, 423, 424, 425, 426, 428, 429,
  431, 451, 499, 500, 501, 502, 503, 504, 505, 506, 507, 508, 510, 511,
] as const;
const OTHER_CODE = CODES.length;

const CODE_CELL = new Uint8Array(1000).fill(OTHER_CODE);
CODES.forEach((code, cell) => (CODE_CELL[code] = cell));
CODE_CELL[0] = CODE_CELL[CLIENT_GONE]!;

const BUCKET_MS = Float64Array.from(DURATION_BUCKETS, (seconds) => seconds * 1000);

/** Cells of a thread. */
const THREAD = {
  inFlight: 0,
  downstreamNow: 1,
  upstreamNow: 2,
  downstreamOpened: 3,
  upstreamOpened: 4,
  loopDelayP50Ms: 5,
  loopDelayP99Ms: 6,
  loopDelayMaxMs: 7,
  heapUsedBytes: 8,
  heapLimitBytes: 9,
  generation: 10,
  storeDown: 11,
  storeAnswered: 12,
  storeFailed: 13,
  limitLeased: 14,
  limitAsked: 15,
  limitFailedOver: 16,
  upgradesNow: 17,
  upgradesOpened: 18,
  shedding: 19,
  shedHigh: 20,
  shedNormal: 21,
  shedLow: 22,
} as const;
const THREAD_CELLS = 32;
/** What has happened has happened, whatever became of the thread; all else is as it is now. */
const THREAD_COUNTERS = /Opened$|^store(Answered|Failed)$|^limit|^shed(High|Normal|Low)$/;

/** Cells of a route; the codes last. */
const BUCKETS = 0;
const DURATION_SUM = BUCKETS + DURATION_BUCKETS.length + 1;
const BYTES_IN = DURATION_SUM + 1;
const BYTES_OUT = BYTES_IN + 1;
const RETRIES = BYTES_OUT + 1;
const ERRORS = RETRIES + 1;
const GRPC_CODES = ERRORS + ERROR_TYPES.length;
const STATUSES = GRPC_CODES + GRPC_STATUSES.length;
const ROUTE_CELLS = STATUSES + OTHER_CODE + 1;

/** Cells of an endpoint; the outcomes first. */
const ATTEMPT_SUM = OUTCOMES.length;
const CONNECTIONS_NOW = ATTEMPT_SUM + 1;
const CONNECTIONS_OPENED = CONNECTIONS_NOW + 1;
const ENDPOINT_CELLS = CONNECTIONS_OPENED + 1;

/** Regions start on pages of their own: no cache line, and no prefetch of a pair of them, has two writers. */
const PAGE_CELLS = 4096 / 8;

export interface MetricTableSize {
  readonly threads: number;
  /** Rows of routes and of endpoints. Pages that no row touches cost no memory, so both can be generous. */
  readonly routes: number;
  readonly endpoints: number;
}

export interface MetricTableBuffers extends MetricTableSize {
  readonly shared: SharedArrayBuffer;
}

export interface RouteSums {
  /** By code; `other` for codes without a registration. Only those that occurred. */
  readonly codes: ReadonlyMap<string, number>;
  readonly requests: number;
  /** By bucket, each alone; the last is what exceeds all bounds. */
  readonly buckets: readonly number[];
  readonly durationSeconds: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly retries: number;
  /** Only those that occurred. */
  readonly errors: ReadonlyMap<ErrorType, number>;
  /** Calls of gRPC. Only those that occurred. */
  readonly grpc: ReadonlyMap<GrpcStatus, number>;
}

export interface EndpointSums {
  /** Only those that occurred. */
  readonly outcomes: ReadonlyMap<(typeof OUTCOMES)[number], number>;
  readonly attempts: number;
  readonly durationSeconds: number;
  readonly connections: number;
  readonly connectionsOpened: number;
}

export type ThreadSample = Readonly<Record<keyof typeof THREAD, number>>;

export class MetricTable {
  readonly buffers: MetricTableBuffers;
  readonly #regions: readonly Float64Array[];
  readonly #endpointsAt: number;

  static allocate(size: MetricTableSize): MetricTable {
    const bytes = size.threads * regionCells(size) * 8;
    return new MetricTable({ ...size, shared: new SharedArrayBuffer(bytes) });
  }

  constructor(buffers: MetricTableBuffers) {
    const cells = regionCells(buffers);
    this.buffers = buffers;
    this.#endpointsAt = THREAD_CELLS + buffers.routes * ROUTE_CELLS;
    this.#regions = Array.from(
      { length: buffers.threads },
      (_, thread) => new Float64Array(buffers.shared, thread * cells * 8, cells),
    );
  }

  /** The thread's own pen. No other thread may hold it. */
  writer(thread: number): MetricWriter {
    return new MetricWriter(this.#regions[thread]!, this.#endpointsAt);
  }

  // --- read by the control plane, summed over threads ---

  route(row: number): RouteSums {
    const cells = this.#sum(routeCell(row), ROUTE_CELLS);
    const codes = occurred(cells, STATUSES, [...CODES.map(String), 'other']);
    return {
      codes,
      requests: total(codes.values()),
      buckets: [...cells.subarray(BUCKETS, DURATION_SUM)],
      durationSeconds: cells[DURATION_SUM]! / 1000,
      bytesIn: cells[BYTES_IN]!,
      bytesOut: cells[BYTES_OUT]!,
      retries: cells[RETRIES]!,
      errors: occurred(cells, ERRORS, ERROR_TYPES),
      grpc: occurred(cells, GRPC_CODES, GRPC_STATUSES),
    };
  }

  endpoint(row: number): EndpointSums {
    const cells = this.#sum(this.#endpointsAt + row * ENDPOINT_CELLS, ENDPOINT_CELLS);
    const outcomes = occurred(cells, 0, OUTCOMES);
    return {
      outcomes,
      attempts: total(outcomes.values()),
      durationSeconds: cells[ATTEMPT_SUM]! / 1000,
      connections: cells[CONNECTIONS_NOW]!,
      connectionsOpened: cells[CONNECTIONS_OPENED]!,
    };
  }

  /** What each thread has now, by its number. */
  threads(): readonly ThreadSample[] {
    const names = Object.keys(THREAD) as (keyof typeof THREAD)[];
    return this.#regions.map(
      (region) => Object.fromEntries(names.map((name) => [name, region[THREAD[name]]!])) as ThreadSample,
    );
  }

  // --- cleared by the control plane, when nobody writes ---

  /** Empties a row before another route gets it. */
  resetRoute(row: number): void {
    for (const region of this.#regions) region.fill(0, routeCell(row), routeCell(row + 1));
  }

  /** Empties a row before another endpoint gets it. */
  resetEndpoint(row: number): void {
    const at = this.#endpointsAt + row * ENDPOINT_CELLS;
    for (const region of this.#regions) region.fill(0, at, at + ENDPOINT_CELLS);
  }

  /** Takes back what a thread that died had open. Its counters stay: what happened has happened. */
  forgetThread(thread: number): void {
    const region = this.#regions[thread]!;
    for (const [name, cell] of Object.entries(THREAD)) if (!THREAD_COUNTERS.test(name)) region[cell] = 0;
    for (let row = 0; row < this.buffers.endpoints; row++) {
      const cell = this.#endpointsAt + row * ENDPOINT_CELLS + CONNECTIONS_NOW;
      // Reading a page that was never written costs no memory, writing a zero to it would.
      if (region[cell] !== 0) region[cell] = 0;
    }
  }

  #sum(at: number, length: number): Float64Array {
    const sums = new Float64Array(length);
    for (const region of this.#regions) {
      for (let cell = 0; cell < length; cell++) sums[cell]! += region[at + cell]!;
    }
    return sums;
  }
}

/** Counts on behalf of one thread: a few plain adds each, nothing is allocated. */
export class MetricWriter {
  readonly #cells: Float64Array;
  readonly #endpointsAt: number;

  constructor(region: Float64Array, endpointsAt: number) {
    this.#cells = region;
    this.#endpointsAt = endpointsAt;
  }

  /** Once per request, at its end. @param status 0: the client left before an answer. */
  request(routeRow: number, status: number, durationMs: number, bytesIn: number, bytesOut: number): void {
    const cells = this.#cells;
    const at = routeCell(routeRow);
    cells[at + STATUSES + (CODE_CELL[status] ?? OTHER_CODE)]! += 1;
    cells[at + BUCKETS + bucketOf(durationMs)]! += 1;
    cells[at + DURATION_SUM]! += durationMs;
    cells[at + BYTES_IN]! += bytesIn;
    cells[at + BYTES_OUT]! += bytesOut;
  }

  /** The end of a call of gRPC. */
  grpc(routeRow: number, code: number): void {
    this.#cells[routeCell(routeRow) + GRPC_CODES + code]! += 1;
  }

  /** An answer that the gateway made. @param errorTypeIndex of ERROR_TYPES, the order of the catalogue. */
  error(routeRow: number, errorTypeIndex: number): void {
    this.#cells[routeCell(routeRow) + ERRORS + errorTypeIndex]! += 1;
  }

  /** A try after the first. */
  retry(routeRow: number): void {
    this.#cells[routeCell(routeRow) + RETRIES]! += 1;
  }

  /** The end of one try. @param outcome of OUTCOMES: the status's first digit, OUTCOME.failure or OUTCOME.cancelled. */
  attempt(endpointRow: number, outcome: number, durationMs: number): void {
    const at = this.#endpointsAt + endpointRow * ENDPOINT_CELLS;
    this.#cells[at + outcomeCell(outcome)]! += 1;
    this.#cells[at + ATTEMPT_SUM]! += durationMs;
  }

  downstreamOpened(): void {
    this.#cells[THREAD.downstreamNow]! += 1;
    this.#cells[THREAD.downstreamOpened]! += 1;
  }

  downstreamClosed(): void {
    this.#cells[THREAD.downstreamNow]! -= 1;
  }

  upgradeOpened(): void {
    this.#cells[THREAD.upgradesNow]! += 1;
    this.#cells[THREAD.upgradesOpened]! += 1;
  }

  upgradeClosed(): void {
    this.#cells[THREAD.upgradesNow]! -= 1;
  }

  upstreamOpened(endpointRow: number): void {
    const at = this.#endpointsAt + endpointRow * ENDPOINT_CELLS;
    this.#cells[at + CONNECTIONS_NOW]! += 1;
    this.#cells[at + CONNECTIONS_OPENED]! += 1;
    this.#cells[THREAD.upstreamNow]! += 1;
    this.#cells[THREAD.upstreamOpened]! += 1;
  }

  upstreamClosed(endpointRow: number): void {
    this.#cells[this.#endpointsAt + endpointRow * ENDPOINT_CELLS + CONNECTIONS_NOW]! -= 1;
    this.#cells[THREAD.upstreamNow]! -= 1;
  }

  /** +1 when a request's head was read, -1 when its exchange is over. */
  inFlight(delta: number): void {
    this.#cells[THREAD.inFlight]! += delta;
  }

  /** Since the last call, from `monitorEventLoopDelay`. */
  loopDelay(p50Ms: number, p99Ms: number, maxMs: number): void {
    this.#cells[THREAD.loopDelayP50Ms] = p50Ms;
    this.#cells[THREAD.loopDelayP99Ms] = p99Ms;
    this.#cells[THREAD.loopDelayMaxMs] = maxMs;
  }

  heap(usedBytes: number, limitBytes: number): void {
    this.#cells[THREAD.heapUsedBytes] = usedBytes;
    this.#cells[THREAD.heapLimitBytes] = limitBytes;
  }

  /** 0: none is refused; see data/shedding.ts. */
  shedding(share: number): void {
    this.#cells[THREAD.shedding] = share;
  }

  /** A request that the gateway was too busy for. @param priority of PRIORITIES. */
  shed(priority: number): void {
    this.#cells[THREAD.shedHigh + priority]! += 1;
  }

  storeUp(isUp: boolean): void {
    this.#cells[THREAD.storeDown] = isUp ? 0 : 1;
  }

  /** The end of a round trip to the store. */
  storeAsked(isAnswered: boolean): void {
    this.#cells[isAnswered ? THREAD.storeAnswered : THREAD.storeFailed]! += 1;
  }

  /** A shared limit decided from what the thread had. */
  limitLeased(): void {
    this.#cells[THREAD.limitLeased]! += 1;
  }

  /** It asked the store. */
  limitAsked(): void {
    this.#cells[THREAD.limitAsked]! += 1;
  }

  /** It decided without the store. */
  limitFailedOver(): void {
    this.#cells[THREAD.limitFailedOver]! += 1;
  }

  /** The number of the generation that new requests get. */
  generation(id: number): void {
    this.#cells[THREAD.generation] = id;
  }
}

function regionCells({ routes, endpoints }: MetricTableSize): number {
  const cells = THREAD_CELLS + routes * ROUTE_CELLS + endpoints * ENDPOINT_CELLS;
  return Math.ceil(cells / PAGE_CELLS) * PAGE_CELLS;
}

function routeCell(row: number): number {
  return THREAD_CELLS + row * ROUTE_CELLS;
}

/** RFC 9110 §15: a status beyond 599, which an upstream may invent, counts as a 5xx. */
function outcomeCell(outcome: number): number {
  if (outcome <= SERVER_ERROR) return outcome;
  return outcome === OUTCOME.cancelled ? CANCELLED : SERVER_ERROR;
}

/** Most answers take milliseconds, so the scan from below is over after a few steps. */
function bucketOf(durationMs: number): number {
  let bucket = 0;
  while (bucket < BUCKET_MS.length && durationMs > BUCKET_MS[bucket]!) bucket++;
  return bucket;
}

function occurred<Name>(cells: Float64Array, at: number, names: readonly Name[]): Map<Name, number> {
  const counts = new Map<Name, number>();
  names.forEach((name, cell) => {
    const count = cells[at + cell]!;
    if (count > 0) counts.set(name, count);
  });
  return counts;
}

function total(counts: Iterable<number>): number {
  let sum = 0;
  for (const count of counts) sum += count;
  return sum;
}
