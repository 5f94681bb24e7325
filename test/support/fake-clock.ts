/**
 * A clock that stands still until told: `advance` runs what falls due in order, each at its own time, and whatever that
 * sets in turn. `wall` moves with it, from a fixed date.
 */
import type { Clock, Timer } from '../../src/clock.ts';

const START_WALL = Date.UTC(2026, 0, 1);

interface Entry {
  readonly dueAt: number;
  /** Breaks ties: what was set first runs first. */
  readonly order: number;
  readonly run: () => void;
}

export class FakeClock implements Clock {
  #now: number;
  #order = 0;
  readonly #entries = new Set<Entry>();

  /** @param startMs where `now()` begins; not zero, so that a forgotten zero shows. */
  constructor(startMs = 1_000_000) {
    this.#now = startMs;
  }

  readonly now = (): number => this.#now;
  readonly wall = (): number => START_WALL + this.#now;

  readonly after = (delayMs: number, run: () => void): Timer => {
    const entry: Entry = { dueAt: this.#now + Math.max(0, delayMs), order: this.#order++, run };
    this.#entries.add(entry);
    return { cancel: () => void this.#entries.delete(entry) };
  };

  readonly every = (periodMs: number, run: () => void): Timer => {
    const again = (): void => {
      timer = this.after(periodMs, again);
      run();
    };
    let timer = this.after(periodMs, again);
    return { cancel: () => timer.cancel() };
  };

  /** How many timers are waiting: zero after a clean shutdown. */
  get pending(): number {
    return this.#entries.size;
  }

  /** Moves time on, running every timer that falls due on the way, in order. */
  advance(ms: number): void {
    const until = this.#now + ms;
    for (let next = this.#next(until); next !== undefined; next = this.#next(until)) {
      this.#entries.delete(next);
      this.#now = Math.max(this.#now, next.dueAt);
      next.run();
    }
    this.#now = until;
  }

  /** The same in steps, letting promises and sockets have their turn after each: for code that awaits between timers. */
  async advanceAsync(ms: number, stepMs = ms): Promise<void> {
    for (let left = ms; left > 0; left -= stepMs) {
      this.advance(Math.min(stepMs, left));
      await settle();
    }
  }

  /** Moves time on without running what falls due: what a blocked event loop looks like from inside. */
  stall(ms: number): void {
    this.#now += ms;
  }

  #next(until: number): Entry | undefined {
    let first: Entry | undefined;
    for (const entry of this.#entries) {
      if (entry.dueAt > until) continue;
      if (
        first === undefined ||
        entry.dueAt < first.dueAt ||
        (entry.dueAt === first.dueAt && entry.order < first.order)
      ) {
        first = entry;
      }
    }
    return first;
  }
}

/** Lets everything that is already runnable run: promises first, then one turn of the event loop. */
export function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
