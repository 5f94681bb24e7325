/**
 * Limits over several gateways: counts live in a store, and each thread holds a little of each busy limit ahead, so that
 * most requests need no round trip. What that costs in exactness: leased-bound.ts. While the store is away,
 * `onStoreFailure` decides: `local` counts in the memory of this gateway, as if it were alone.
 */
import type { Clock } from '../clock.ts';
import type { LimitStore } from '../store/store.ts';
import type { TimerWheel } from '../timer-wheel.ts';
import { capacity } from './leased-bound.ts';
import { LeasedCaller, type LeasedParts, type LimitCounts } from './leased-caller.ts';
import type {
  ConcurrencyLimiter,
  Limiter,
  Limits,
  LimitSpec,
  OnStoreFailure,
  UsageRecorder,
  Verdict,
} from './limiter.ts';

/** Callers that a thread remembers, of all limits. Beyond it, those it would lose nothing with make room. */
const MOST_CALLERS = 50_000;
/** How many are looked at to find one. */
const LOOK_AT = 8;
/** Until a request that was denied because the store is away may try again: as good a guess as any. */
const DENIED_FOR_MS = 1_000;

export interface LeasedLimitsParts {
  readonly store: LimitStore;
  /** Counts of this gateway alone: for `local`, and for requests in flight. */
  readonly local: Limits;
  readonly clock: Clock;
  readonly wheel: TimerWheel;
  readonly counts: LimitCounts;
  /** A request waits no longer for the store. */
  readonly timeoutMs: number;
  /** Of limits that do not say. */
  readonly onFailure: OnStoreFailure;
}

export class LeasedLimits implements Limits {
  readonly #parts: LeasedLimitsParts;
  /**
   * By all that they are: a reload finds the leases of the limits that it did not change. Those that no generation has
   * any more are gone when their callers are.
   */
  readonly #limiters = new Map<string, WeakRef<LeasedLimiter>>();

  /** Callers of all limits, the longest known first. */
  readonly #known = new Set<LeasedCaller>();

  constructor(parts: LeasedLimitsParts) {
    this.#parts = parts;
  }

  limiter(spec: LimitSpec): Limiter {
    // Calendars are functions: those that say the same of now are the same.
    const period = spec.algorithm === 'quota' ? spec.periodAt(this.#parts.clock.wall()) : undefined;
    const shape = JSON.stringify([spec, period]);
    const known = this.#limiters.get(shape)?.deref();
    if (known !== undefined) return known;
    this.#forgetGone();
    const limiter = new LeasedLimiter(spec, this.#parts, this.#known);
    this.#limiters.set(shape, new WeakRef(limiter));
    return limiter;
  }

  /** Gives back what is held: another gateway may have it. */
  close(): void {
    for (const caller of this.#known) caller.giveBack();
  }

  concurrency(name: string, max: number): ConcurrencyLimiter {
    return this.#parts.local.concurrency(name, max);
  }

  usage(name: string, windowMs: number): UsageRecorder {
    return this.#parts.local.usage(name, windowMs);
  }

  #forgetGone(): void {
    for (const [shape, limiter] of this.#limiters) if (limiter.deref() === undefined) this.#limiters.delete(shape);
  }
}

class LeasedLimiter implements Limiter {
  readonly spec: LimitSpec;
  readonly #capacity: number;
  readonly #callers = new Map<string, LeasedCaller>();
  readonly #known: Set<LeasedCaller>;
  readonly #shared: LeasedParts;
  readonly #local: Limiter;

  constructor(spec: LimitSpec, parts: LeasedLimitsParts, known: Set<LeasedCaller>) {
    const { store, local, clock, wheel, counts, timeoutMs, onFailure } = parts;
    this.#known = known;
    this.spec = spec;
    this.#capacity = capacity(spec);
    this.#local = local.limiter(spec);
    const decide = this.#withoutStore(spec.onStoreFailure ?? onFailure);
    const failOver: LeasedParts['failOver'] = (key, cost, done) => {
      counts.limitFailedOver();
      decide(key, cost, done);
    };
    this.#shared = { spec, store, clock, wheel, timeoutMs, counts, failOver };
  }

  take(key: string, cost: number, done: (verdict: Verdict) => void): void {
    if (cost > this.#capacity) return done(this.#never());
    const caller = this.#callers.get(key);
    if (caller !== undefined) caller.take(cost, done);
    else if (this.#shared.store.isUp) this.#meet(key).take(cost, done);
    else this.#shared.failOver(key, cost, done);
  }

  refund(key: string, cost: number): void {
    // While the store is away, it was charged here.
    if (this.#shared.store.isUp) (this.#callers.get(key) ?? this.#meet(key)).refund(cost);
    else this.#local.refund(key, cost);
  }

  #meet(key: string): LeasedCaller {
    if (this.#known.size >= MOST_CALLERS) this.#makeRoom();
    const caller = new LeasedCaller(key, this.#shared, () => {
      this.#known.delete(caller);
      this.#callers.delete(key);
    });
    this.#known.add(caller);
    this.#callers.set(key, caller);
    return caller;
  }

  #makeRoom(): void {
    let looked = 0;
    for (const caller of this.#known) {
      if (caller.isIdle) return caller.leave();
      if (++looked === LOOK_AT) return;
    }
  }

  #withoutStore(mode: OnStoreFailure): LeasedParts['failOver'] {
    const { max } = this.spec;
    switch (mode) {
      case 'allow':
        return (_key, _cost, done) => done({ allowed: true, remaining: max, resetMs: 0, retryAfterMs: 0 });
      case 'deny':
        return (_key, _cost, done) =>
          done({
            allowed: false,
            remaining: 0,
            resetMs: DENIED_FOR_MS,
            retryAfterMs: DENIED_FOR_MS,
            isUndecided: true,
          });
      case 'local':
        return (key, cost, done) => this.#local.take(key, cost, done);
    }
  }

  /** It costs more than the limit ever has. */
  #never(): Verdict {
    return { allowed: false, remaining: this.#capacity, resetMs: 0, retryAfterMs: Infinity };
  }
}
