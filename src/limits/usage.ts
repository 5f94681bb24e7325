/** Counts what each caller uses in each window, whatever the limit, for the histogram of memory/usage-table.ts. */
import type { Clock } from '../clock.ts';
import { KeyHash } from '../memory/key-hash.ts';
import { MAX_COUNT, TICKS_PER_MS, type LimitTable } from '../memory/limit-table.ts';
import type { UsageTable } from '../memory/usage-table.ts';
import type { UsageRecorder } from './limiter.ts';

export class SharedUsage implements UsageRecorder {
  readonly #table: LimitTable;
  readonly #usage: UsageTable;
  readonly #clock: Clock;
  readonly #keys: KeyHash;
  readonly #row: number;
  readonly #windowTicks: number;

  constructor(name: string, windowMs: number, table: LimitTable, usage: UsageTable, clock: Clock) {
    this.#table = table;
    this.#usage = usage;
    this.#clock = clock;
    this.#keys = new KeyHash(table.seed, JSON.stringify(['usage', name, windowMs]));
    this.#row = usage.rowOf(name);
    this.#windowTicks = windowMs * TICKS_PER_MS;
  }

  record(key: string, cost: number): void {
    const table = this.#table;
    const now = table.ticksAt(this.#clock.now());
    const window = Math.floor(now / this.#windowTicks);
    this.#keys.hash(key);
    this.#keys.slice(this.#keys.low, this.#keys.high, window);
    for (;;) {
      const slot = table.open(this.#keys.low, this.#keys.high, now, this.#clock.wall);
      if (slot === -1) return;
      const before = table.isFresh ? 0 : table.count;
      const after = Math.min(before + cost, MAX_COUNT);
      if (table.setCount(slot, after, (window + 1) * this.#windowTicks, false)) {
        return this.#usage.moved(this.#row, before, after);
      }
    }
  }
}
