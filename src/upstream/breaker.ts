/**
 * A circuit breaker (Nygard): closed while an endpoint, or a pool, does well; open when too much of what it is asked fails,
 * or is slow; half-open when that was long enough ago, and a trickle of requests finds out. It lies in shared memory
 * (memory/breaker-table.ts), and whichever thread sees that it has to move moves it: no thread waits for another.
 *
 * A ticket says under which state a request was admitted. What it has to tell counts only while that state lasts: an answer
 * to a question from before an opening proves nothing about what came after.
 */
import type { Clock, Random } from '../clock.ts';
import type { BreakerConfig } from '../config/schema.ts';
import {
  BREAKER,
  stateOf,
  WINDOW_SLOTS,
  type BreakerState,
  type BreakerTable,
  type Tally,
} from '../memory/breaker-table.ts';
import type { EndpointTable } from '../memory/endpoint-table.ts';

/** No state has this word. */
export const REFUSED = -1;

export type Outcome = 'success' | 'failure' | 'cancelled';

/** Open times differ by up to this share, so that what opened together is not probed together. */
const JITTER = 0.2;

/** What opened it. */
export type OpeningCause = 'failure-share' | 'consecutive-failures' | 'slow-share' | 'probe';

export interface BreakerMove {
  readonly to: BreakerState;
  /** Of an opening. */
  readonly cause?: OpeningCause;
  /** In words: `10 of 20 answers in 10 s failed; open for 10.4 s`. */
  readonly reason: string;
}

interface Why {
  readonly cause: OpeningCause;
  readonly what: string;
}

export interface BreakerParts {
  readonly config: BreakerConfig;
  readonly row: number;
  readonly thread: number;
  readonly table: EndpointTable;
  readonly clock: Clock;
  readonly random: Random;
  /** This thread has moved it. */
  readonly onMoved: (row: number, move: BreakerMove) => void;
}

export class Breaker {
  readonly #parts: BreakerParts;
  readonly #config: BreakerConfig;
  readonly #breakers: BreakerTable;
  readonly #row: number;
  readonly #slotMs: number;
  readonly #slowMs: number;
  readonly #tally: Tally = { total: 0, failed: 0, slow: 0 };

  constructor(parts: BreakerParts) {
    this.#parts = parts;
    this.#config = parts.config;
    this.#breakers = parts.table.breakers;
    this.#row = parts.row;
    this.#slotMs = parts.config.window / WINDOW_SLOTS;
    this.#slowMs = parts.config.slow?.over ?? Infinity;
  }

  get isClosed(): boolean {
    return stateOf(this.#breakers.word(this.#row)) === BREAKER.closed;
  }

  /** Of one that is not closed: whether it would admit a request now. Another thread may be quicker. */
  get wantsProbe(): boolean {
    const breakers = this.#breakers;
    const state = stateOf(breakers.word(this.#row));
    if (state === BREAKER.open) return this.waitMs <= 0;
    return state === BREAKER.closed || breakers.probes(this.#row) < this.#places;
  }

  /** Until an open one is probed. */
  get waitMs(): number {
    return this.#breakers.until(this.#row) - this.#parts.clock.now();
  }

  /** @returns a ticket, to be given back with `record` whatever becomes of the request; or REFUSED. */
  admit(): number {
    const breakers = this.#breakers;
    for (;;) {
      const word = breakers.word(this.#row);
      const state = stateOf(word);
      if (state === BREAKER.closed) return word;
      if (state === BREAKER.open) {
        if (this.waitMs > 0) return REFUSED;
        this.#halfOpen(word);
        continue;
      }
      if (!breakers.tryProbe(this.#row, this.#parts.thread, this.#places)) return REFUSED;
      if (breakers.word(this.#row) === word) return word;
      // It has moved in between: the place was not one of this state.
      breakers.endProbe(this.#row, this.#parts.thread);
    }
  }

  /**
   * @param durationMs to the head of the answer, or to the failure.
   * @param now saves a look at the clock.
   */
  record(ticket: number, outcome: Outcome, durationMs: number, now = this.#parts.clock.now()): void {
    const isProbe = stateOf(ticket) === BREAKER.halfOpen;
    // Its place is free again, also when its client has left and nothing was learnt.
    if (isProbe) this.#breakers.endProbe(this.#row, this.#parts.thread);
    if (outcome === 'cancelled' || this.#breakers.word(this.#row) !== ticket) return;
    const failed = outcome === 'failure';
    const slow = durationMs > this.#slowMs;
    if (isProbe) this.#judgeProbe(ticket, failed, slow);
    else this.#count(ticket, failed, slow, now);
  }

  // --- closed ---

  #count(word: number, failed: boolean, slow: boolean, now: number): void {
    const breakers = this.#breakers;
    const slot = Math.floor(now / this.#slotMs) | 0;
    breakers.count(this.#row, slot, failed, slow);
    const inARow = failed ? breakers.addFailure(this.#row) : 0;
    if (!failed) breakers.clearFailures(this.#row);
    // A good answer in time makes no share larger.
    if (!failed && !slow) return;
    const why = this.#whyOpen(inARow, slot);
    if (why !== undefined) this.#open(word, why);
  }

  #whyOpen(inARow: number, slot: number): Why | undefined {
    const { consecutive, failures, slow, minRequests, window } = this.#config;
    if (consecutive !== undefined && inARow >= consecutive) {
      return { cause: 'consecutive-failures', what: `${inARow} failures in a row` };
    }
    const tally = this.#tally;
    this.#breakers.tally(this.#row, slot, tally);
    if (tally.total < minRequests) return undefined;
    const told = `of ${tally.total} answers in ${window / 1000} s`;
    if (tally.failed >= failures * tally.total) {
      return { cause: 'failure-share', what: `${tally.failed} ${told} failed` };
    }
    if (slow === undefined || tally.slow < slow.share * tally.total) return undefined;
    return { cause: 'slow-share', what: `${tally.slow} ${told} took longer than ${slow.over / 1000} s` };
  }

  // --- half-open ---

  /** How many probes may be on the way: one more for each that has passed, as far as any are still needed. */
  get #places(): number {
    return Math.min(this.#config.probes, 1 + this.#breakers.passed(this.#row));
  }

  #judgeProbe(word: number, failed: boolean, slow: boolean): void {
    if (failed || slow) {
      return this.#open(word, { cause: 'probe', what: failed ? 'a probe failed' : 'a probe was slow' });
    }
    const passed = this.#breakers.addPassed(this.#row);
    if (passed >= this.#config.probes) this.#close(word, passed);
  }

  // --- moves: all that belongs to the next state is written before the word says so. Of two threads that move it within the
  // --- same microsecond one does, and the other may make the open time twice as long.

  #open(word: number, { cause, what }: Why): void {
    const { clock, random } = this.#parts;
    const breakers = this.#breakers;
    if (breakers.word(this.#row) !== word) return;
    const isAgain = stateOf(word) === BREAKER.halfOpen || clock.now() < breakers.until(this.#row);
    const times = isAgain ? breakers.openedInARow(this.#row) + 1 : 1;
    const openMs = this.#openMs(times) * (1 + JITTER * random());
    breakers.setOpenedInARow(this.#row, times);
    breakers.setUntil(this.#row, clock.now() + openMs);
    this.#move(word, { to: BREAKER.open, cause, reason: `${what}; open for ${(openMs / 1000).toFixed(1)} s` });
  }

  #openMs(times: number): number {
    const { openFor, maxOpenFor } = this.#config;
    return Math.min(openFor * 2 ** (times - 1), Math.max(openFor, maxOpenFor));
  }

  #halfOpen(word: number): void {
    this.#breakers.clearPassed(this.#row);
    this.#move(word, { to: BREAKER.halfOpen, reason: 'a request finds out whether it is over' });
  }

  #close(word: number, passed: number): void {
    const breakers = this.#breakers;
    breakers.forgetAnswers(this.#row);
    // It must do well for as long as it was open before its past is forgotten.
    const rememberMs = this.#openMs(breakers.openedInARow(this.#row));
    breakers.setUntil(this.#row, this.#parts.clock.now() + rememberMs);
    const reason = passed === 1 ? 'a probe did well' : `${passed} probes did well`;
    this.#move(word, { to: BREAKER.closed, reason });
  }

  #move(word: number, move: BreakerMove): void {
    const { table, onMoved } = this.#parts;
    if (!this.#breakers.move(this.#row, word, move.to)) return;
    table.turnEpoch();
    onMoved(this.#row, move);
  }
}

/** Whether pools with this configuration have breakers for endpoints, or for themselves. */
export function hasBreaker({ scope }: BreakerConfig, whose: 'endpoint' | 'pool'): boolean {
  return scope === whose || scope === 'both';
}
