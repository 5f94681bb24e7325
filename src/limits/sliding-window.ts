/**
 * At most max in any window, wherever it begins. Time is cut into slices of an eighth of the window, and a key has a
 * counter for each slice in which it was charged; those of the running slice and of the eight before it count. So what was
 * taken comes back when it is one window old, at most a slice late, and a burst at an edge finds no edge.
 *
 * Counters are entries of their own. A thread that is late may charge a slice that others have left: after each charge the
 * neighbours are looked at again, and whoever finds them changed takes its charge back and begins anew.
 */
import type { Clock } from '../clock.ts';
import { KeyHash } from '../memory/key-hash.ts';
import { TICKS_PER_MS, type LimitTable } from '../memory/limit-table.ts';
import type { Limiter, RateSpec, Verdict } from './limiter.ts';
import { MutableVerdict } from './verdict.ts';

const SLICES = 8;

export class SlidingWindow implements Limiter {
  readonly spec: RateSpec;
  readonly #table: LimitTable;
  readonly #clock: Clock;
  readonly #keys: KeyHash;
  readonly #sliceTicks: number;
  readonly #verdict = new MutableVerdict();
  /** What the key had in each of the slices before the running one, the oldest first. */
  readonly #before = new Array<number>(SLICES).fill(0);
  /** The beginning of the latest slice that another thread was seen to have begun. */
  #begunAt = 0;
  #low = 0;
  #high = 0;

  constructor(spec: RateSpec, table: LimitTable, clock: Clock) {
    this.spec = spec;
    this.#table = table;
    this.#clock = clock;
    this.#keys = new KeyHash(table.seed, JSON.stringify(['sliding-window', spec.name, spec.windowMs]));
    this.#sliceTicks = Math.ceil((spec.windowMs * TICKS_PER_MS) / SLICES);
  }

  take(key: string, cost: number, done: (verdict: Verdict) => void): void {
    this.#choose(key);
    let now = this.#table.ticksAt(this.#clock.now());
    let verdict = this.#take(cost, now);
    while (verdict === undefined) {
      // A clock that is behind those of other threads is put forward, not waited for.
      now = Math.max(now, this.#begunAt);
      verdict = this.#take(cost, now);
    }
    done(verdict);
  }

  refund(key: string, cost: number): void {
    this.#choose(key);
    const slice = Math.floor(this.#table.ticksAt(this.#clock.now()) / this.#sliceTicks);
    if (!this.#takeBack(slice, cost)) this.#takeBack(slice - 1, cost);
  }

  /** @returns undefined when other threads were at it in a neighbouring slice: look again. */
  #take(cost: number, now: number): Verdict | undefined {
    const { max } = this.spec;
    const slice = Math.floor(now / this.#sliceTicks);
    const before = this.#sumBefore(slice);
    const table = this.#table;
    for (;;) {
      this.#keys.slice(this.#low, this.#high, slice);
      const slot = table.open(this.#keys.low, this.#keys.high, now, this.#clock.wall);
      if (slot === -1) return this.#verdict.refuse(0, table.crowdedFor / TICKS_PER_MS, table.crowdedFor / TICKS_PER_MS);
      const current = table.isFresh ? 0 : table.count;
      const used = before + current;
      const resetMs = this.#msUntilFree(slice, now);
      if (used + cost > max) {
        if (!table.isFresh) table.block(slot);
        this.#blockBefore(slice);
        return this.#verdict.refuse(Math.max(0, max - used), resetMs, this.#retryAfterMs(cost, used, slice, now));
      }
      const isLast = used + cost === max;
      if (!table.setCount(slot, current + cost, this.#end(slice), isLast)) continue;
      const hasBegun = this.#countIn(slice + 1) > 0;
      if (hasBegun) this.#begunAt = (slice + 1) * this.#sliceTicks;
      if (!hasBegun && this.#countIn(slice - 1) === this.#before[SLICES - 1]) {
        if (isLast) this.#blockBefore(slice);
        return this.#verdict.allow(max - used - cost, resetMs);
      }
      this.#takeBack(slice, cost);
      return undefined;
    }
  }

  #sumBefore(slice: number): number {
    let sum = 0;
    for (let age = SLICES; age > 0; age--) sum += this.#before[SLICES - age] = this.#countIn(slice - age);
    return sum;
  }

  #countIn(slice: number): number {
    return this.#find(slice) === -1 ? 0 : this.#table.count;
  }

  #find(slice: number): number {
    this.#keys.slice(this.#low, this.#high, slice);
    return this.#table.find(this.#keys.low, this.#keys.high);
  }

  /** The counters of a key that is refused stay, whoever wants their room. */
  #blockBefore(slice: number): void {
    for (let age = SLICES; age > 0; age--) {
      if (this.#before[SLICES - age] === 0) continue;
      const slot = this.#find(slice - age);
      if (slot !== -1) this.#table.block(slot);
    }
  }

  #takeBack(slice: number, cost: number): boolean {
    for (;;) {
      const slot = this.#find(slice);
      if (slot === -1 || this.#table.count < cost) return false;
      if (this.#table.setCount(slot, this.#table.count - cost, this.#end(slice), false)) return true;
    }
  }

  /** From when on the slice no longer counts. */
  #end(slice: number): number {
    return (slice + SLICES + 1) * this.#sliceTicks;
  }

  #msUntilFree(slice: number, now: number): number {
    return (this.#end(slice) - now) / TICKS_PER_MS;
  }

  #retryAfterMs(cost: number, used: number, slice: number, now: number): number {
    const { max } = this.spec;
    if (cost > max) return Infinity;
    let left = used;
    for (let age = SLICES; age > 0; age--) {
      left -= this.#before[SLICES - age]!;
      if (left + cost <= max) return this.#msUntilFree(slice - age, now);
    }
    return this.#msUntilFree(slice, now);
  }

  #choose(key: string): void {
    this.#keys.hash(key);
    this.#low = this.#keys.low;
    this.#high = this.#keys.high;
  }
}
