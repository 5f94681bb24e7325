import { createServer, type AddressInfo, type Socket } from 'node:net';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { cleanup } from '../../test/support/cleanup.ts';
import { configDirectory } from '../../test/support/command.ts';
import { take } from '../../test/support/limiter-contract.ts';
import { hasRedis, redisServer, type RedisServer } from '../../test/support/redis.ts';
import { passes, sharedLimits } from '../../test/support/shared-limits.ts';
import { until } from '../../test/support/until.ts';
import { systemClock } from '../clock.ts';
import { calendar } from './calendar.ts';
import { leaseCap } from './leased-bound.ts';
import type { QuotaSpec, RateSpec } from './limiter.ts';

const MINUTE = 60_000;
const window = (max: number, changes: Partial<RateSpec> = {}): RateSpec => {
  return { name: 'calls', algorithm: 'sliding-window', max, windowMs: MINUTE, burst: max, ...changes };
};
const perDay = (max: number): QuotaSpec => {
  const periodAt = calendar('day', 'UTC');
  return { name: 'calls', algorithm: 'quota', max, windowMs: 24 * 60 * MINUTE, burst: max, periodAt };
};

let server: RedisServer;

describe.skipIf(!hasRedis)('limits that gateways share in a real Redis', () => {
  beforeAll(async () => {
    server = await redisServer();
  });
  beforeEach(async () => {
    await server.command('FLUSHALL');
  });

  it.each([1, 7, 99])('let exactly %d pass over two gateways', async (max) => {
    const [one, other] = [await sharedLimits(server.port), await sharedLimits(server.port)];
    const limiters = [one.limits.limiter(window(max)), other.limits.limiter(window(max))];
    expect(await passes(limiters, 'anna', max * 3)).toBe(max);
    expect(await passes(limiters, 'bert', max * 3)).toBe(max);
  });

  it('let a large limit pass within 1 % over two gateways, most of it without a round trip', async () => {
    const spec = window(5_000, { algorithm: 'gcra' });
    const [one, other] = [await sharedLimits(server.port), await sharedLimits(server.port)];
    const passed = await passes([one.limits.limiter(spec), other.limits.limiter(spec)], 'anna', 7_000, 10);
    expect(passed).toBeLessThanOrEqual(5_000 * 1.02);
    expect(passed).toBeGreaterThanOrEqual(5_000 - leaseCap(spec));
    expect(one.counts.limitLeased).toBeGreaterThan(one.counts.limitAsked);
  });

  it('count a quota on after the gateway and a Redis that keeps a file were started anew', async () => {
    const dir = await configDirectory({});
    const own = await redisServer('--appendonly', 'yes', '--appendfsync', 'always', '--dir', dir);
    const one = await sharedLimits(own.port);
    expect(await passes([one.limits.limiter(perDay(50))], 'anna', 30)).toBe(30);
    await one.close();
    await own.kill();
    await own.start();
    const other = await sharedLimits(own.port);
    expect(await passes([other.limits.limiter(perDay(50))], 'anna', 30)).toBe(20);
  });

  it('tell what is left and when there is more', async () => {
    const { limits } = await sharedLimits(server.port);
    const limiter = limits.limiter({ ...window(2), algorithm: 'gcra' });
    expect(await take(limiter, 'anna')).toMatchObject({ allowed: true, remaining: 1, retryAfterMs: 0 });
    expect(await take(limiter, 'anna', 3)).toMatchObject({ allowed: false, retryAfterMs: Infinity });
    const second = await take(limiter, 'anna');
    expect(second).toMatchObject({ allowed: true, remaining: 0 });
    expect(second.resetMs).toBeGreaterThan(MINUTE - 5_000);
    const refused = await take(limiter, 'anna');
    expect(refused).toMatchObject({ allowed: false, remaining: 0 });
    expect(refused.retryAfterMs).toBeGreaterThan(25_000);
    expect(refused.retryAfterMs).toBeLessThanOrEqual(30_000);
  });

  it('give back what another limit refused', async () => {
    const [one, other] = [await sharedLimits(server.port), await sharedLimits(server.port)];
    const limiter = one.limits.limiter(window(3));
    expect(await passes([limiter], 'anna', 3)).toBe(3);
    limiter.refund('anna', 2);
    const elsewhere = other.limits.limiter(window(3));
    await until(async () => (await take(elsewhere, 'anna')).allowed, 'the charge to be back');
    expect(await passes([elsewhere, limiter], 'anna', 10)).toBe(1);
  });

  it('answer a flood of refused requests from memory', async () => {
    const { limits, counts: _, ...shared } = await sharedLimits(server.port);
    const limiter = limits.limiter(window(5));
    await passes([limiter], 'anna', 6);
    const asked = Number(await commandsSoFar());
    expect(await passes([limiter], 'anna', 2_000)).toBe(0);
    expect(Number(await commandsSoFar()) - asked).toBeLessThan(5);
    await shared.close();
  });

  it('share one round trip between all who wait for one caller', async () => {
    const shared = await sharedLimits(server.port);
    const limiter = shared.limits.limiter(window(400));
    const before = shared.counts.storeAnswered;
    expect(await passes([limiter], 'anna', 300, 300)).toBe(300);
    expect(shared.counts.storeAnswered - before).toBeLessThanOrEqual(3);
  });

  it('leave no caller in clear in Redis, and nothing without an end', async () => {
    const { limits } = await sharedLimits(server.port);
    await take(limits.limiter(window(3)), 'secret-token');
    const keys = await server.command('KEYS', '*');
    expect(keys).toContain('test:limit:calls:');
    expect(keys).not.toContain('secret');
    const [key] = /test:limit:\S+/.exec(keys)!;
    expect(Number((await server.command('PTTL', key)).slice(1))).toBeGreaterThan(0);
  });

  it('do not notice that Redis has forgotten the script', async () => {
    const shared = await sharedLimits(server.port);
    const limiter = shared.limits.limiter(window(99));
    await take(limiter, 'anna');
    await server.command('SCRIPT', 'FLUSH');
    expect(await take(limiter, 'anna')).toMatchObject({ allowed: true, remaining: 97 });
    expect(shared.counts).toMatchObject({ storeFailed: 0, limitFailedOver: 0 });
  });

  it('do not blame Redis for the time that the thread itself was busy', async () => {
    const shared = await sharedLimits(server.port, { timeoutMs: 20 });
    const limiter = shared.limits.limiter(window(99));
    await take(limiter, 'anna');
    const verdicts = Promise.all(['anna', 'bert', 'carla', 'dora'].map((caller) => take(limiter, caller)));
    const until = performance.now() + 60;
    while (performance.now() < until);
    expect((await verdicts).map(({ allowed }) => allowed)).toEqual([true, true, true, true]);
    expect(shared.counts).toMatchObject({ storeDown: 0, storeFailed: 0, limitFailedOver: 0 });
  });

  describe('while Redis is away', () => {
    it('count in each gateway alone, wait for nothing, and share again when it is back', async () => {
      const own = await redisServer();
      const shared = [await sharedLimits(own.port), await sharedLimits(own.port)];
      const limiters = shared.map(({ limits }) => limits.limiter(window(20)));
      expect(await passes(limiters, 'anna', 60)).toBe(20);
      await own.kill();
      await until(() => shared.every(({ counts }) => counts.storeDown === 1), 'the loss to be noticed');

      let decided = 0;
      let allowed = 0;
      for (let number = 0; number < 200; number++) {
        limiters[number % 2]!.take('bert', 1, (verdict) => {
          decided++;
          if (verdict.allowed) allowed++;
        });
      }
      expect({ decided, allowed }).toEqual({ decided: 200, allowed: 40 });

      await own.start();
      await until(() => shared.every(({ counts }) => counts.storeDown === 0), 'the return to be noticed');
      expect(await passes(limiters, 'carla', 60)).toBe(20);
      expect(shared[0]!.logs.map(({ event }) => event)).toEqual(['store_up', 'store_away', 'store_up']);
    });

    it('decide each request once, however often Redis goes and comes', async () => {
      const own = await redisServer();
      const shared = await sharedLimits(own.port);
      const limiters = [window(50), window(100_000, { name: 'busy', algorithm: 'gcra' })].map((spec) =>
        shared.limits.limiter(spec),
      );
      let sent = 0;
      let decided = 0;
      const traffic = systemClock.every(1, () => {
        for (let burst = 0; burst < 20; burst++) {
          const caller = `caller-${sent++ % 7}`;
          limiters[sent % 2]!.take(caller, 1 + (sent % 3), () => decided++);
          if (sent % 10 === 0) limiters[sent % 2]!.refund(caller, 1);
        }
      });
      for (let time = 0; time < 4; time++) {
        await own.kill();
        await until(() => shared.counts.storeDown === 1, 'the loss to be noticed');
        await own.start();
        await until(() => shared.counts.storeDown === 0, 'the return to be noticed');
      }
      traffic.cancel();
      await until(() => decided === sent, 'every request to be decided');
      await shared.close();
      expect(decided).toBe(sent);
    });

    it.each([
      ['allow', 30],
      ['deny', 0],
      ['local', 20],
    ] as const)('decide as onStoreFailure says: %s', async (onStoreFailure, expected) => {
      const { limits } = await sharedLimits(await closedPort());
      expect(await passes([limits.limiter(window(20, { onStoreFailure }))], 'anna', 30)).toBe(expected);
    });

    it('decide within the time of the store when it hangs, then without waiting', async () => {
      const own = await redisServer();
      const shared = await sharedLimits(own.port, { timeoutMs: 50 });
      const limiter = shared.limits.limiter(window(1_000_000, { onStoreFailure: 'deny' }));
      await take(limiter, 'anna');
      own.pause();
      for (let number = 0; shared.counts.storeDown === 0; number++) {
        expect(number).toBeLessThan(10);
        await take(limiter, `caller-${number}`);
      }
      let isDecided = false;
      limiter.take('dora', 1, () => (isDecided = true));
      expect(isDecided).toBe(true);
      own.resume();
      await until(() => shared.counts.storeDown === 0, 'Redis to be asked again');
    });
  });

  it.each([
    ['has become a replica that only reads', ['REPLICAOF', '127.0.0.1', '1'], ['REPLICAOF', 'NO', 'ONE'], /^READONLY/],
    ['is full', ['CONFIG', 'SET', 'maxmemory', '1'], ['CONFIG', 'SET', 'maxmemory', '0'], /^OOM/],
  ] as const)('count alone while Redis %s', async (_, spoil, mend, reason) => {
    const shared = await sharedLimits(server.port);
    const limiter = shared.limits.limiter(window(20));
    await server.command(...spoil);
    try {
      expect(await passes([limiter], 'anna', 30)).toBe(20);
      expect(shared.counts.storeDown).toBe(1);
      expect(shared.logs.at(-1)).toMatchObject({
        event: 'store_away',
        reason: expect.stringMatching(reason) as string,
      });
    } finally {
      await server.command(...mend);
    }
    await until(() => shared.counts.storeDown === 0, 'Redis to be asked again');
  });

  it('count alone with a wrong password, a database that is not there, and a server that loads; no log holds a password', async () => {
    const locked = await redisServer('--requirepass', 'right');
    const loading = await answeringPort('-LOADING Redis is loading the dataset in memory\r\n');
    const cases = [
      [await sharedLimits(locked.port, { password: 'wrong-password' }), /WRONGPASS/],
      [await sharedLimits(locked.port), /NOAUTH/],
      [await sharedLimits(server.port, { db: 99 }), /DB index/],
      [await sharedLimits(loading), /LOADING/],
      [await sharedLimits(await answeringPort('HTTP/1.1 400 Bad Request\r\n\r\n')), /./],
      [await sharedLimits(await answeringPort('')), /no answer|timed out|ETIMEDOUT/],
    ] as const;
    for (const [shared, reason] of cases) {
      expect(await passes([shared.limits.limiter(window(20))], 'anna', 30)).toBe(20);
      expect(shared.logs).toMatchObject([{ event: 'store_away', reason: expect.stringMatching(reason) as string }]);
      expect(JSON.stringify(shared.logs)).not.toContain('wrong-password');
    }
    const open = await sharedLimits(locked.port, { password: 'right' });
    expect(open.counts.storeDown).toBe(0);
  });
});

async function commandsSoFar(): Promise<string> {
  const stats = await server.command('INFO', 'commandstats');
  const calls = [...stats.matchAll(/cmdstat_eval(?:sha)?:calls=(\d+)/g)].map(([, count]) => Number(count));
  return String(calls.reduce((sum, count) => sum + count, 0));
}

async function closedPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Says the same to each command. */
async function answeringPort(answer: string): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('data', (data) => void socket.write(answer.repeat(data.toString().match(/\*\d+\r\n/g)?.length ?? 0)));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  cleanup(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  return (server.address() as AddressInfo).port;
}
