/**
 * What one thread knows of one caller of a limit that lives in a store: the units it has ahead, until when a refusal holds,
 * and the requests that wait. It has one question on its way at most, which everybody who waits shares.
 *
 * A request is decided here when there is a unit for it, or a refusal that still holds. Otherwise it waits for the store,
 * at most `timeoutMs`.
 */
import type { Clock } from '../clock.ts';
import type { LimitReply, LimitStore } from '../store/store.ts';
import { Deadline, type TimerWheel } from '../timer-wheel.ts';
import { leaseCap, leaseMs } from './leased-bound.ts';
import type { LimitSpec, Verdict } from './limiter.ts';

/** Units for this long are taken ahead, at the rate of late. */
const AHEAD_MS = 500;
/** Over which that rate is an average. A caller that is not heard of for as long is forgotten. */
const RATE_MS = 1_000;
/** A refusal is not asked about again for 1 % of the window, at most this: a flood must not become a flood of questions. */
const LONGEST_HOLD_MS = 10;
/** A refusal is believed this long: counts may have been cleared. */
const BELIEVED_MS = 10_000;

/** What all callers of a limit share. */
export interface LeasedParts {
  readonly spec: LimitSpec;
  readonly store: LimitStore;
  readonly clock: Clock;
  readonly wheel: TimerWheel;
  readonly timeoutMs: number;
  readonly counts: LimitCounts;
  /** Decides while the store is away. */
  readonly failOver: (key: string, cost: number, done: (verdict: Verdict) => void) => void;
}

/** How requests were decided, for the metrics. */
export interface LimitCounts {
  /** From what the thread had: no round trip. */
  limitLeased(): void;
  /** By a round trip. */
  limitAsked(): void;
  /** Without the store, by `onStoreFailure`. */
  limitFailedOver(): void;
}

interface Waiting {
  readonly cost: number;
  readonly since: number;
  readonly done: (verdict: Verdict) => void;
}

export class LeasedCaller extends Deadline {
  readonly #key: string;
  readonly #parts: LeasedParts;
  readonly #onLeave: () => void;
  #waiting: Waiting[] = [];
  #isAsking = false;
  #askedAt: number;

  /** Units that are charged and not used, and what the store believes that is at most. */
  #held = 0;
  #lease = 0;
  #leaseUntil = 0;
  /** Half of the last lease: below it the next one is fetched, so that nobody has to wait for it. */
  #low = 0;
  /** Units to give back with the next question. */
  #back = 0;

  #refusedCost = Infinity;
  #refusedUntil = 0;
  #retryAt = 0;
  /** What the store said last: what is left for all, when everything will be there, when the quota's period ends. */
  #left = 0;
  #resetAt = 0;
  #periodEndsAt = Infinity;

  /** Units asked for since the last question, and units per millisecond, smoothed. */
  #demand = 0;
  #rate = 0;

  constructor(key: string, parts: LeasedParts, onLeave: () => void) {
    super();
    this.#key = key;
    this.#parts = parts;
    this.#onLeave = onLeave;
    this.#askedAt = parts.clock.now();
  }

  /** Nothing would be lost with it. */
  get isIdle(): boolean {
    return this.#held === 0 && this.#back === 0 && !this.#isAsking;
  }

  take(cost: number, done: (verdict: Verdict) => void): void {
    const { clock, counts, store, failOver } = this.#parts;
    const now = clock.now();
    this.#demand += cost;
    if (this.#decide(cost, now, done)) return counts.limitLeased();
    if (!store.isUp) return failOver(this.#key, cost, done);
    this.#waiting.push({ cost, since: now, done });
    if (!this.#isAsking) this.#ask(now);
  }

  refund(cost: number): void {
    const now = this.#parts.clock.now();
    if (now >= this.#periodEndsAt) return;
    this.#refusedUntil = 0;
    // What the store believes to be ahead must not grow behind its back.
    if (now < this.#leaseUntil && this.#held + cost <= this.#lease) this.#held += cost;
    else this.#back += cost;
    if (this.#back > 0 && !this.#isAsking && this.#parts.store.isUp) this.#ask(now);
  }

  /** Ends the lease. */
  giveBack(): void {
    const now = this.#parts.clock.now();
    if (this.#held === 0 || this.#isAsking || now >= this.#leaseUntil) return;
    this.#leaseUntil = now;
    this.#demand = 0;
    this.onDue(now);
  }

  /** Is forgotten. */
  leave(): void {
    this.#parts.wheel.clear(this);
    this.#onLeave();
  }

  /** Time to give back what was not used, or to be forgotten. */
  override onDue(now: number): void {
    if (this.#isAsking) return;
    this.#settle(now);
    if (this.#back > 0 && this.#parts.store.isUp) this.#ask(now);
    else this.leave();
  }

  /** @returns whether what is known here was enough. */
  #decide(cost: number, now: number, done: (verdict: Verdict) => void): boolean {
    if (this.#held >= cost && now < this.#leaseUntil) {
      this.#held -= cost;
      if (this.#held <= this.#low && !this.#isAsking && this.#wanted() > 0 && this.#parts.store.isUp) this.#ask(now);
      done(this.#verdict(true, now));
      return true;
    }
    if (cost < this.#refusedCost || now >= this.#refusedUntil) return false;
    done(this.#verdict(false, now));
    return true;
  }

  #ask(now: number): void {
    const { spec, store, timeoutMs } = this.#parts;
    const [first] = this.#waiting;
    const cost = first?.cost ?? 1;
    const count = this.#waitingWith(cost);
    this.#settle(now);
    const want = this.#measure(now);
    const held = this.#held;
    const back = this.#back;
    this.#back = 0;
    this.#isAsking = true;
    const untilMs = first === undefined ? timeoutMs : Math.max(1, first.since + timeoutMs - now);
    store.ask({ spec, key: this.#key, cost, count, held, want, back }, untilMs, (reply) => {
      if (reply === undefined) return this.#failOver();
      this.#learn(reply, now, held, want, cost);
      this.#answer(reply.granted, count);
    });
  }

  /** Requests of one cost share a question: how many of them may pass has one answer. */
  #waitingWith(cost: number): number {
    const other = this.#waiting.findIndex((waiting) => waiting.cost !== cost);
    return other === -1 ? this.#waiting.length : other;
  }

  /** Takes a lease that has ended out of use, and with it what its quota's period has taken along. */
  #settle(now: number): void {
    if (now >= this.#periodEndsAt) {
      this.#back = 0;
      this.#held = 0;
      this.#periodEndsAt = Infinity;
    }
    if (now < this.#leaseUntil) return;
    // A thread that was held up for long gives nothing back: the units may have left the window already.
    if (now < this.#leaseUntil + leaseMs(this.#parts.spec) / 2) this.#back += this.#held;
    this.#held = 0;
    this.#lease = 0;
  }

  /** @returns how many units it would be good to have ahead: none for a caller who has not come again. */
  #measure(now: number): number {
    const demand = this.#demand;
    this.#rate = (this.#rate * RATE_MS + demand) / (now - this.#askedAt + RATE_MS);
    this.#demand = 0;
    this.#askedAt = now;
    return demand === 0 ? 0 : this.#wanted();
  }

  #wanted(): number {
    return Math.max(0, Math.min(leaseCap(this.#parts.spec), Math.floor(this.#rate * AHEAD_MS)) - this.#held);
  }

  #learn(reply: LimitReply, askedAt: number, held: number, want: number, cost: number): void {
    const { leased, remaining, resetMs, retryAfterMs } = reply;
    const { spec, clock } = this.#parts;
    const now = clock.now();
    this.#left = remaining;
    this.#resetAt = now + resetMs;
    if (spec.algorithm === 'quota') this.#periodEndsAt = this.#resetAt;
    if (leased > 0) {
      this.#held += leased;
      this.#lease = held + leased;
      // From before the store gave it, so that it ends here first.
      this.#leaseUntil = Math.min(askedAt + leaseMs(spec), this.#periodEndsAt);
    }
    // Where nothing is left for another one, it need not ask. Where all but the last 1 % is used, whoever wants more than
    // it got lets that gather for a moment: asking for each unit as it comes would make every request a question.
    const isScarce = leased < want && remaining < leaseCap(spec);
    this.#low = leased > 0 ? Math.floor(this.#held / 2) : NEVER;
    this.#refusedCost = retryAfterMs > 0 || isScarce ? cost : Infinity;
    this.#retryAt = now + Math.max(retryAfterMs, Math.min(spec.windowMs / 100, LONGEST_HOLD_MS));
    this.#refusedUntil = Math.min(this.#retryAt, now + BELIEVED_MS);
  }

  #answer(granted: number, count: number): void {
    const { clock, counts } = this.#parts;
    const now = clock.now();
    const answered = this.#waiting.slice(0, count);
    const later = this.#waiting.slice(count);
    this.#waiting = [];
    answered.forEach(({ done }, at) => {
      counts.limitAsked();
      done(this.#verdict(at < granted, now));
    });
    for (const waiting of later) {
      if (this.#decide(waiting.cost, now, waiting.done)) counts.limitAsked();
      else this.#waiting.push(waiting);
    }
    // Not before: those who wait longest go first into the next question.
    this.#isAsking = false;
    this.#wakeLater(now);
    if (this.#waiting.length > 0) this.#ask(now);
  }

  /** The store did not tell in time. */
  #failOver(): void {
    const { clock, failOver } = this.#parts;
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#isAsking = false;
    this.#wakeLater(clock.now());
    for (const { cost, done } of waiting) failOver(this.#key, cost, done);
  }

  #wakeLater(now: number): void {
    const refused = this.#refusedCost === Infinity ? 0 : this.#refusedUntil;
    const quiet = this.#held > 0 ? this.#leaseUntil : now + RATE_MS;
    this.#parts.wheel.set(this, Math.max(quiet, refused));
  }

  #verdict(allowed: boolean, now: number): Verdict {
    VERDICT.allowed = allowed;
    VERDICT.remaining = this.#left + this.#held;
    VERDICT.resetMs = Math.max(0, this.#resetAt - now);
    VERDICT.retryAfterMs = allowed ? 0 : Math.max(0, this.#retryAt - now);
    return VERDICT;
  }
}

/** No lease is so low. */
const NEVER = -1;

/** Reused: whoever hears a verdict copies what has to outlive the call. */
const VERDICT = { allowed: false, remaining: 0, resetMs: 0, retryAfterMs: 0 };
