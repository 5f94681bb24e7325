/**
 * The seam of everything that counts callers: a limit, asked with a key and a cost, says whether this request may pass.
 * Limits live in memory that all threads share (memory/limit-table.ts), and, over several gateways, in Redis
 * (store/redis). Whoever asks cannot tell which.
 */

/** What all limits have. */
interface Countable {
  /** Names it in headers, metrics and counts. Two with the same name and shape share their counts. */
  readonly name: string;
  /** Requests (or cost units) per window. */
  readonly max: number;
  /** Of a quota: its longest period (a month of 31 days), for what has to live that long. */
  readonly windowMs: number;
  /** Of `gcra`: how much may come at once. Of others: max. */
  readonly burst: number;
  /** What decides while the store is away. Default: what the store's settings say. */
  readonly onStoreFailure?: OnStoreFailure;
}

/** Without a store a request passes, is refused, or is counted by this gateway alone. */
export type OnStoreFailure = 'allow' | 'deny' | 'local';

/**
 * `gcra`: a steady rate of max per window, with `burst` of it at once. `sliding-window`: at most max in any window; what
 * was taken comes back when it is a window old, at most an eighth of a window late.
 */
export interface RateSpec extends Countable {
  readonly algorithm: 'gcra' | 'sliding-window';
}

/** `quota`: max in each day or month of a calendar. Counted in wall time, as bills are. */
export interface QuotaSpec extends Countable {
  readonly algorithm: 'quota';
  /** The period that holds the moment, both in milliseconds since the epoch. */
  readonly periodAt: (wallMs: number) => QuotaPeriod;
}

export interface QuotaPeriod {
  /** Names it among those of the same quota: `2026-11-21`, `2026-11`. Part of the counter's key. */
  readonly id: string;
  readonly startMs: number;
  /** The first moment of the next one. */
  readonly endMs: number;
}

/** One limit, compiled. */
export type LimitSpec = RateSpec | QuotaSpec;

/** What a limit says of one request. It may be reused for the next one: copy what outlives the call. */
export interface Verdict {
  readonly allowed: boolean;
  /** What is left now. */
  readonly remaining: number;
  /** Until all of it is there again. */
  readonly resetMs: number;
  /** When refused: until the same request would pass. Infinity: never, its cost is over the limit. */
  readonly retryAfterMs: number;
  /** Refused because nobody could be asked (`onStoreFailure: deny`), not because it is too much. */
  readonly isUndecided?: boolean;
}

/** Of a limit, for one request: who is charged, and how much. */
export interface Charge {
  readonly limiter: Limiter;
  readonly key: string;
  readonly cost: number;
}

export interface Limiter {
  readonly spec: LimitSpec;
  /**
   * Charges the key, if the limit allows it. `done` is called once: within the call when memory can tell, later when the
   * store has to be asked.
   */
  take(key: string, cost: number, done: (verdict: Verdict) => void): void;
  /** Takes a charge back: another limit has refused the same request. */
  refund(key: string, cost: number): void;
}

/**
 * Requests in flight by key, of this gateway alone: over several gateways a count that survives the death of one of them
 * would be a lease, and no better.
 */
export interface ConcurrencyLimiter {
  readonly max: number;
  /** @returns a ticket to give back when the request has ended, or -1: as many as may be are in flight. */
  enter(key: string): number;
  leave(ticket: number): void;
}

/** What callers would like to use, without a limit: what a limit in shadow learns from. Of this gateway alone. */
export interface UsageRecorder {
  record(key: string, cost: number): void;
}

/** Makes limiters; one per data thread. */
export interface Limits {
  limiter(spec: LimitSpec): Limiter;
  concurrency(name: string, max: number): ConcurrencyLimiter;
  usage(name: string, windowMs: number): UsageRecorder;
}
