/** One thread of one gateway that counts in a Redis, without the rest of the gateway. */
import { pino } from 'pino';
import { seededRandom, systemClock, type Clock } from '../../src/clock.ts';
import { leaseFromRedis } from '../../src/limits/leased-redis.ts';
import type { Limiter, Limits } from '../../src/limits/limiter.ts';
import { LimitTables, MemoryLimits } from '../../src/limits/memory-limits.ts';
import { MetricTable, type ThreadSample } from '../../src/memory/metric-table.ts';
import type { RedisOptions } from '../../src/store/options.ts';
import { TimerWheel } from '../../src/timer-wheel.ts';
import { cleanup } from './cleanup.ts';
import { take } from './limiter-contract.ts';
import { redisOptions } from './redis.ts';

export interface SharedLimits {
  readonly limits: Limits;
  readonly logs: readonly Readonly<Record<string, unknown>>[];
  readonly counts: ThreadSample;
  close(): Promise<void>;
}

let threads = 0;

export async function sharedLimits(
  port: number,
  changes: Partial<RedisOptions> = {},
  clock: Clock = systemClock,
): Promise<SharedLimits> {
  const logs: Record<string, unknown>[] = [];
  const log = pino({}, { write: (line: string) => void logs.push(JSON.parse(line) as Record<string, unknown>) });
  const table = MetricTable.allocate({ threads: 1, routes: 1, endpoints: 1 });
  const local = new MemoryLimits(LimitTables.allocate(1, clock.now()).buffers, 0, clock);
  const leases = leaseFromRedis(redisOptions(port, changes), local, {
    clock,
    // Chance names the holders of leases: each its own.
    random: seededRandom(++threads),
    wheel: new TimerWheel(clock),
    metrics: table.writer(0),
    log,
  });
  await leases.settled;
  cleanup(() => leases.close());
  return {
    limits: leases.limits,
    logs,
    get counts() {
      return table.threads()[0]!;
    },
    close: () => leases.close(),
  };
}

/** How many of so many requests pass, sent `atOnce` at a time. */
export async function passes(
  limiters: readonly Limiter[],
  key: string,
  requests: number,
  atOnce = 20,
): Promise<number> {
  let passed = 0;
  for (let sent = 0; sent < requests; sent += atOnce) {
    const round = Array.from({ length: Math.min(atOnce, requests - sent) }, (_, at) =>
      take(limiters[(sent + at) % limiters.length]!, key),
    );
    passed += (await Promise.all(round)).filter(({ allowed }) => allowed).length;
  }
  return passed;
}
