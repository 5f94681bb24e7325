import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { FakeClock } from '../../test/support/fake-clock.ts';
import { LimitTwin } from '../../test/support/limit-twin.ts';
import { limiterContract, passed, take } from '../../test/support/limiter-contract.ts';
import { until } from '../../test/support/until.ts';
import type { LimitReply, LimitRequest, LimitStore } from '../store/store.ts';
import { TimerWheel } from '../timer-wheel.ts';
import { LeasedLimits } from './leased.ts';
import type { Limiter, LimitSpec, QuotaSpec, RateSpec } from './limiter.ts';
import { LimitTables, MemoryLimits } from './memory-limits.ts';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** A store that answers at once, on a clock that stands still until told. */
class Store implements LimitStore {
  readonly clock = new FakeClock();
  readonly twin = new LimitTwin();
  readonly requests: LimitRequest[] = [];
  isUp = true;
  /** Questions are kept until told to answer. */
  isSlow = false;
  readonly #pending: (() => void)[] = [];

  ask(request: LimitRequest, _timeoutMs: number, done: (reply: LimitReply | undefined) => void): void {
    this.requests.push(request);
    const { spec, key } = request;
    const period = spec.algorithm === 'quota' ? spec.periodAt(this.clock.wall()) : { id: '', endMs: 0 };
    const endMs = period.endMs - this.clock.wall() + this.clock.now();
    const counted = { ...request, key: `${spec.name} ${period.id} ${key}` };
    const answer = () => done(this.twin.ask(counted, 'node', this.clock.now(), endMs));
    if (this.isSlow) this.#pending.push(answer);
    else answer();
  }

  answer(): void {
    for (const answer of this.#pending.splice(0)) answer();
  }

  limits(): LeasedLimits {
    const { clock } = this;
    const local = new MemoryLimits(LimitTables.allocate(1, clock.now()).buffers, 0, clock);
    const counts = { limitLeased: () => {}, limitAsked: () => {}, limitFailedOver: () => {} };
    const parts = { store: this, local, clock, wheel: new TimerWheel(clock), counts };
    return new LeasedLimits({ ...parts, timeoutMs: 50, onFailure: 'local' });
  }
}

limiterContract(
  'a store, with leases',
  () => {
    const store = new Store();
    return { limits: store.limits(), wall: store.clock.wall, advance: (ms) => store.clock.advance(ms) };
  },
  { windowMs: 60_000 },
);

const window = (max: number, changes: Partial<RateSpec> = {}): RateSpec => {
  return { name: 'calls', algorithm: 'sliding-window', max, windowMs: 60_000, burst: max, ...changes };
};

describe('leased limits', () => {
  it('ask once for all who wait, and nothing for those who come while a refusal holds', async () => {
    const store = new Store();
    const limiter = store.limits().limiter(window(30));
    store.isSlow = true;
    const verdicts = Promise.all(Array.from({ length: 50 }, () => take(limiter, 'anna')));
    store.answer();
    // The first one went alone, all others together.
    store.answer();
    expect((await verdicts).filter(({ allowed }) => allowed)).toHaveLength(30);
    expect(await passed(limiter, 'anna', 1_000)).toBe(0);
    expect(store.requests.map(({ count }) => count)).toEqual([1, 49]);
  });

  it('take ahead for who comes often, and nothing for who comes once', async () => {
    const store = new Store();
    const limiter = store.limits().limiter(window(10_000));
    await take(limiter, 'rare');
    for (let number = 0; number < 400; number++) {
      await take(limiter, 'often');
      store.clock.advance(2);
    }
    expect(store.requests.filter(({ key }) => key === 'rare').map(({ want }) => want)).toEqual([0]);
    expect(store.requests.filter(({ key }) => key === 'often').length).toBeLessThan(40);
  });

  it('forget callers who stay away, with their timers', async () => {
    const store = new Store();
    const limiter = store.limits().limiter(window(500));
    for (let caller = 0; caller < 100; caller++) expect(await passed(limiter, `caller-${caller}`, 20)).toBe(20);
    store.clock.advance(15_000);
    expect(store.clock.pending).toBe(0);
    const before = store.requests.length;
    await take(limiter, 'caller-7');
    expect(store.requests.length - before).toBe(1);
  });

  it('believe a refusal for ten seconds: counts may have been cleared', async () => {
    const store = new Store();
    const hour = 3_600_000;
    const limiter = store.limits().limiter(window(1, { windowMs: hour }));
    expect(await passed(limiter, 'anna', 2)).toBe(1);
    const asked = store.requests.length;
    store.clock.advance(9_900);
    expect(await take(limiter, 'anna')).toMatchObject({ allowed: false });
    expect(store.requests.length).toBe(asked);
    store.clock.advance(200);
    const refused = await take(limiter, 'anna');
    expect(refused.retryAfterMs).toBeGreaterThan(hour * 0.9);
    expect(store.requests.length).toBe(asked + 1);
  });

  it('keep their leases through a reload, and start anew for a limit that has changed', async () => {
    const store = new Store();
    const limits = store.limits();
    const spec = window(100);
    expect(limits.limiter({ ...spec })).toBe(limits.limiter(spec));
    expect(limits.limiter(window(200))).not.toBe(limits.limiter(spec));
    const perDay = (zone: number): QuotaSpec => ({
      ...(window(5) as LimitSpec),
      algorithm: 'quota',
      periodAt: (wallMs) => ({ id: 'today', startMs: wallMs - (wallMs % 1_000) + zone, endMs: wallMs + 1_000 + zone }),
    });
    expect(limits.limiter(perDay(0))).toBe(limits.limiter(perDay(0)));
    expect(limits.limiter(perDay(1))).not.toBe(limits.limiter(perDay(0)));
  });

  it('are forgotten when no configuration has them and their callers are gone', async () => {
    const store = new Store();
    const limits = store.limits();
    const use = async (max: number): Promise<WeakRef<Limiter>> => {
      const limiter = limits.limiter(window(max));
      await take(limiter, 'anna');
      return new WeakRef(limiter);
    };
    const dropped: WeakRef<Limiter>[] = [];
    for (let reload = 1; reload <= 20; reload++) dropped.push(await use(1_000 + reload));
    const left = () => {
      collectGarbage();
      return dropped.filter((limiter) => limiter.deref() !== undefined).length;
    };
    expect(left()).toBe(20);
    store.clock.advance(15_000);
    await until(() => left() === 0, 'none is left');
  });

  it('give back at the end what they hold', async () => {
    const store = new Store();
    const limits = store.limits();
    const limiter = limits.limiter(window(10_000));
    for (let number = 0; number < 300; number++) {
      await take(limiter, 'anna');
      store.clock.advance(1);
    }
    limits.close();
    const { remaining } = await take(store.limits().limiter(window(10_000)), 'anna');
    expect(remaining).toBe(10_000 - 301);
  });

  it('do not grow with callers that never return', async () => {
    const store = new Store();
    const limiter = store.limits().limiter(window(5));
    for (let caller = 0; caller < 60_000; caller++) limiter.take(`caller-${caller}`, 1, () => {});
    store.requests.length = 0;
    // The first ones made room for the last.
    await take(limiter, 'caller-0');
    expect(store.requests[0]).toMatchObject({ key: 'caller-0' });
    for (let caller = 50_000; caller < 60_000; caller++) expect(await passed(limiter, `caller-${caller}`, 6)).toBe(4);
  });
});
