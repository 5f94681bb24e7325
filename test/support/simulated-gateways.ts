/**
 * Several gateways that share one limit, in simulated time: the shipped code of leases on a clock that stands still until
 * told, a store that does what the script does, and a network between them that takes its time and loses replies.
 */
import { seededRandom, type Random } from '../../src/clock.ts';
import { leaseCap } from '../../src/limits/leased-bound.ts';
import { LeasedLimits } from '../../src/limits/leased.ts';
import type { Limiter, Limits, LimitSpec, OnStoreFailure, QuotaPeriod, QuotaSpec } from '../../src/limits/limiter.ts';
import type { LimitReply, LimitRequest, LimitStore } from '../../src/store/store.ts';
import { TimerWheel } from '../../src/timer-wheel.ts';
import { FakeClock } from './fake-clock.ts';
import { LimitTwin } from './limit-twin.ts';

export interface SimulatedNetwork {
  /** One way, exponential around this. */
  readonly meanMs: number;
  /** Share of replies that never arrive. */
  readonly lost?: number;
}

export class SimulatedGateways {
  readonly clock = new FakeClock();
  readonly spec: LimitSpec;
  readonly #random: Random;
  readonly #network: SimulatedNetwork;
  readonly #twin = new LimitTwin();
  readonly #limiters: readonly Limiter[];
  /** Moments of what passed: of a request that waited, when the store decided. */
  readonly #passed: { at: number; cost: number }[] = [];
  /** Of the reply that is being delivered: when the store made it, and how many requests it lets pass. */
  #reply = { at: 0, granted: 0 };
  asked = 0;
  roundTrips = 0;
  waited = 0;
  isUp = true;

  constructor(
    spec: LimitSpec,
    gateways: number,
    seed: number,
    network: SimulatedNetwork,
    mode: OnStoreFailure = 'deny',
  ) {
    this.spec = spec;
    this.#random = seededRandom(seed);
    this.#network = network;
    this.#limiters = Array.from({ length: gateways }, (_, number) => this.#gateway(`gateway${number}`, mode));
  }

  /** Requests at random, each at a gateway at random. */
  run(forMs: number, perSecond: number, costOf: (random: Random) => number = () => 1): this {
    const { clock } = this;
    const until = clock.now() + forMs;
    for (;;) {
      const gapMs = (-Math.log(1 - this.#random()) * 1_000) / perSecond;
      if (clock.now() + gapMs > until) break;
      clock.advance(gapMs);
      this.#arrive(costOf(this.#random));
    }
    clock.advance(until - clock.now());
    return this;
  }

  get passed(): number {
    return this.#passed.reduce((sum, { cost }) => sum + cost, 0);
  }

  /** Of all requests: those that were decided without waiting. */
  get decidedAtOnce(): number {
    return 1 - this.waited / this.asked;
  }

  /** By how much any interval exceeds what the exact limiter would have let pass. */
  get overshoot(): number {
    const { algorithm, max, windowMs, burst } = this.spec;
    const passed = this.#passed.toSorted((a, b) => a.at - b.at);
    let most = 0;
    if (algorithm === 'gcra') {
      // The bucket that must not overflow: no interval of length t holds more than burst + t · max / window.
      let level = 0;
      let before = passed[0]?.at ?? 0;
      for (const { at, cost } of passed) {
        level = Math.max(0, level - ((at - before) * max) / windowMs) + cost;
        before = at;
        most = Math.max(most, level - burst);
      }
      return Math.max(0, most - 1e-6);
    }
    if (algorithm === 'quota') {
      const byPeriod = Map.groupBy(passed, ({ at }) => this.#periodOf(at).id);
      const sums = [...byPeriod.values()].map((each) => each.reduce((sum, { cost }) => sum + cost, 0));
      return Math.max(0, ...sums.map((sum) => sum - max));
    }
    let first = 0;
    let inWindow = 0;
    for (const { at, cost } of passed) {
      inWindow += cost;
      while (passed[first]!.at <= at - windowMs) inWindow -= passed[first++]!.cost;
      most = Math.max(most, inWindow - max);
    }
    return most;
  }

  /** In the store, for everybody. */
  get remaining(): number {
    const nothing = { spec: this.spec, key: 'caller', cost: 0, count: 0, held: 0, want: 0, back: 0 };
    return this.#twin.ask({ ...nothing, key: this.#counted('caller') }, 'nobody', this.clock.now()).remaining;
  }

  get bound(): number {
    return leaseCap(this.spec);
  }

  #arrive(cost: number): void {
    this.asked++;
    let isDone = false;
    let isWaiting = false;
    const limiter = this.#limiters[Math.floor(this.#random() * this.#limiters.length)]!;
    limiter.take('caller', cost, ({ allowed }) => {
      if (isDone) throw new Error('a request was decided twice');
      isDone = true;
      if (!allowed) return;
      const isGranted = isWaiting && this.#reply.granted-- > 0;
      this.#passed.push({ at: isGranted ? this.#reply.at : this.clock.now(), cost });
    });
    if (isDone) return;
    isWaiting = true;
    this.waited++;
    this.clock.after(60, () => {
      if (!isDone) throw new Error('a request waits on');
    });
  }

  #gateway(holder: string, onFailure: OnStoreFailure): Limiter {
    const { clock } = this;
    // The shared script is the twin, the way there and back takes time.
    const store: LimitStore = {
      isUp: true,
      ask: (request, timeoutMs, done) => this.#ask(holder, request, timeoutMs, done),
    };
    Object.defineProperty(store, 'isUp', { get: () => this.isUp });
    const local = { limiter: () => undefined, concurrency: () => undefined } as unknown as Limits;
    const counts = { limitLeased: () => {}, limitAsked: () => {}, limitFailedOver: () => {} };
    const parts = { store, local, clock, wheel: new TimerWheel(clock), counts, timeoutMs: 50, onFailure };
    return new LeasedLimits(parts).limiter(this.spec);
  }

  #ask(holder: string, request: LimitRequest, timeoutMs: number, done: (reply?: LimitReply) => void): void {
    const { clock } = this;
    let isOver = false;
    this.roundTrips++;
    const deadline = clock.after(timeoutMs, () => {
      isOver = true;
      done(undefined);
    });
    clock.after(this.#oneWayMs(), () => {
      const at = clock.now();
      const reply = this.#twin.ask({ ...request, key: this.#counted(request.key) }, holder, at, this.#periodEndsAt());
      if (this.#random() < (this.#network.lost ?? 0)) return;
      clock.after(this.#oneWayMs(), () => {
        if (isOver) return;
        deadline.cancel();
        this.#reply = { at, granted: reply.granted };
        done(reply);
        this.#reply = { at, granted: 0 };
      });
    });
  }

  /** As in Redis, each period has a counter of its own. */
  #counted(key: string): string {
    return this.spec.algorithm === 'quota' ? `${key} ${this.#periodOf(this.clock.now()).id}` : key;
  }

  #periodEndsAt(): number {
    if (this.spec.algorithm !== 'quota') return 0;
    return this.#periodOf(this.clock.now()).endMs - (this.clock.wall() - this.clock.now());
  }

  #periodOf(at: number): QuotaPeriod {
    return (this.spec as QuotaSpec).periodAt(at + this.clock.wall() - this.clock.now());
  }

  #oneWayMs(): number {
    return -Math.log(1 - this.#random()) * this.#network.meanMs;
  }
}
