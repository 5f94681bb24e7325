/** Limits of one process: exact over its threads, forgotten when it ends. */
import type { Clock } from '../clock.ts';
import { ConcurrencyTable, MAX_IN_FLIGHT, type ConcurrencyTableBuffers } from '../memory/concurrency-table.ts';
import { KeyHash } from '../memory/key-hash.ts';
import { LimitTable, type LimitTableBuffers } from '../memory/limit-table.ts';
import { UsageTable } from '../memory/usage-table.ts';
import { Gcra } from './gcra.ts';
import type { ConcurrencyLimiter, Limiter, Limits, LimitSpec, UsageRecorder } from './limiter.ts';
import { Quota } from './quota.ts';
import { SlidingWindow } from './sliding-window.ts';
import { SharedUsage } from './usage.ts';

export interface LimitBuffers {
  readonly limits: LimitTableBuffers;
  readonly concurrency: ConcurrencyTableBuffers;
  readonly usage: SharedArrayBuffer;
}

/** The control plane's side: it makes the memory, and takes back what a thread has left behind. */
export class LimitTables {
  readonly buffers: LimitBuffers;
  readonly usage: UsageTable;
  readonly #concurrency: ConcurrencyTable;

  static allocate(threads: number, nowMs: number): LimitTables {
    return new LimitTables({
      limits: LimitTable.allocate(nowMs).buffers,
      concurrency: ConcurrencyTable.allocate(threads).buffers,
      usage: UsageTable.allocate().shared,
    });
  }

  constructor(buffers: LimitBuffers) {
    this.buffers = buffers;
    this.usage = new UsageTable(buffers.usage);
    this.#concurrency = new ConcurrencyTable(buffers.concurrency);
  }

  forgetThread(thread: number): void {
    this.#concurrency.forgetThread(thread);
  }
}

export class MemoryLimits implements Limits {
  readonly #table: LimitTable;
  readonly #concurrency: ConcurrencyTable;
  readonly #usage: UsageTable;
  readonly #thread: number;
  readonly #clock: Clock;

  constructor(buffers: LimitBuffers, thread: number, clock: Clock) {
    this.#table = new LimitTable(buffers.limits);
    this.#concurrency = new ConcurrencyTable(buffers.concurrency);
    this.#usage = new UsageTable(buffers.usage);
    this.#thread = thread;
    this.#clock = clock;
  }

  limiter(spec: LimitSpec): Limiter {
    switch (spec.algorithm) {
      case 'gcra':
        return new Gcra(spec, this.#table, this.#clock);
      case 'sliding-window':
        return new SlidingWindow(spec, this.#table, this.#clock);
      case 'quota':
        return new Quota(spec, this.#table, this.#clock);
    }
  }

  concurrency(name: string, max: number): ConcurrencyLimiter {
    return new SharedConcurrency(this.#concurrency, this.#thread, name, Math.min(max, MAX_IN_FLIGHT));
  }

  usage(name: string, windowMs: number): UsageRecorder {
    return new SharedUsage(name, windowMs, this.#table, this.#usage, this.#clock);
  }
}

class SharedConcurrency implements ConcurrencyLimiter {
  readonly max: number;
  readonly #table: ConcurrencyTable;
  readonly #thread: number;
  readonly #keys: KeyHash;

  constructor(table: ConcurrencyTable, thread: number, name: string, max: number) {
    this.max = max;
    this.#table = table;
    this.#thread = thread;
    this.#keys = new KeyHash(table.seed, JSON.stringify(['concurrency', name]));
  }

  enter(key: string): number {
    this.#keys.hash(key);
    return this.#table.enter(this.#thread, this.#keys.low, this.#keys.high, this.max);
  }

  leave(ticket: number): void {
    this.#table.leave(this.#thread, ticket);
  }
}
