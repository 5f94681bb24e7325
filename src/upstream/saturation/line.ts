/** Everybody who waits for one pool in one thread: a fair line per priority, and who is refused when it gets too long. */
import type { QueueConfig } from '../../config/schema.ts';
import type { Refusal } from '../../memory/place-table.ts';
import { PRIORITIES } from '../../priority.ts';
import { FairLine } from './fair-line.ts';
import type { Waiting } from './waiting.ts';

export class Line<Waiter extends Waiting> {
  /** The highest priority first. */
  readonly #lines: readonly FairLine<Waiter>[];
  readonly #targetMs: number;

  constructor({ interval, target }: QueueConfig) {
    this.#lines = PRIORITIES.map(() => new FairLine<Waiter>(interval));
    this.#targetMs = target;
  }

  get size(): number {
    let sum = 0;
    for (const line of this.#lines) sum += line.size;
    return sum;
  }

  /** Whether one of this priority would have to wait behind others. */
  isBefore(priority: number): boolean {
    for (let at = 0; at <= priority; at++) if (this.#lines[at]!.size > 0) return true;
    return false;
  }

  add(waiter: Waiter): void {
    this.#lines[waiter.priority]!.add(waiter);
  }

  next(): Waiter | undefined {
    for (const line of this.#lines) if (line.size > 0) return line.next();
    return undefined;
  }

  putBack(waiter: Waiter): void {
    this.#lines[waiter.priority]!.putBack(waiter);
  }

  remove(waiter: Waiter): boolean {
    return this.#lines[waiter.priority]!.remove(waiter);
  }

  /** Who makes room for a newcomer in a full line: anybody of a lower priority, or the greediest of its own. */
  displacedBy({ priority, caller }: Pick<Waiter, 'priority' | 'caller'>): Waiter | undefined {
    for (let at = this.#lines.length - 1; at > priority; at--) {
      const lower = this.#lines[at]!;
      if (lower.size > 0) return lower.anybody();
    }
    return this.#lines[priority]!.greediest(caller);
  }

  /**
   * Looks at how long they wait, and tells of those who have waited too long.
   * @param answerMs what an answer takes: half of that more is no delay that anybody would notice.
   */
  sweep(now: number, answerMs: number, refuse: (waiter: Waiter, why: Refusal) => void): void {
    const targetMs = Math.max(this.#targetMs, answerMs / 2);
    for (const line of this.#lines) {
      line.delay.observe(line.longestMs(now), targetMs, now);
      if (line.size === 0) continue;
      for (const waiter of line.overdue(now, 2 * targetMs)) {
        line.remove(waiter);
        refuse(waiter, waiter.dueAt <= now ? 'late' : 'overloaded');
      }
    }
  }

  /** Nobody waits: what was a standing line stands no more. */
  rest(now: number): void {
    for (const line of this.#lines) line.delay.observe(0, 0, now);
  }
}
