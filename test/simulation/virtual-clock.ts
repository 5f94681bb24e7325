/**
 * Time for a simulation: it jumps from one event to the next. What is due at the same moment runs in the order in which it
 * was set, so a run depends on its seed alone. test/support/fake-clock.ts is for tests that move time by hand; this one is
 * a heap, for millions of events.
 */
import type { Clock, Timer } from '../../src/clock.ts';
import { settle } from '../support/fake-clock.ts';

const START_MS = 1_000_000;
const START_WALL = Date.UTC(2026, 0, 1);

class Event implements Timer {
  readonly dueAt: number;
  readonly order: number;
  run: (() => void) | undefined;
  readonly #clock: VirtualClock;

  constructor(dueAt: number, order: number, run: () => void, clock: VirtualClock) {
    this.dueAt = dueAt;
    this.order = order;
    this.run = run;
    this.#clock = clock;
  }

  cancel(): void {
    if (this.run !== undefined) this.#clock.pending--;
    this.run = undefined;
  }
}

export class VirtualClock implements Clock {
  /** Timers that have not run and were not cancelled. */
  pending = 0;
  #now = START_MS;
  #order = 0;
  #owesTurn = false;
  readonly #heap: Event[] = [];

  readonly now = (): number => this.#now;
  readonly wall = (): number => START_WALL + this.#now;

  /** Since the simulation began. */
  get elapsedMs(): number {
    return this.#now - START_MS;
  }

  readonly after = (delayMs: number, run: () => void): Timer => {
    const event = new Event(this.#now + Math.max(0, delayMs), this.#order++, run, this);
    this.pending++;
    this.#push(event);
    return event;
  };

  readonly every = (periodMs: number, run: () => void): Timer => {
    const again = (): void => {
      timer = this.after(periodMs, again);
      run();
    };
    let timer = this.after(periodMs, again);
    return { cancel: () => timer.cancel() };
  };

  /** Promises wait for this event: they have their turn before time goes on. Nearly all events have none. */
  oweTurn(): void {
    this.#owesTurn = true;
  }

  /** Runs what falls due until then. */
  async runUntil(elapsedMs: number): Promise<void> {
    const until = START_MS + elapsedMs;
    for (;;) {
      if (this.#owesTurn) {
        this.#owesTurn = false;
        await settle();
        continue;
      }
      const event = this.#heap[0];
      if (event === undefined || event.dueAt > until) break;
      this.#pop();
      const { run } = event;
      if (run === undefined) continue;
      event.run = undefined;
      this.pending--;
      this.#now = event.dueAt;
      run();
    }
    this.#now = Math.max(this.#now, until);
  }

  #push(event: Event): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(event);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isBefore(event, heap[parent]!)) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = event;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop()!;
    const { length } = heap;
    if (length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= length) break;
      if (child + 1 < length && isBefore(heap[child + 1]!, heap[child]!)) child++;
      if (!isBefore(heap[child]!, last)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
  }
}

function isBefore(a: Event, b: Event): boolean {
  return a.dueAt < b.dueAt || (a.dueAt === b.dueAt && a.order < b.order);
}
