/**
 * A line in which callers take turns, whatever each of them asks for: one that sends a thousand requests waits behind its
 * own, not others behind it. Of one caller the oldest goes first, or the newest when the line stands: that one's client is
 * still there.
 */
import { ControlledDelay } from './controlled-delay.ts';
import type { Waiting } from './waiting.ts';

interface Flow<Waiter> {
  readonly caller: string;
  /** The oldest first. */
  readonly waiters: Waiter[];
}

export class FairLine<Waiter extends Waiting> {
  readonly delay: ControlledDelay;
  /** Whoever's turn is next stands first. */
  readonly #flows: Flow<Waiter>[] = [];
  readonly #byCaller = new Map<string, Flow<Waiter>>();
  /** Those who have had their turn before: they go first, the oldest of them. */
  readonly #furtherTries: Waiter[] = [];
  #size = 0;

  constructor(intervalMs: number) {
    this.delay = new ControlledDelay(intervalMs);
  }

  get size(): number {
    return this.#size;
  }

  add(waiter: Waiter): void {
    this.#size++;
    if (waiter.isFurtherTry) return void this.#furtherTries.push(waiter);
    const flow = this.#byCaller.get(waiter.caller);
    if (flow === undefined) this.#flows.push(this.#flowOf(waiter));
    else flow.waiters.push(waiter);
  }

  /** Takes out whoever's turn it is. */
  next(): Waiter | undefined {
    if (this.#size === 0) return undefined;
    this.#size--;
    const first = this.#furtherTries.shift();
    if (first !== undefined) return first;
    const flow = this.#flows.shift()!;
    const waiter = this.delay.isStanding ? flow.waiters.pop()! : flow.waiters.shift()!;
    if (flow.waiters.length > 0) this.#flows.push(flow);
    else this.#byCaller.delete(flow.caller);
    return waiter;
  }

  /** It was its turn, and there was no place: it still is. */
  putBack(waiter: Waiter): void {
    this.#size++;
    if (waiter.isFurtherTry) return void this.#furtherTries.unshift(waiter);
    const flow = this.#byCaller.get(waiter.caller);
    if (flow === undefined) return void this.#flows.unshift(this.#flowOf(waiter));
    this.#flows.splice(this.#flows.indexOf(flow), 1);
    this.#flows.unshift(flow);
    if (this.delay.isStanding) flow.waiters.push(waiter);
    else flow.waiters.unshift(waiter);
  }

  /** @returns whether it was there. */
  remove(waiter: Waiter): boolean {
    const flow = waiter.isFurtherTry ? undefined : this.#byCaller.get(waiter.caller);
    const waiters = flow?.waiters ?? this.#furtherTries;
    const at = waiters.indexOf(waiter);
    if (at === -1) return false;
    waiters.splice(at, 1);
    this.#size--;
    if (flow?.waiters.length === 0) {
      this.#flows.splice(this.#flows.indexOf(flow), 1);
      this.#byCaller.delete(flow.caller);
    }
    return true;
  }

  /** How long the longest has waited. */
  longestMs(now: number): number {
    let since = now;
    for (const { waiters } of this.#flows) since = Math.min(since, waiters[0]!.since);
    return now - since;
  }

  /**
   * Of the caller with the most, the one that has waited longest; undefined when nobody has more than `caller` would have
   * with one more.
   */
  greediest(caller: string): Waiter | undefined {
    // Everybody has one.
    if (this.#flows.length >= this.#size) return undefined;
    let most = this.#byCaller.get(caller);
    let count = (most?.waiters.length ?? 0) + 1;
    for (const flow of this.#flows) {
      if (flow.waiters.length <= count) continue;
      most = flow;
      count = flow.waiters.length;
    }
    return most?.caller === caller ? undefined : most?.waiters[0];
  }

  /** Anybody, of those with most. */
  anybody(): Waiter | undefined {
    return this.greediest('') ?? this.#flows.at(-1)?.waiters[0] ?? this.#furtherTries.at(-1);
  }

  /** All who are late; and when the line stands, those who have waited for longer than `patienceMs`, but for the last one. */
  overdue(now: number, patienceMs: number): Waiter[] {
    const isOver = ({ dueAt }: Waiter) => dueAt <= now;
    const found = this.#furtherTries.filter(isOver);
    let left = this.#size - found.length;
    for (const { waiters } of this.#flows) {
      for (const waiter of waiters) {
        const isSlow = this.delay.isStanding && now - waiter.since > patienceMs && left > 1;
        if (!isSlow && !isOver(waiter)) continue;
        left--;
        found.push(waiter);
      }
    }
    return found;
  }

  #flowOf(waiter: Waiter): Flow<Waiter> {
    const flow = { caller: waiter.caller, waiters: [waiter] };
    this.#byCaller.set(waiter.caller, flow);
    return flow;
  }
}
