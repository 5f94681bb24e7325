/**
 * Those who wait for the same time, in the order in which they began, on one timer: one of Node's for each request would cost
 * more than all else that a hedge does while nobody is late.
 */
import type { Clock } from '../../src/clock.ts';

/** Extend it: an entry is in at most one line, once. */
export abstract class Waiting {
  /** @internal */
  dueAt = 0;
  /** @internal */
  before: Waiting | null = null;
  /** @internal */
  behind: Waiting | null = null;
  /** @internal */
  isWaiting = false;

  /** Runs once; the entry is out of the line and may join again. */
  abstract onLate(now: number): void;
}

export class WaitingLine {
  readonly #clock: Clock;
  #first: Waiting | null = null;
  #last: Waiting | null = null;
  #isTimed = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Nobody overtakes: where times differ, a shorter one ends no sooner than those that joined before. */
  join(entry: Waiting, now: number, forMs: number): void {
    entry.dueAt = now + forMs;
    entry.isWaiting = true;
    entry.before = this.#last;
    if (this.#last === null) this.#first = entry;
    else this.#last.behind = entry;
    this.#last = entry;
    if (!this.#isTimed) this.#lookIn(forMs);
  }

  leave(entry: Waiting): void {
    if (!entry.isWaiting) return;
    const { before, behind } = entry;
    if (before === null) this.#first = behind;
    else before.behind = behind;
    if (behind === null) this.#last = before;
    else behind.before = before;
    entry.before = null;
    entry.behind = null;
    entry.isWaiting = false;
  }

  /** The timer may have been set for one that has left since. */
  readonly #look = (): void => {
    this.#isTimed = false;
    const now = this.#clock.now();
    while (this.#first !== null && this.#first.dueAt <= now) {
      const late = this.#first;
      this.leave(late);
      late.onLate(now);
    }
    // Whoever was late may have joined again.
    if (this.#first !== null && !this.#isTimed) this.#lookIn(Math.ceil(this.#first.dueAt - now));
  };

  #lookIn(ms: number): void {
    this.#isTimed = true;
    this.#clock.after(ms, this.#look);
  }
}
