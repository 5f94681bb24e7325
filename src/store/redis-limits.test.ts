/** The contract in a real Redis whose clock is told what time it is; limit-script.test.ts has it count by its own. */
import { describe, expect, it } from 'vitest';
import { cleanup } from '../../test/support/cleanup.ts';
import { FakeClock } from '../../test/support/fake-clock.ts';
import { limiterContract } from '../../test/support/limiter-contract.ts';
import { hasRedis, redisOptions, redisServer } from '../../test/support/redis.ts';
import { seededRandom, systemClock } from '../clock.ts';
import { LeasedLimits } from '../limits/leased.ts';
import type { Limits } from '../limits/limiter.ts';
import { TimerWheel } from '../timer-wheel.ts';
import { LIMIT_SCRIPT } from './limit-script.ts';
import { RedisLimits } from './redis-limits.ts';
import { RedisConnection, script } from './redis.ts';

const OWN_CLOCK = "redis.call('TIME')";
const TOLD = script(LIMIT_SCRIPT.replace(OWN_CLOCK, "redis.call('MGET', 'seconds', 'micros')"));

/** Nobody counts alone here. */
const NONE = { limiter: () => undefined } as unknown as Limits;

if (hasRedis) {
  const server = await redisServer();
  const counts = { storeUp: () => {}, storeAsked: () => {} };
  const parts = { clock: systemClock, random: seededRandom(1), counts, onChange: () => {} };
  const connection = new RedisConnection(redisOptions(server.port), parts);
  await connection.start();
  cleanup(() => connection.close());

  limiterContract(
    'a real Redis',
    async () => {
      const clock = new FakeClock();
      const tell = async () => {
        const us = Math.round(clock.wall() * 1_000);
        await connection.command(2_000, 'mset', 'seconds', Math.floor(us / 1e6), 'micros', us % 1e6);
      };
      await tell();
      const store = new RedisLimits(connection, 'contract:', clock, seededRandom(2), TOLD);
      const own = { limitLeased: () => {}, limitAsked: () => {}, limitFailedOver: () => expect.fail('Redis was away') };
      const shared = { store, local: NONE, clock, wheel: new TimerWheel(clock), counts: own };
      return {
        limits: new LeasedLimits({ ...shared, timeoutMs: 2_000, onFailure: 'deny' }),
        wall: clock.wall,
        advance(ms) {
          clock.advance(ms);
          return tell();
        },
      };
    },
    { windowMs: 60_000 },
  );
} else {
  describe.skip('limits in a real Redis', () => it('need redis-server'));
}
