import { mkdtempSync, mkdirSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { cleanup } from '../../test/support/cleanup.ts';
import { load } from './load.ts';
import { formatProblem } from './problem.ts';

/** @returns the problems of a pool with so many endpoints, whose further keys are `pool`, from line 4 on. */
async function problemsOf(pool: string, endpoints = 3) {
  const dir = mkdtempSync(join(tmpdir(), 'aya-failures-'));
  cleanup(() => rm(dir, { recursive: true }));
  mkdirSync(join(dir, 'routes.d'));
  const urls = Array.from({ length: endpoints }, (_, at) => `http://10.0.0.${at + 1}:80`);
  const text = `pools:\n  orders:\n    endpoints: [${urls.join(', ')}]\n    ${pool}\nroutes: [{ name: orders, pool: orders }]\n`;
  writeFileSync(join(dir, 'routes.d', 'orders.yaml'), text);
  const { config, problems } = await load(dir);
  return { pool: config?.pools[0], problems: problems.map(formatProblem) };
}

describe('breakers and ejection', () => {
  it('need no more than their names', async () => {
    const { pool, problems } = await problemsOf('breaker: {}');
    expect(problems).toEqual([]);
    expect(pool!.breaker).toEqual({
      failures: 0.5,
      window: 10_000,
      minRequests: 20,
      openFor: 10_000,
      maxOpenFor: 120_000,
      probes: 3,
      scope: 'endpoint',
    });
    expect(pool!.health.statuses).toEqual({
      fail: [[500, 599]],
      ignore: [
        [501, 501],
        [505, 505],
      ],
    });
  });

  it('take all that they know', async () => {
    const passive =
      '{ mode: log, consecutiveGatewayFailures: 3, failurePercentage: { threshold: 60% }, slow: { factor: 4 }, minHealthy: 2, window: 5s }';
    const health = `health: { passive: ${passive}, statuses: { fail: [500-599, 429], ignore: [404] } }`;
    const breaker = 'breaker: { consecutive: 5, slow: { over: 2s }, scope: both }';
    const { pool, problems } = await problemsOf(`${health}\n    ${breaker}`);
    expect(problems).toEqual([]);
    expect(pool!.breaker!.slow).toEqual({ over: 2_000, share: 0.5 });
    expect(pool!.health.passive).toMatchObject({
      failurePercentage: { threshold: 0.6, minRequests: 50 },
      slow: { factor: 4, margin: 100, minRequests: 20 },
    });
  });

  it.each([
    ['breaker: { failures: 0% }', /orders\.yaml:4:26: error: answers that all did well reach 0%/],
    ['breaker: { failures: 150% }', /4:26: error: no share is greater than 100%/],
    ['breaker: { minRequests: 0 }', /4:29: error: expected at least 1, got 0/],
    ['breaker: { window: 0s }', /4:24: error: expected a duration longer than 0/],
    ['breaker: { openFor: 0s }', /4:25: error: expected a duration longer than 0/],
    ['breaker: { openFor: 10s, maxOpenFor: 5s }', /4:42: error: 'maxOpenFor' is shorter than 'openFor'/],
    ['breaker: { probes: 0 }', /4:24: error: expected at least 1, got 0/],
    ['breaker: { slow: { over: 0s } }', /4:30: error: expected a duration longer than 0/],
    ['breaker: { slow: { over: 1s, share: 0% } }', /4:41: error: answers that all did well reach 0%/],
    ['breaker: { slow: {} }', /4:\d+: error: .*over/],
    ['breaker: { scope: route }', /4:23: error: /],
    ['health: { passive: { maxEjected: 0% } }', /4:26: error: 'maxEjected: 0%' lets nobody be ejected/],
    ['health: { passive: { consecutiveFailures: 0 } }', /4:26: error: nothing is left that would eject/],
    ['health: { passive: { consecutiveGatewayFailures: 5 } }', /4:26: error: 5 failures of any kind eject before 5/],
    ['health: { passive: { window: 0s } }', /4:34: error: expected a duration longer than 0/],
    ['health: { passive: { ejectFor: 0s } }', /4:36: error: expected a duration longer than 0/],
    [
      'health: { passive: { ejectFor: 10m, maxEjectFor: 1m } }',
      /4:54: error: 'maxEjectFor' is shorter than 'ejectFor'/,
    ],
    [
      'health: { passive: { failurePercentage: { threshold: 0% } } }',
      /4:58: error: answers that all did well reach 0%/,
    ],
    ['health: { passive: { slow: { factor: 1 } } }', /4:42: error: expected more than 1, got 1/],
    ['health: { statuses: { fail: [599-500] } }', /4:34: error: 599-500 is an empty range/],
    [
      'health: { passive: { minHealthy: 3 } }',
      /4:26: warning: pool 'orders' has 3 endpoints: with minHealthy 3 none is/,
    ],
    ['health: { passive: { successRate: {} } }', /4:26: warning: .* successRate compares no fewer than 5/],
    ['health: { passive: { successRate: { minHosts: 3 } } }', /4:26: warning: .* none can be 1\.9 standard deviations/],
  ])('%s is told about where it stands', async (pool, told) => {
    const { problems } = await problemsOf(pool);
    expect(problems).toEqual([expect.stringMatching(told)]);
  });

  it('take defaults that are too short for what is written as longer', async () => {
    expect((await problemsOf('breaker: { openFor: 5m }')).problems).toEqual([]);
    expect((await problemsOf('health: { passive: { ejectFor: 10m } }')).problems).toEqual([]);
    expect((await problemsOf('health: { passive: { mode: log, maxEjected: 0% } }')).problems).toEqual([]);
    expect((await problemsOf('health: { passive: { slow: {} } }', 1)).problems).toHaveLength(1);
  });
});
