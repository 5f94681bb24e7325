/** So much in each day or month. One counter for each period, so the next one begins with none; see calendar.ts. */
import type { Clock } from '../clock.ts';
import { KeyHash } from '../memory/key-hash.ts';
import { TICKS_PER_MS, type LimitTable } from '../memory/limit-table.ts';
import type { Limiter, QuotaPeriod, QuotaSpec, Verdict } from './limiter.ts';
import { MutableVerdict } from './verdict.ts';

export class Quota implements Limiter {
  readonly spec: QuotaSpec;
  readonly #table: LimitTable;
  readonly #clock: Clock;
  readonly #seed: Uint32Array;
  readonly #verdict = new MutableVerdict();
  #period: QuotaPeriod;
  #keys: KeyHash;

  constructor(spec: QuotaSpec, table: LimitTable, clock: Clock) {
    this.spec = spec;
    this.#table = table;
    this.#clock = clock;
    this.#seed = table.seed;
    this.#period = spec.periodAt(clock.wall());
    this.#keys = this.#keysOf(this.#period);
  }

  take(key: string, cost: number, done: (verdict: Verdict) => void): void {
    const { max } = this.spec;
    const wallMs = this.#clock.wall();
    this.#turnTo(wallMs);
    this.#keys.hash(key);
    const { low, high } = this.#keys;
    const leftMs = this.#period.endMs - wallMs;
    const now = this.#table.ticksAt(this.#clock.now());
    const table = this.#table;
    for (;;) {
      const slot = table.open(low, high, now, this.#clock.wall);
      if (slot === -1) {
        const waitMs = table.crowdedFor / TICKS_PER_MS;
        return done(this.#verdict.refuse(0, waitMs, waitMs));
      }
      const used = table.isFresh ? 0 : table.count;
      if (used + cost > max) {
        if (!table.isFresh) table.block(slot);
        return done(this.#verdict.refuse(Math.max(0, max - used), leftMs, cost > max ? Infinity : leftMs));
      }
      if (table.setWallCount(slot, used + cost, this.#period.endMs, used + cost === max)) {
        return done(this.#verdict.allow(max - used - cost, leftMs));
      }
    }
  }

  refund(key: string, cost: number): void {
    const table = this.#table;
    this.#turnTo(this.#clock.wall());
    this.#keys.hash(key);
    for (;;) {
      const slot = table.find(this.#keys.low, this.#keys.high);
      if (slot === -1) return;
      if (table.setWallCount(slot, Math.max(0, table.count - cost), this.#period.endMs, false)) return;
    }
  }

  #turnTo(wallMs: number): void {
    if (wallMs >= this.#period.startMs && wallMs < this.#period.endMs) return;
    this.#period = this.spec.periodAt(wallMs);
    this.#keys = this.#keysOf(this.#period);
  }

  #keysOf({ id }: QuotaPeriod): KeyHash {
    return new KeyHash(this.#seed, JSON.stringify(['quota', this.spec.name, id]));
  }
}
