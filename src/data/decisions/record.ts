/**
 * How one request was decided, attempt by attempt. A *whole* record was asked for, or drawn by lot, before the first pick:
 * each attempt has the standing of its pool at that moment. One that began only when an attempt failed knows the attempts and
 * how they went; what the pool stood like is looked up once, at the end.
 */
import { attemptRecord, standingOf, type AttemptRecord, type PoolStanding } from '../../upstream/attempt-record.ts';
import type { EndpointTable } from '../../memory/endpoint-table.ts';
import type { Clock } from '../../clock.ts';
import type { Endpoint, Pool } from '../../upstream/pool.ts';
import type { UpstreamRequest } from '../dispatch.ts';
import type { Exchange } from '../exchange.ts';
import { addAnswerField } from './answer-field.ts';
import { poolCause, poolOf, type PoolCause } from './pool-cause.ts';

/** What a request is recorded for: it asked, it was drawn, it failed. */
export type RecordCause = 'asked' | 'sampled' | 'failed';

/** All of a record, once its exchange is over: that may be told later, and holds on to nothing large. */
export interface Decision {
  readonly causes: readonly RecordCause[];
  readonly requestId: string;
  /** When it began, milliseconds since the epoch. */
  readonly at: number;
  readonly durationMs: number;
  readonly method: string;
  readonly host: string;
  /** Without the query: it is where tokens travel. */
  readonly path: string;
  readonly route: string;
  /** Of the latest attempt, or the one that would have had it; undefined: no pool was asked. */
  readonly pool: string | undefined;
  readonly poolBy: PoolCause | undefined;
  /** The pool that should have served, and why another, or an answer of the gateway's own, stands in for it. */
  readonly fallback: { readonly from: string; readonly because: string } | undefined;
  readonly status: number;
  /** What the gateway itself had to say, and why. */
  readonly error: string | undefined;
  readonly reason: string | undefined;
  readonly clientLeft: boolean;
  /** What the cache made of it; empty where the route has none. */
  readonly cache: string;
  readonly attempts: readonly AttemptRecord[];
  readonly moreAttempts: number;
  /** As it was when the request had failed, where no attempt has a standing of its own. */
  readonly standing: PoolStanding | undefined;
}

/** More are counted, and the latest is kept. */
const MOST_ATTEMPTS = 8;
/** Texts that clients or upstreams make as long as they like. */
const LONGEST_TEXT = 256;

export class DecisionRecord {
  readonly exchange: Exchange;
  readonly isAsked: boolean;
  readonly isSampled: boolean;
  readonly attempts: AttemptRecord[] = [];
  moreAttempts = 0;
  readonly #table: EndpointTable;
  readonly #clock: Clock;

  constructor(exchange: Exchange, table: EndpointTable, clock: Clock, cause: { asked: boolean; sampled: boolean }) {
    this.exchange = exchange;
    this.#table = table;
    this.#clock = clock;
    this.isAsked = cause.asked;
    this.isSampled = cause.sampled;
  }

  /** Before the first pick it was known that there would be one. */
  get isWhole(): boolean {
    return this.isAsked || this.isSampled;
  }

  /** @param endpoint undefined: none could be. */
  picked(request: UpstreamRequest, endpoint: Endpoint | undefined): AttemptRecord {
    const standing = this.isWhole ? standingOf(request.pool, this.#table, endpoint, request.tried) : undefined;
    return this.#add(request, endpoint, this.#clock.now(), standing);
  }

  /** Of an attempt that nobody recorded when it began. */
  failed(request: UpstreamRequest, endpoint: Endpoint, startedAt: number): AttemptRecord {
    return this.#add(request, endpoint, startedAt, undefined);
  }

  retried(afterMs: number): void {
    const last = this.attempts.at(-1);
    if (last !== undefined) last.retryAfterMs = afterMs;
  }

  hedged(afterMs: number): void {
    const last = this.attempts.at(-1);
    if (last !== undefined) last.hedgedAfterMs = afterMs;
  }

  /** @param why `attempts`, `body`, `deadline`, `budget`: the words of the retry layer. */
  notRetried(why: string): void {
    const last = this.attempts.at(-1);
    if (last !== undefined) last.notRetried = why;
  }

  /** The last edit of the answer's fields: who asked reads the short form in them. */
  editAnswer(fields: string[]): void {
    if (this.isAsked) addAnswerField(this, fields);
  }

  #add(
    request: UpstreamRequest,
    endpoint: Endpoint | undefined,
    at: number,
    standing: PoolStanding | undefined,
  ): AttemptRecord {
    const attempt = attemptRecord(request, endpoint, at - this.exchange.startedAt, standing);
    if (this.attempts.length < MOST_ATTEMPTS) {
      this.attempts.push(attempt);
    } else {
      // The first ones tell how it began, and the latest how it ended.
      this.attempts[MOST_ATTEMPTS - 1] = attempt;
      this.moreAttempts += 1;
    }
    return attempt;
  }

  /** Once the exchange is over. */
  close(durationMs: number, isFailure: boolean): Decision {
    const { exchange } = this;
    const { error } = exchange;
    const pool = poolOf(exchange);
    return {
      causes: this.#causes(isFailure),
      requestId: exchange.id,
      at: this.#clock.wall() - durationMs,
      durationMs,
      method: exchange.method,
      host: bounded(exchange.authority),
      path: bounded(exchange.path),
      route: exchange.rule.name,
      pool: pool?.name,
      poolBy: pool && poolCause(exchange, pool),
      fallback: pool && fallbackOf(exchange),
      status: exchange.status,
      error: error?.type,
      reason: error && bounded(error.message),
      clientLeft: exchange.clientLeft,
      cache: exchange.cache,
      attempts: this.attempts,
      moreAttempts: this.moreAttempts,
      standing: this.isWhole || pool === undefined ? undefined : this.#standingAtEnd(pool),
    };
  }

  #standingAtEnd(pool: Pool): PoolStanding {
    return standingOf(pool, this.#table, undefined, undefined);
  }

  #causes(isFailure: boolean): RecordCause[] {
    const causes: RecordCause[] = [];
    if (this.isAsked) causes.push('asked');
    if (this.isSampled) causes.push('sampled');
    if (isFailure) causes.push('failed');
    return causes;
  }
}

function fallbackOf({ upstream: { fallback } }: Exchange): Decision['fallback'] {
  return fallback && { from: fallback.from, because: bounded(fallback.because) };
}

const bounded = (text: string) => (text.length > LONGEST_TEXT ? `${text.slice(0, LONGEST_TEXT - 1)}…` : text);
