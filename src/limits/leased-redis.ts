/** Limits of one thread whose counts live in Redis: the connection, the counts, the leases, and what is said of them. */
import type { Logger } from 'pino';
import type { Clock, Random } from '../clock.ts';
import type { MetricWriter } from '../memory/metric-table.ts';
import type { RedisOptions } from '../store/options.ts';
import { RedisLimits } from '../store/redis-limits.ts';
import { RedisConnection } from '../store/redis.ts';
import type { TimerWheel } from '../timer-wheel.ts';
import { LeasedLimits } from './leased.ts';
import type { Limits } from './limiter.ts';

export interface LeaseFromRedisParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly wheel: TimerWheel;
  readonly metrics: MetricWriter;
  readonly log: Logger;
}

export interface RedisLeases {
  readonly limits: Limits;
  /** Resolves when it is known whether Redis is there. Nothing depends on it but who counts the first requests. */
  readonly settled: Promise<void>;
  close(): Promise<void>;
}

/** @param local counts of this gateway alone. */
export function leaseFromRedis(
  options: RedisOptions,
  local: Limits,
  { clock, random, wheel, metrics, log }: LeaseFromRedisParts,
): RedisLeases {
  const { host, port, keyPrefix, timeoutMs, onFailure } = options;
  const connection = new RedisConnection(options, {
    clock,
    random,
    counts: metrics,
    onChange(isUp, reason) {
      const store = `${host}:${port}`;
      if (isUp) log.info({ event: 'store_up', store }, 'the store is up: limits are shared');
      else log.warn({ event: 'store_away', store, reason, onFailure }, `the store is away: ${reason}`);
    },
  });
  const store = new RedisLimits(connection, keyPrefix, clock, random);
  const limits = new LeasedLimits({ store, local, clock, wheel, counts: metrics, timeoutMs, onFailure });
  return {
    limits,
    settled: connection.start(),
    async close() {
      limits.close();
      await connection.close();
    },
  };
}
