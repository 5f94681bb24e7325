import { describe, expect, test } from 'vitest';
import { config, poolConfig, type PoolOptions } from '../../../test/support/config.ts';
import { FakeClock, settle } from '../../../test/support/fake-clock.ts';
import { seededRandom } from '../../clock.ts';
import { ENDPOINT, EndpointTable } from '../../memory/endpoint-table.ts';
import { EndpointRegistry } from '../endpoint-registry.ts';
import type { CheckResult, HealthChecker } from './checker.ts';
import { HealthMonitor } from './monitor.ts';

const GOOD: CheckResult = { ok: true, reason: 'status 200' };
const BAD: CheckResult = { ok: false, reason: 'connection refused' };

/** Endpoints that answer probes as told: `answers[url]`, or not at all. */
function monitored(count: number, active: PoolOptions['active'] = {}, pool: PoolOptions = {}) {
  const clock = new FakeClock();
  const registry = new EndpointRegistry(EndpointTable.allocate(1, 2048), clock);
  const answers: Record<string, CheckResult | 'silence'> = {};
  const probes: { url: string; at: number }[] = [];
  const checkers: { closed: boolean }[] = [];
  const aborted: string[] = [];
  const recovered: string[] = [];
  const monitor = new HealthMonitor({
    registry,
    clock,
    random: seededRandom(7),
    onRecovered: (endpoint) => void recovered.push(endpoint.url),
    createChecker: () => {
      const checker = { closed: false };
      checkers.push(checker);
      return {
        check: (target, signal) => {
          probes.push({ url: target.url, at: clock.now() });
          const answer = answers[target.url] ?? GOOD;
          if (answer !== 'silence') return Promise.resolve(answer);
          return new Promise((resolve) =>
            signal.addEventListener('abort', () => {
              aborted.push(target.url);
              resolve({ ok: false, reason: 'aborted' });
            }),
          );
        },
        close: () => void (checker.closed = true),
      } satisfies HealthChecker;
    },
  });
  let generation = 0;
  const serve = (check: PoolOptions['active'] | null, members = count) => {
    const urls = Array.from({ length: members }, (_, at) => url(at));
    const next = config([poolConfig(urls, check === null ? pool : { ...pool, active: check ?? {} })]);
    registry.commit(next, registry.hold(++generation, next));
    monitor.update();
  };
  serve(active);
  const endpoint = (index = 0) => registry.pools.get('orders')![index]!;
  return {
    clock,
    registry,
    monitor,
    probes,
    checkers,
    aborted,
    recovered,
    serve,
    endpoint,
    answer: (result: CheckResult | 'silence', index = 0) => void (answers[url(index)] = result),
    isHealthy: (index = 0) => !registry.has(endpoint(index), ENDPOINT.unhealthy),
    run: (ms: number) => clock.advanceAsync(ms, 100),
    /** Lets `count` further probes of the first endpoint end. */
    async probed(times: number) {
      const until = probes.filter((probe) => probe.url === url(0)).length + times;
      while (probes.filter((probe) => probe.url === url(0)).length < until) await clock.advanceAsync(50);
      await settle();
    },
  };
}

const url = (index: number) => `http://10.0.0.${index + 1}:80`;

describe('the verdict', () => {
  test('an endpoint is available before its first probe', () => {
    expect(monitored(1).isHealthy()).toBe(true);
  });

  test('as many bad probes in a row as configured take it out, with the reason', async () => {
    const { answer, probed, isHealthy, endpoint } = monitored(1);
    answer(BAD);
    await probed(2);
    expect(isHealthy()).toBe(true);
    await probed(1);
    expect(isHealthy()).toBe(false);
    expect(endpoint().history.at(-1)!.reason).toBe('active: 3/3 connection refused');
  });

  test('a good probe in between starts the count anew', async () => {
    const { answer, probed, isHealthy } = monitored(1);
    answer(BAD);
    await probed(2);
    answer(GOOD);
    await probed(1);
    answer(BAD);
    await probed(2);
    expect(isHealthy()).toBe(true);
  });

  test('as many good probes in a row as configured bring it back', async () => {
    const { answer, probed, isHealthy, endpoint } = monitored(1);
    answer(BAD);
    await probed(3);
    answer(GOOD);
    await probed(1);
    expect(isHealthy()).toBe(false);
    await probed(1);
    expect(isHealthy()).toBe(true);
    expect(endpoint().history.at(-1)!.reason).toBe('active: 2/2 status 200');
  });

  test('silence is a bad probe when its time is up, and is not waited for any longer', async () => {
    const { answer, run, probed, endpoint, aborted } = monitored(1, { timeout: 700 });
    answer('silence');
    await probed(3);
    await run(700);
    expect(endpoint().history.at(-1)!.reason).toBe('active: 3/3 no answer within 700 ms');
    expect(aborted).toHaveLength(3);
  });

  test('a good probe does not end an ejection: health endpoints lie', async () => {
    const { registry, endpoint, probed } = monitored(1);
    registry.set(endpoint(), ENDPOINT.ejected, true, 'passive: 5 failures in a row');
    await probed(5);
    expect(registry.has(endpoint(), ENDPOINT.ejected)).toBe(true);
  });
});

describe('the cadence', () => {
  test('probes come each interval, give or take a tenth', async () => {
    const { probes, run } = monitored(1);
    await run(120_000);
    const gaps = probes.slice(1).map((probe, at) => probe.at - probes[at]!.at);
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(4_500);
    expect(Math.max(...gaps)).toBeLessThanOrEqual(5_500);
    expect(new Set(gaps).size).toBeGreaterThan(10);
  });

  test('while the verdict is in doubt they come faster, whichever it is', async () => {
    const { probes, answer, probed } = monitored(1);
    const gap = () => probes.at(-1)!.at - probes.at(-2)!.at;
    answer(BAD);
    await probed(2);
    expect(gap()).toBeLessThanOrEqual(1_100);
    await probed(2);
    expect(gap()).toBeGreaterThanOrEqual(4_500); // Unhealthy for certain.
    answer(GOOD);
    await probed(2);
    expect(gap()).toBeLessThanOrEqual(1_100);
  });

  test('the time that a probe takes is part of the interval', async () => {
    const { probes, answer, probed } = monitored(1, { unhealthyAfter: 1, timeout: 2_000 });
    answer('silence');
    await probed(3);
    expect(probes.at(-1)!.at - probes.at(-2)!.at).toBeLessThanOrEqual(5_500);
  });

  test('a thousand new endpoints are not all asked at once', async () => {
    const { probes, run } = monitored(1000);
    await run(1_000);
    const perTenth = new Map<number, number>();
    for (const { at } of probes) perTenth.set(Math.floor(at / 100), (perTenth.get(Math.floor(at / 100)) ?? 0) + 1);
    expect(probes).toHaveLength(1000);
    expect(Math.max(...perTenth.values())).toBeLessThan(200);
  });
});

describe('reloads', () => {
  test('an unchanged check goes on counting', async () => {
    const { answer, probed, serve, isHealthy } = monitored(1);
    answer(BAD);
    await probed(2);
    serve({});
    await probed(1);
    expect(isHealthy()).toBe(false);
  });

  test('another endpoint in the pool changes nothing for this one', async () => {
    const { answer, probed, serve, isHealthy } = monitored(1);
    answer(BAD);
    await probed(3);
    serve({}, 2);
    expect([isHealthy(0), isHealthy(1)]).toEqual([false, true]);
  });

  test('a changed check leaves an available endpoint available until proven bad', async () => {
    const { answer, probed, serve, isHealthy } = monitored(1);
    await probed(1);
    answer(BAD);
    await probed(2);
    serve({ path: '/ready' });
    await probed(2);
    expect(isHealthy()).toBe(true);
    await probed(1);
    expect(isHealthy()).toBe(false);
  });

  test('a changed check leaves an unhealthy endpoint out until the first good probe', async () => {
    const { answer, probed, serve, isHealthy, endpoint } = monitored(1);
    answer(BAD);
    await probed(3);
    serve({ path: '/ready' });
    expect(isHealthy()).toBe(false);
    answer(GOOD);
    await probed(1);
    expect(isHealthy()).toBe(true);
    expect(endpoint().history.at(-1)!.reason).toBe('active: 1/1 status 200');
  });

  test('an endpoint that is no longer checked is not left unhealthy for ever', async () => {
    const { answer, probed, serve, isHealthy, checkers } = monitored(1);
    answer(BAD);
    await probed(3);
    serve(null);
    expect(isHealthy()).toBe(true);
    expect(checkers[0]!.closed).toBe(true);
  });

  test('after the end nothing is left to run, and a probe that is out changes nothing', async () => {
    const { answer, clock, monitor, probed, run, isHealthy, aborted } = monitored(1, { unhealthyAfter: 1 });
    answer('silence');
    await probed(1);
    monitor.close();
    await run(10_000);
    expect(aborted).toHaveLength(1);
    expect(isHealthy()).toBe(true);
    expect(clock.pending).toBe(0);
  });
});

describe('an endpoint that was away', () => {
  test('is said to be back after as many good probes as its check wants', async () => {
    const { answer, probed, recovered } = monitored(1, { healthyAfter: 2, unhealthyAfter: 3 });
    await probed(2);
    answer(BAD);
    await probed(1);
    answer(GOOD);
    await probed(1);
    expect(recovered).toEqual([]);
    await probed(1);
    expect(recovered).toEqual([url(0)]);
    await probed(3);
    expect(recovered).toEqual([url(0)]);
  });

  test('so shortly that no probe has seen it is said to be back all the same, when requests found nobody there', async () => {
    const { monitor, endpoint, probed, recovered } = monitored(2, { healthyAfter: 2 });
    await probed(2);
    monitor.foundNobody(endpoint());
    await probed(1);
    expect(recovered).toEqual([]);
    await probed(1);
    expect(recovered).toEqual([url(0)]);
  });
});
