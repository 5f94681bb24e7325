/**
 * Finds how much a pool takes at once by how long it takes to answer (gradient, as in Netflix's concurrency-limits): while
 * answers take about as long as they do without hurry the limit grows, when they take longer it shrinks in proportion.
 *
 * What "without hurry" means is measured where nobody waits: at any time when the limit is not used, and in a pool that is
 * always busy by going down in steps of a quarter until that makes answers no quicker, which is the first step below what
 * the pool can take. A long-term average instead would learn the queue as normal and grow for ever; a look at a single-digit
 * limit, as Envoy takes it, costs nearly all goodput while it lasts (docs/decisions/0023).
 *
 * One limit for all threads, in shared memory: whichever thread ends a window moves it.
 */
import type { Clock } from '../../clock.ts';
import type { AdaptiveLimitConfig } from '../../config/schema.ts';
import type { EndpointTable } from '../../memory/endpoint-table.ts';
import type { LimitState, PlaceTable } from '../../memory/place-table.ts';

/** Windows are at least this long, and as long as an answer takes: a change is seen before the next is made. */
const WINDOW_MS = 100;
const LEAST_ANSWERS = 20;
/** What is measured holds for long, and so is measured well. */
const MEASURED_ANSWERS = 100;
/** How much of a window's finding is believed. */
const WEIGHT = 0.2;
/** One finding never takes more than half. */
const STEEPEST = 0.5;
const INITIAL = 20;
const STEP = 0.75;
/** Where all that is beyond the capacity waits, a step makes answers quicker by as much as it takes; half of that is a sign. */
const QUICKER = (1 + STEP) / 2;
/** A pool that is busy from the start is measured this soon. */
const FIRST_MS = 1000;
/** When answers take far too long, what is taken for unhurried may be wrong: then it is measured within so many windows. */
const DOUBTS = 20;

export interface AdaptiveLimitParts {
  readonly config: AdaptiveLimitConfig;
  /** The pool's. */
  readonly row: number;
  readonly thread: number;
  readonly table: EndpointTable;
  readonly clock: Clock;
}

export class AdaptiveLimit {
  readonly #parts: AdaptiveLimitParts;
  readonly #config: AdaptiveLimitConfig;
  readonly #row: number;
  readonly #places: PlaceTable;
  readonly #state: LimitState = {
    limit: 0,
    baseMs: 0,
    windowAt: 0,
    remeasureAt: 0,
    limitBefore: 0,
    aboveMs: 0,
    isSettled: 0,
    seenMs: 0,
    seen: 0,
  };

  constructor(parts: AdaptiveLimitParts) {
    this.#parts = parts;
    this.#config = parts.config;
    this.#row = parts.row;
    this.#places = parts.table.places;
  }

  /** Always within its bounds, also those of a new configuration. */
  get current(): number {
    return Math.floor(this.#bounded(this.#places.limit(this.#row) || INITIAL));
  }

  /** @param latencyMs to the head of an answer, or to the end of a patience that was in vain. */
  record(latencyMs: number): void {
    this.#places.countAnswer(this.#row, this.#parts.thread, latencyMs);
    if (this.#parts.clock.now() - this.#places.windowAt(this.#row) < WINDOW_MS) return;
    this.#places.write(this.#row, this.#parts.thread, this.#endWindow, this.#state);
  }

  readonly #endWindow = (state: LimitState): void => {
    const now = this.#parts.clock.now();
    const seen = this.#places.answers(this.#row);
    const seenMs = this.#places.answersMs(this.#row);
    const answers = seen - state.seen;
    const latencyMs = (seenMs - state.seenMs) / answers;
    const isFirst = state.windowAt === 0;
    const isMeasured = state.limitBefore > 0 && state.isSettled === 1;
    const least = isMeasured ? MEASURED_ANSWERS : LEAST_ANSWERS;
    if (!isFirst && (answers < least || now - state.windowAt < Math.max(WINDOW_MS, latencyMs))) return;
    state.seen = seen;
    state.seenMs = seenMs;
    state.windowAt = now;
    if (isFirst) state.limit = this.current;
    else if (state.limitBefore > 0) this.#remeasure(state, latencyMs, now);
    else this.#follow(state, latencyMs, now);
  };

  #follow(state: LimitState, latencyMs: number, now: number): void {
    const { remeasure, tolerance } = this.#config;
    if (state.baseMs === 0) {
      state.baseMs = latencyMs;
      state.remeasureAt = now + Math.min(remeasure, FIRST_MS);
    }
    if (this.#parts.table.inFlight(this.#row) < this.current / 2) {
      // However long it takes now, it is not our crowd that makes it so.
      state.baseMs += (latencyMs - state.baseMs) * WEIGHT;
      state.remeasureAt = now + remeasure;
      return;
    }
    if (now >= state.remeasureAt) {
      state.limitBefore = state.limit;
      state.aboveMs = Infinity;
      state.isSettled = 1;
      return;
    }
    const gradient = Math.min(1, Math.max(STEEPEST, (tolerance * state.baseMs) / latencyMs));
    if (gradient === STEEPEST) state.remeasureAt -= remeasure / DOUBTS;
    const found = state.limit * gradient + Math.sqrt(state.limit);
    state.limit = this.#bounded(state.limit + (found - state.limit) * WEIGHT);
  }

  #stepDown(state: LimitState, latencyMs: number): void {
    state.aboveMs = latencyMs;
    state.isSettled = 0;
    state.limit = this.#bounded(state.limit * STEP);
  }

  #remeasure(state: LimitState, latencyMs: number, now: number): void {
    if (state.isSettled === 0) {
      state.isSettled = 1;
      return;
    }
    if (latencyMs < state.aboveMs * QUICKER && state.limit > this.#config.min) return this.#stepDown(state, latencyMs);
    state.baseMs = latencyMs;
    // Two steps back: somewhat above what it can take, from where its latency is followed again.
    state.limit = this.#bounded(Math.min(state.limitBefore, state.limit / STEP ** 2));
    state.limitBefore = 0;
    state.remeasureAt = now + this.#config.remeasure;
  }

  #bounded(limit: number): number {
    return Math.min(this.#config.max, Math.max(this.#config.min, limit));
  }
}
