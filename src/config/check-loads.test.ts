import { mkdtempSync, mkdirSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { cleanup } from '../../test/support/cleanup.ts';
import { ADAPTIVE_DEFAULTS } from '../upstream/load/weights.ts';
import { load } from './load.ts';
import { formatProblem } from './problem.ts';

/** A pool whose further keys are `pool`, from line 4 on. */
async function loaded(pool: string) {
  const dir = mkdtempSync(join(tmpdir(), 'aya-loads-'));
  cleanup(() => rm(dir, { recursive: true }));
  mkdirSync(join(dir, 'routes.d'));
  const text = `pools:\n  orders:\n    endpoints: ['http://10.0.0.1:80']\n    ${pool}\nroutes: [{ name: orders, pool: orders }]\n`;
  writeFileSync(join(dir, 'routes.d', 'orders.yaml'), text);
  const { config, problems } = await load(dir);
  return { pool: config?.pools[0], problems: problems.map(formatProblem) };
}

describe('load reports and agents', () => {
  it('need no more than their names; both spellings have the same defaults', async () => {
    const { pool, problems } = await loaded('balance: { adaptive: {} }');
    expect(problems).toEqual([]);
    expect(pool!.balance).toEqual({ adaptive: ADAPTIVE_DEFAULTS });
    expect((await loaded('balance: adaptive')).pool!.balance).toBe('adaptive');
    expect((await loaded('health: { agent: { port: 9999 } }')).pool!.health.agent).toEqual({
      port: 9999,
      interval: 2_000,
      timeout: 1_000,
    });
  });

  it.each([
    ['balance: { adaptive: { update: 5ms } }', '4:36: error: expected at least 100ms'],
    [
      'balance: { adaptive: { expiration: 500ms } }',
      "4:40: error: 'expiration' is shorter than 'update': no report would last to be weighed",
    ],
    [
      'balance: { adaptive: { metrics: [queue] } }',
      "4:38: error: expected a metric such as named_metrics.queue or utilization.threads, got 'queue'",
    ],
    ['balance: { adaptive: { errorPenalty: -1 } }', '4:42: error: expected at least 0, got -1'],
    [
      'balance: adaptiv',
      "4:14: error: expected adaptive, ip-hash, least-connections, least-response-time, random, round-robin or url-hash, an object with hash, or an object with adaptive, got 'adaptiv' — did you mean 'adaptive'?",
    ],
    ['health: { agent: {} }', "4:15: error: missing key 'port' — expected a whole number"],
    ['health: { agent: { port: 0 } }', '4:30: error: expected at least 1, got 0'],
    ['health: { agent: { port: 9, interval: 0s } }', '4:43: error: expected a duration longer than 0'],
  ])('%s is told to be wrong', async (pool, told) => {
    expect((await loaded(pool)).problems).toEqual([`routes.d/orders.yaml:${told}`]);
  });

  it('an agent on the port of the service is warned about', async () => {
    expect((await loaded('health: { agent: { port: 80 } }')).problems).toEqual([
      "routes.d/orders.yaml:4:30: warning: pool 'orders': its agent is asked on the port where http://10.0.0.1 serves — an agent has a port of its own",
    ]);
  });
});
