/** What every home of limits owes those who ask it, whatever the algorithm and wherever it counts. */
import { describe, expect, it } from 'vitest';
import type { Limiter, Limits, LimitSpec, Verdict } from '../../src/limits/limiter.ts';

export interface LimitsUnderTest {
  readonly limits: Limits;
  /** As the limits see it. */
  readonly wall: () => number;
  /** Lets so much time pass for the limits. */
  advance(ms: number): void | Promise<void>;
}

export interface ContractOptions {
  /** Of all limits here: short where time really passes. */
  readonly windowMs: number;
  /** A limit of its own for each test, where all tests count in one place. */
  readonly prefix?: string;
}

/** A copy: verdicts are reused. */
export function take(limiter: Limiter, key: string, cost = 1): Promise<Verdict> {
  return new Promise((resolve) => limiter.take(key, cost, (verdict) => resolve({ ...verdict })));
}

/** How many of so many are let pass, one after another. */
export async function passed(limiter: Limiter, key: string, times: number): Promise<number> {
  let count = 0;
  for (let time = 0; time < times; time++) if ((await take(limiter, key)).allowed) count++;
  return count;
}

export function limiterContract(
  home: string,
  create: () => LimitsUnderTest | Promise<LimitsUnderTest>,
  { windowMs, prefix = '' }: ContractOptions,
): void {
  let number = 0;

  const specs = {
    gcra: (max: number, burst = max): LimitSpec => ({ name: nextName(), max, windowMs, algorithm: 'gcra', burst }),
    'sliding-window': (max: number): LimitSpec => ({
      name: nextName(),
      max,
      windowMs,
      algorithm: 'sliding-window',
      burst: max,
    }),
    quota: (max: number): LimitSpec => ({
      name: nextName(),
      max,
      windowMs,
      algorithm: 'quota',
      burst: max,
      periodAt: (wallMs) => {
        const startMs = Math.floor(wallMs / windowMs) * windowMs;
        return { id: String(startMs), startMs, endMs: startMs + windowMs };
      },
    }),
  };
  const nextName = () => `${prefix}limit-${++number}`;

  /** Just after the beginning of a period, so that what belongs together falls into one. */
  const start = async () => {
    const under = await create();
    await under.advance(windowMs - (under.wall() % windowMs) + 1);
    return under;
  };

  describe.each(['gcra', 'sliding-window', 'quota'] as const)(`limits in ${home}: %s`, (algorithm) => {
    it('lets max pass, says what is left, and then refuses', async () => {
      const { limits } = await start();
      const limiter = limits.limiter(specs[algorithm](5));
      const verdicts = [];
      for (let time = 0; time < 7; time++) verdicts.push(await take(limiter, 'a'));
      expect(verdicts.map(({ allowed }) => allowed)).toEqual([true, true, true, true, true, false, false]);
      expect(verdicts.map(({ remaining }) => remaining)).toEqual([4, 3, 2, 1, 0, 0, 0]);
      for (const { resetMs } of verdicts) expect(resetMs).toBeGreaterThan(0);
      expect(verdicts[0]!.retryAfterMs).toBe(0);
      expect(verdicts[6]!.retryAfterMs).toBeGreaterThan(0);
    });

    it('counts each key by itself, and each limit', async () => {
      const { limits } = await start();
      const one = limits.limiter(specs[algorithm](2));
      const other = limits.limiter(specs[algorithm](2));
      expect(await passed(one, 'a', 3)).toBe(2);
      expect(await passed(one, 'b', 3)).toBe(2);
      expect(await passed(other, 'a', 3)).toBe(2);
    });

    it('is one limit wherever its name is used', async () => {
      const { limits } = await start();
      const spec = specs[algorithm](4);
      expect((await passed(limits.limiter(spec), 'a', 3)) + (await passed(limits.limiter(spec), 'a', 3))).toBe(4);
    });

    it('charges what a request costs, all of it or nothing', async () => {
      const { limits } = await start();
      const limiter = limits.limiter(specs[algorithm](5));
      expect(await take(limiter, 'a', 3)).toMatchObject({ allowed: true, remaining: 2 });
      expect(await take(limiter, 'a', 3)).toMatchObject({ allowed: false, remaining: 2 });
      expect(await take(limiter, 'a', 2)).toMatchObject({ allowed: true, remaining: 0 });
    });

    it('never lets pass what costs more than it has, and charges nothing for it', async () => {
      const { limits } = await start();
      const limiter = limits.limiter(specs[algorithm](5));
      expect(await take(limiter, 'a', 6)).toMatchObject({ allowed: false, retryAfterMs: Infinity });
      expect(await passed(limiter, 'a', 6)).toBe(5);
    });

    it('takes a charge back', async () => {
      const { limits } = await start();
      const limiter = limits.limiter(specs[algorithm](3));
      expect(await passed(limiter, 'a', 3)).toBe(3);
      limiter.refund('a', 2);
      expect(await passed(limiter, 'a', 4)).toBe(2);
    });

    it('owes nobody more than it has, however much is taken back', async () => {
      const { limits } = await start();
      const limiter = limits.limiter(specs[algorithm](3));
      await take(limiter, 'a');
      limiter.refund('a', 3);
      limiter.refund('never-seen', 3);
      expect(await passed(limiter, 'a', 5)).toBeLessThanOrEqual(3);
      expect(await passed(limiter, 'never-seen', 5)).toBe(3);
    });

    it('says truly when the same request would pass', async () => {
      const { limits, advance } = await start();
      const limiter = limits.limiter(specs[algorithm](3));
      expect(await passed(limiter, 'a', 3)).toBe(3);
      const { retryAfterMs } = await take(limiter, 'a');
      await advance(Math.ceil(retryAfterMs) + 1);
      expect(await take(limiter, 'a')).toMatchObject({ allowed: true });
    });

    it('is whole again when it says so', async () => {
      const { limits, advance } = await start();
      const limiter = limits.limiter(specs[algorithm](4));
      expect(await passed(limiter, 'a', 4)).toBe(4);
      const { resetMs } = await take(limiter, 'a');
      await advance(Math.ceil(resetMs) + 1);
      expect(await passed(limiter, 'a', 6)).toBe(4);
    });
  });

  describe(`limits in ${home}: gcra`, () => {
    it('lets a burst pass at once, and then its steady rate', async () => {
      const { limits, advance } = await start();
      const limiter = limits.limiter(specs.gcra(8, 2));
      expect(await passed(limiter, 'a', 2)).toBe(2);
      expect(await take(limiter, 'a')).toMatchObject({ allowed: false });
      await advance(windowMs / 8 + 1);
      expect(await take(limiter, 'a')).toMatchObject({ allowed: true });
    });
  });

  describe(`limits in ${home}: sliding-window`, () => {
    it('has no edge at which a burst could pass twice', async () => {
      const { limits, advance } = await start();
      const limiter = limits.limiter(specs['sliding-window'](6));
      await advance(windowMs * 0.9);
      expect(await passed(limiter, 'a', 6)).toBe(6);
      await advance(windowMs * 0.2);
      expect(await passed(limiter, 'a', 6)).toBe(0);
    });
  });
}
