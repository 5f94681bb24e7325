/** Limits in the memory of one process: the contract, exactness over real threads, and what attackers cannot do. */
import { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import { seededRandom, systemClock, type Clock } from '../clock.ts';
import { FakeClock } from '../../test/support/fake-clock.ts';
import { limiterContract, passed, take } from '../../test/support/limiter-contract.ts';
import type { InFlightWork } from '../../test/support/in-flight-worker.ts';
import type { LimitWork } from '../../test/support/limit-worker.ts';
import { ConcurrencyTable } from '../memory/concurrency-table.ts';
import { LimitTable } from '../memory/limit-table.ts';
import { UsageTable } from '../memory/usage-table.ts';
import type { Limiter, LimitSpec } from './limiter.ts';
import { MemoryLimits, type LimitBuffers } from './memory-limits.ts';

const DAY = 86_400_000;

/** @param buckets few, to make keys meet. */
function buffersOf(nowMs: number, buckets?: number): LimitBuffers {
  return {
    limits: LimitTable.allocate(nowMs, buckets).buffers,
    concurrency: ConcurrencyTable.allocate(4).buffers,
    usage: UsageTable.allocate().shared,
  };
}

function memory(buckets?: number) {
  const clock = new FakeClock();
  const buffers = buffersOf(clock.now(), buckets);
  return { clock, buffers, limits: new MemoryLimits(buffers, 0, clock) };
}

const rate = (max: number, algorithm: 'gcra' | 'sliding-window' = 'gcra', windowMs = DAY): LimitSpec => ({
  name: 'x',
  max,
  windowMs,
  algorithm,
  burst: max,
});

limiterContract(
  'memory',
  () => {
    const { clock, limits } = memory();
    return { limits, wall: clock.wall, advance: (ms) => clock.advance(ms) };
  },
  { windowMs: 8_000 },
);

describe('four threads that charge at once', () => {
  const THREADS = 4;

  async function hammer(spec: LimitSpec, keys: readonly string[], tries: number, buckets?: number) {
    const gate = new SharedArrayBuffer(4);
    const buffers = buffersOf(systemClock.now(), buckets);
    const counts = await Promise.all(
      Array.from({ length: THREADS }, (_, thread) => {
        const work: LimitWork = { buffers, thread, threads: THREADS, spec, keys, tries, gate };
        return new Promise<Map<string, number>>((resolve, reject) => {
          const worker = new Worker(new URL('../../test/support/limit-worker.ts', import.meta.url), {
            workerData: work,
          });
          worker.once('message', resolve).once('error', reject);
        });
      }),
    );
    return keys.map((key) => counts.reduce((sum, count) => sum + (count.get(key) ?? 0), 0));
  }

  it.each(['gcra', 'sliding-window'] as const)('get exactly max for one key (%s)', async (algorithm) => {
    expect(await hammer(rate(20_000, algorithm), ['a'], 20_000)).toEqual([20_000]);
  });

  it.each(['gcra', 'sliding-window'] as const)('get exactly max for each of many new keys (%s)', async (algorithm) => {
    const keys = Array.from({ length: 2_000 }, (_, at) => `key-${at}`);
    // About four keys in each bucket of sixteen: they are inserted side by side all the time.
    const sums = await hammer(rate(7, algorithm), keys, 5, 512);
    expect(sums.filter((sum) => sum !== 7)).toEqual([]);
  });
});

describe('a thread that is behind the others', () => {
  const counting = (one: MemoryLimits, other: MemoryLimits) =>
    [one, other].map((limits) => limits.limiter({ ...rate(2), windowMs: 3_600_000 })) as [Limiter, Limiter];

  it('lets pass as many, where its clock is', async () => {
    const { clock, buffers, limits } = memory();
    const ahead = { ...clock, now: () => clock.now() + 0.4, wall: clock.wall } as Clock;
    const [behind, first] = counting(limits, new MemoryLimits(buffers, 1, ahead));
    expect([await passed(first, 'a', 1), await passed(behind, 'a', 2)]).toEqual([1, 1]);
  });

  it('lets pass as many, where it was stopped between the clock and the charge', async () => {
    const { clock, buffers, limits } = memory();
    let stop = () => {};
    const now = () => {
      const read = clock.now();
      stop();
      return read;
    };
    const [stopped, other] = counting(
      new MemoryLimits(buffers, 1, { ...clock, now, wall: clock.wall } as Clock),
      limits,
    );
    stop = () => {
      stop = () => {};
      clock.advance(20);
      other.take('a', 1, () => {});
    };
    expect(await passed(stopped, 'a', 1)).toBe(1);
  });
});

describe('a million keys', () => {
  it('fit into 128 MiB, and none of them frees another', async () => {
    const { limits, buffers } = memory();
    expect(buffers.limits.shared.byteLength).toBeLessThanOrEqual(128 * 1024 ** 2);
    const limiter = limits.limiter(rate(1));
    expect(await passed(limiter, 'blocked', 2)).toBe(1);
    let allowed = 0;
    const count = ({ allowed: isAllowed }: { allowed: boolean }) => void (allowed += Number(isAllowed));
    for (let round = 0; round < 2; round++) {
      for (let key = 0; key < 1_000_000; key++) limiter.take(`10.${key}`, 1, count);
    }
    // One run in seven has a bucket with more than its sixteen; nobody is let pass twice in any.
    expect(allowed).toBeLessThanOrEqual(1_000_000);
    expect(allowed).toBeGreaterThan(1_000_000 - 10);
    expect(await passed(limiter, 'blocked', 1)).toBe(0);
  });
});

describe('a table that is too small for its keys', () => {
  it('never forgets a key that is refused, however many others come', async () => {
    const { limits } = memory(4);
    const limiter = limits.limiter(rate(3));
    expect(await passed(limiter, 'blocked', 4)).toBe(3);
    for (let key = 0; key < 10_000; key++) await take(limiter, `other-${key}`);
    expect(await passed(limiter, 'blocked', 1)).toBe(0);
  });

  it('never forgets a key that has used all it has, even before its first refusal', async () => {
    for (const algorithm of ['gcra', 'sliding-window'] as const) {
      const { limits } = memory(4);
      const limiter = limits.limiter(rate(3, algorithm));
      expect(await passed(limiter, 'full', 3)).toBe(3);
      for (let key = 0; key < 10_000; key++) await take(limiter, `other-${key}`);
      expect(await passed(limiter, 'full', 1)).toBe(0);
    }
  });

  it('forgets first who owes least', async () => {
    const { limits } = memory(1);
    const limiter = limits.limiter(rate(1000));
    await take(limiter, 'heavy', 500);
    for (let key = 0; key < 100; key++) await take(limiter, `light-${key}`);
    expect(await take(limiter, 'heavy')).toMatchObject({ remaining: 499 });
  });

  it('refuses newcomers when all are blocked, until the first is free', async () => {
    const { limits, clock } = memory(1);
    const limiter = limits.limiter(rate(1, 'gcra', 60_000));
    for (let key = 0; key < 16; key++) {
      await take(limiter, `blocked-${key}`);
      clock.advance(1_000);
    }
    const { allowed, retryAfterMs } = await take(limiter, 'newcomer');
    expect(allowed).toBe(false);
    expect(retryAfterMs).toBeCloseTo(44_000, 0);
    clock.advance(retryAfterMs + 1);
    expect(await take(limiter, 'newcomer')).toMatchObject({ allowed: true });
  });

  it('uses the room of what is spent', async () => {
    const { limits, clock } = memory(1);
    const limiter = limits.limiter(rate(1, 'gcra', 1_000));
    for (let round = 0; round < 50; round++) {
      for (let key = 0; key < 16; key++)
        expect(await take(limiter, `${round}-${key}`)).toMatchObject({ allowed: true });
      clock.advance(1_001);
    }
  });
});

describe('a sliding window', () => {
  it('never lets more than max pass in any window, wherever it begins', async () => {
    const { limits, clock } = memory();
    const windowMs = 8_000;
    const limiter = limits.limiter(rate(20, 'sliding-window', windowMs));
    const random = seededRandom(7);
    const moments: number[] = [];
    const start = clock.now();
    for (let step = 0; step < 3_000; step++) {
      clock.advance(random() < 0.02 ? random() * windowMs : random() * 300);
      if ((await take(limiter, 'a')).allowed) moments.push(clock.now());
    }
    const most = moments.map((moment, at) => moments.slice(at).filter((later) => later < moment + windowMs).length);
    expect(Math.max(...most)).toBe(20);
    // A caller who always asks gets nearly all of it: what comes back is at most an eighth of a window late.
    const windows = (clock.now() - start) / windowMs;
    expect(moments.length / windows).toBeGreaterThan(14);
  });
});

describe('threads whose clocks differ', () => {
  it('agree on a sliding window, on both sides of the edge of a slice', async () => {
    const clock = new FakeClock();
    const buffers = buffersOf(clock.now());
    const late = { ...clock, wall: clock.wall, now: () => clock.now() - 2 };
    const spec = rate(6, 'sliding-window', 8_000);
    const [one, other] = [clock, late].map((at, thread) => new MemoryLimits(buffers, thread, at).limiter(spec));
    expect(await passed(other!, 'a', 2)).toBe(2);
    clock.advance(1_001);
    expect(await passed(one!, 'a', 2)).toBe(2);
    expect(await passed(other!, 'a', 1)).toBe(1);
    expect(await passed(one!, 'a', 2)).toBe(1);
    expect(await passed(other!, 'a', 1)).toBe(0);
  });
});

describe('the wall clock', () => {
  it('may jump without freeing or blocking anybody', async () => {
    for (const algorithm of ['gcra', 'sliding-window'] as const) {
      const clock = new FakeClock();
      let jump = 0;
      const jumping = { ...clock, now: clock.now, wall: () => clock.wall() + jump };
      const limiter = new MemoryLimits(buffersOf(clock.now()), 0, jumping).limiter(rate(2, algorithm, 60_000));
      expect(await passed(limiter, 'a', 3)).toBe(2);
      for (jump of [DAY, -DAY]) expect(await passed(limiter, 'a', 1)).toBe(0);
      clock.advance(70_000);
      expect(await passed(limiter, 'a', 3)).toBe(2);
    }
  });
});

describe('requests in flight', () => {
  it('are exactly as many as may be, over threads, and what a dead one had comes back', () => {
    const buffers = buffersOf(0);
    const [one, other] = [0, 1].map((thread) => new MemoryLimits(buffers, thread, new FakeClock()).concurrency('x', 3));
    const tickets = [one!.enter('a'), one!.enter('a'), other!.enter('a')];
    expect(tickets.every((ticket) => ticket >= 0)).toBe(true);
    expect(other!.enter('a')).toBe(-1);
    expect(one!.enter('b')).not.toBe(-1);
    new ConcurrencyTable(buffers.concurrency).forgetThread(0);
    const again = [other!.enter('a'), other!.enter('a')];
    expect(again.every((ticket) => ticket >= 0)).toBe(true);
    expect(other!.enter('a')).toBe(-1);
    other!.leave(tickets[2]!);
    expect(other!.enter('a')).not.toBe(-1);
  });

  it.each([1, 40])('are never more than may be while four threads come and go (%i keys)', async (keys) => {
    const THREADS = 4;
    const [buffers, inside] = [buffersOf(0), new SharedArrayBuffer((keys + 1) * 4)];
    const seen = await Promise.all(
      Array.from({ length: THREADS }, (_, thread) => {
        const work: InFlightWork = { buffers, thread, threads: THREADS, keys, max: 3, rounds: 50_000, inside };
        return new Promise<{ most: number; entered: number }>((resolve, reject) => {
          const url = new URL('../../test/support/in-flight-worker.ts', import.meta.url);
          new Worker(url, { workerData: work }).once('message', resolve).once('error', reject);
        });
      }),
    );
    expect(Math.max(...seen.map(({ most }) => most))).toBe(3);
    // Nobody promises that each finds room: a thread that sleeps with three places keeps the others out.
    expect(seen.reduce((sum, { entered }) => sum + entered, 0)).toBeGreaterThan(0);
    const limiter = new MemoryLimits(buffers, 0, new FakeClock()).concurrency('x', 3);
    for (let key = 0; key < keys; key++) {
      const places = Array.from({ length: 4 }, () => limiter.enter(`key-${key}`));
      expect(places.filter((place) => place >= 0)).toHaveLength(3);
    }
  });

  it('take no room once they have ended', () => {
    const limiter = new MemoryLimits(buffersOf(0), 0, new FakeClock()).concurrency('x', 1);
    for (let key = 0; key < 300_000; key++) {
      const ticket = limiter.enter(`key-${key}`);
      if (ticket === -1) throw new Error(`key ${key} found no room`);
      limiter.leave(ticket);
    }
  });
});

describe('what a limit in shadow learns', () => {
  it('is what would have left nearly all callers alone', () => {
    const { limits, buffers, clock } = memory();
    const usage = limits.usage('x', 1_000);
    for (let window = 0; window < 3; window++) {
      for (let key = 0; key < 1_000; key++) {
        const times = key === 0 ? 5_000 : 1 + (key % 10);
        for (let time = 0; time < times; time++) usage.record(`key-${key}`, 1);
      }
      clock.advance(1_000);
    }
    const seen = new UsageTable(buffers.usage).view('x')!;
    expect(seen).toMatchObject({ windows: 3_000, recommended: 10, p99: 10 });
    expect(seen.median).toBeGreaterThanOrEqual(5);
    expect(seen.median).toBeLessThanOrEqual(6);
    expect(seen.most).toBeGreaterThanOrEqual(5_000);
    expect(seen.most).toBeLessThan(5_000 * 2 ** 0.25);
  });

  it('does not turn over, however many callers it sees', () => {
    const table = UsageTable.allocate();
    const row = table.rowOf('x');
    const most = 2 ** 30;
    // The row's mark, then the buckets: as many callers as fit have used one each.
    const buckets = new Int32Array(table.shared, 64 + 4, 128);
    buckets[1] = most;
    for (let caller = 0; caller < 10; caller++) table.moved(row, 0, 1);
    expect(table.view('x')).toMatchObject({ windows: most, median: 1 });
    // One whose bucket was full before it came leaves nothing negative behind.
    table.moved(row, 2, 3);
    expect([...buckets.slice(0, 4)]).toEqual([0, most, 0, 1]);
  });
});
