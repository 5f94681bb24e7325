import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LimitTwin } from '../../test/support/limit-twin.ts';
import { hasRedis, redisOptions, redisServer, type RedisServer } from '../../test/support/redis.ts';
import { seededRandom, systemClock } from '../clock.ts';
import type { LimitSpec, QuotaPeriod } from '../limits/limiter.ts';
import { LIMIT_SCRIPT, OTHER_PERIOD } from './limit-script.ts';
import { scriptArguments } from './redis-limits.ts';
import { RedisConnection, script } from './redis.ts';
import type { LimitRequest } from './store.ts';

const SCRIPT = script(LIMIT_SCRIPT);
const ALWAYS: QuotaPeriod = { id: 'always', startMs: 0, endMs: 4e12 };

const rate = (algorithm: 'gcra' | 'sliding-window', max: number, windowMs: number, burst = max): LimitSpec => ({
  name: 'users',
  algorithm,
  max,
  windowMs,
  burst,
});
const quota: LimitSpec = {
  name: 'users',
  algorithm: 'quota',
  max: 900,
  windowMs: 1e9,
  burst: 900,
  periodAt: () => ALWAYS,
};

let server: RedisServer;
let redis: RedisConnection;

/** The reply of the script and the moment it was made at. */
function run(key: string, request: LimitRequest, holder: string, period = ALWAYS): Promise<number[]> {
  return new Promise((resolve, reject) => {
    redis.run(SCRIPT, key, scriptArguments(request, holder, period), 2_000, (reply, error) =>
      error === undefined ? resolve((reply as (string | number)[]).map(Number)) : reject(new Error(error)),
    );
  });
}

describe.skipIf(!hasRedis)('the script of limits in a real Redis', () => {
  beforeAll(async () => {
    server = await redisServer();
    const counts = { storeUp: () => {}, storeAsked: () => {} };
    redis = new RedisConnection(redisOptions(server.port), {
      clock: systemClock,
      random: seededRandom(1),
      counts,
      onChange: () => {},
    });
    await redis.start();
  });
  afterAll(() => redis.close());

  // Windows short enough for the real time that 600 questions take to pass through many of them.
  it.each([
    ['gcra', rate('gcra', 4_000, 80)],
    ['gcra with a small burst', rate('gcra', 90, 7, 5)],
    ['sliding-window', rate('sliding-window', 2_000, 40)],
    ['a small sliding-window', rate('sliding-window', 3, 9)],
    ['quota', quota],
  ] as const)('counts %s as its twin does, for any order of questions', async (name, spec) => {
    for (const seed of [1, 2, 3]) {
      const random = seededRandom(seed);
      const below = (bound: number) => Math.floor(random() * bound);
      const twin = new LimitTwin();
      const key = `${name}:${seed}`;
      for (let number = 0; number < 200; number++) {
        const holder = `node${below(4)}`;
        const cost = below(4);
        const units = { held: random() < 0.5 ? 0 : below(6), want: random() < 0.4 ? 0 : below(30), back: below(3) };
        const request = { spec, key, cost, count: below(4), ...units };
        const [granted, leased, remaining, resetUs, retryUs, seconds, us] = await run(key, request, holder);
        const reply = twin.ask(request, holder, seconds! * 1_000 + us! / 1_000, ALWAYS.endMs);
        expect({ seed, number, granted, leased, remaining, resetUs, retryUs }).toEqual({
          seed,
          number,
          granted: reply.granted,
          leased: reply.leased,
          remaining: reply.remaining,
          resetUs: Math.ceil(reply.resetMs * 1_000),
          retryUs: Math.ceil(reply.retryAfterMs * 1_000),
        });
      }
    }
  });

  it('leaves nothing behind that has no end', async () => {
    const keys = (await server.command('KEYS', '*')).split('\r\n').filter((line) => /:\d$/.test(line));
    expect(keys.length).toBeGreaterThan(0);
    for (const key of keys) expect(Number((await server.command('PTTL', key)).slice(1))).toBeGreaterThan(0);
  });

  it('counts a quota in the period of its own clock only', async () => {
    const request = { spec: quota, key: 'q', cost: 1, count: 1, held: 0, want: 0, back: 0 };
    expect((await run('over', request, 'a', { id: 'past', startMs: 0, endMs: 1_000 }))[0]).toBe(OTHER_PERIOD);
    expect((await run('early', request, 'a', { id: 'next', startMs: 4e12, endMs: 5e12 }))[0]).toBe(OTHER_PERIOD);
    expect(await server.command('EXISTS', 'over', 'early')).toBe(':0\r\n');
  });
});
