/**
 * The generic cell rate algorithm (ITU-T I.371): a key has one number, the moment at which it will have its whole burst
 * again. Each unit moves it on by the time that a unit takes to come back; beyond the burst it may not go.
 */
import type { Clock } from '../clock.ts';
import { KeyHash } from '../memory/key-hash.ts';
import { TICKS_PER_MS, type LimitTable } from '../memory/limit-table.ts';
import type { Limiter, RateSpec, Verdict } from './limiter.ts';
import { MutableVerdict } from './verdict.ts';

const MOST_SLACK_MS = 0.5;

export class Gcra implements Limiter {
  readonly spec: RateSpec;
  readonly #table: LimitTable;
  readonly #clock: Clock;
  readonly #keys: KeyHash;
  /** What one unit costs, in ticks; whole, so that sums are exact. */
  readonly #unit: number;
  readonly #burst: number;
  /** Clocks of threads differ. What is less than a unit lets no request pass that would not pass so much later. */
  readonly #slack: number;
  readonly #verdict = new MutableVerdict();

  constructor(spec: RateSpec, table: LimitTable, clock: Clock) {
    this.spec = spec;
    this.#table = table;
    this.#clock = clock;
    // The moment means as much as the unit that moved it: with another max a key begins afresh.
    this.#keys = new KeyHash(table.seed, JSON.stringify(['gcra', spec.name, spec.windowMs, spec.max]));
    this.#unit = Math.max(1, Math.ceil((spec.windowMs * TICKS_PER_MS) / spec.max));
    this.#burst = this.#unit * spec.burst;
    this.#slack = Math.min(MOST_SLACK_MS * TICKS_PER_MS, this.#unit / 2);
  }

  take(key: string, cost: number, done: (verdict: Verdict) => void): void {
    this.#keys.hash(key);
    done(this.#take(this.#keys.low, this.#keys.high, cost * this.#unit));
  }

  refund(key: string, cost: number): void {
    this.#keys.hash(key);
    const { low, high } = this.#keys;
    for (;;) {
      const slot = this.#table.find(low, high);
      if (slot === -1 || this.#table.setDue(slot, Math.max(0, this.#table.due - cost * this.#unit), false)) return;
    }
  }

  #take(low: number, high: number, cost: number): Verdict {
    const table = this.#table;
    for (;;) {
      const slot = table.open(low, high, this.#now(), this.#clock.wall);
      if (slot === -1) return this.#verdict.refuse(0, table.crowdedFor / TICKS_PER_MS, table.crowdedFor / TICKS_PER_MS);
      // Read behind the state: to a thread that was stopped before it, what others have charged since would look like more.
      const now = this.#now();
      const debt = table.isFresh ? 0 : Math.max(0, table.due - now);
      const after = debt + cost;
      const over = after - this.#burst;
      if (over > this.#slack) {
        if (!table.isFresh) table.block(slot);
        const retryMs = cost > this.#burst ? Infinity : over / TICKS_PER_MS;
        return this.#verdict.refuse(this.#unitsIn(this.#burst - debt), debt / TICKS_PER_MS, retryMs);
      }
      if (table.setDue(slot, now + after, over + this.#unit > 0)) {
        return this.#verdict.allow(this.#unitsIn(-over), after / TICKS_PER_MS);
      }
    }
  }

  #now(): number {
    return this.#table.ticksAt(this.#clock.now());
  }

  #unitsIn(ticks: number): number {
    return Math.max(0, Math.floor(ticks / this.#unit));
  }
}
