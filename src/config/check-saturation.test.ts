import { mkdtempSync, mkdirSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { cleanup } from '../../test/support/cleanup.ts';
import { load } from './load.ts';
import { formatProblem } from './problem.ts';

const URLS = '[http://10.0.0.1:80, http://10.0.0.2:80]';

/** @param pool its further keys, on line 4. @param endpoints on line 3. @param route its further keys. */
async function loaded(pool: string, { endpoints = URLS, route = '' } = {}) {
  const dir = mkdtempSync(join(tmpdir(), 'aya-saturation-'));
  cleanup(() => rm(dir, { recursive: true }));
  mkdirSync(join(dir, 'routes.d'));
  const routes = `routes: [{ name: orders, pool: orders${route} }]`;
  const text = `pools:\n  orders:\n    endpoints: ${endpoints}\n    ${pool}\n${routes}\n`;
  writeFileSync(join(dir, 'routes.d', 'orders.yaml'), text);
  const { config, problems } = await load(dir);
  return { pool: config?.pools[0], route: config?.routes[0], problems: problems.map(formatProblem) };
}

const QUEUE = { max: 500, timeout: 1_000, target: 20, interval: 100 };

describe('maxInFlight', () => {
  it.each([
    ['a number is the limit of the pool', 'maxInFlight: 1000', { max: 1_000, queue: QUEUE }],
    ['an object says more', 'maxInFlight: { max: 9, queue: { max: 5 } }', { max: 9, queue: { ...QUEUE, max: 5 } }],
    ['nobody has to wait', 'maxInFlight: { perEndpoint: 9, queue: false }', { perEndpoint: 9, queue: false }],
    [
      'it may find itself',
      'maxInFlight: { adaptive: {} }',
      { adaptive: { min: 10, max: 1_000, tolerance: 1.5, remeasure: 30_000 }, queue: QUEUE },
    ],
  ])('%s', async (_, text, meant) => {
    const { pool, problems } = await loaded(text);
    expect(problems).toEqual([]);
    expect(pool!.maxInFlight).toEqual(meant);
  });

  it('of an endpoint alone has its queue too', async () => {
    const endpoints = '[{ url: http://10.0.0.1:80, maxInFlight: 4 }, http://10.0.0.2:80]';
    const { pool, problems } = await loaded('balance: random', { endpoints });
    expect(problems).toEqual([]);
    expect([pool!.maxInFlight, pool!.endpoints[0]!.maxInFlight]).toEqual([{ queue: QUEUE }, 4]);
  });

  it('is not there unless it is written', async () => {
    expect((await loaded('balance: random')).pool!.maxInFlight).toBeUndefined();
  });

  it.each([
    ['maxInFlight: 0', /4:18: error: expected at least 1, got 0/],
    ['maxInFlight: { max: 10, queue: { max: 0 } }', /4:43: error: expected at least 1, got 0/],
    [
      'maxInFlight: {}',
      /4:5: error: maxInFlight of pool 'orders' limits nothing — give it max, adaptive or perEndpoint/,
    ],
    ['maxInFlight: { max: 10, adaptive: {} }', /4:20: error: 'max' beside 'adaptive': one of them is the limit/],
    ['maxInFlight: { adaptive: { min: 9, max: 8 } }', /4:20: error: min 9 is more than max 8/],
    ['maxInFlight: { adaptive: { remeasure: 10ms } }', /4:\d+: error: a pool that is measured all the time/],
    [
      'maxInFlight: { max: 9, queue: { timeout: 0s } }',
      /error: expected a duration longer than 0 — queue: false lets none wait/,
    ],
    [
      'maxInFlight: { max: 9, queue: { target: 2s } }',
      /error: 'target' is not shorter than 'timeout': nobody waits for so long/,
    ],
    ['maxInFlight: { max: 9, perEndpoint: 10 }', /warning: pool 'orders' takes 9 as a whole: no endpoint ever has 10/],
  ])('is not taken as it stands: %s', async (text, message) => {
    expect((await loaded(text)).problems).toEqual([expect.stringMatching(message)]);
  });

  it('warns of an endpoint that is allowed more than its pool', async () => {
    const endpoints = '[{ url: http://10.0.0.1:80, maxInFlight: 40 }, http://10.0.0.2:80]';
    const { problems } = await loaded('maxInFlight: 20', { endpoints });
    expect(problems).toEqual([
      expect.stringMatching(/3:\d+: warning: the pool as a whole takes 20 \(maxInFlight\): this endpoint never has 40/),
    ]);
  });

  it('lets nobody wait for longer than a route has', async () => {
    const queue = 'maxInFlight: { max: 9, queue: { timeout: 3s } }';
    const total = await loaded(queue, { route: ', timeout: { total: 2s }' });
    expect(total.problems).toEqual([
      expect.stringMatching(
        /4:\d+: error: a request may wait 3000 ms here, and route 'orders' ends it after 2000 ms \(timeout\.total\) — make it shorter than 2000ms/,
      ),
    ]);
    const byDefault = await loaded('maxInFlight: 9', { route: ', timeout: { head: 500ms }' });
    expect(byDefault.problems).toEqual([]);
  });
});

describe('priority', () => {
  it('is one of three words', async () => {
    expect((await loaded('balance: random', { route: ', priority: low' })).route!.priority).toBe('low');
    expect((await loaded('balance: random', { route: ', priority: urgent' })).problems).toEqual([
      expect.stringMatching(/5:\d+: error: .*high/),
    ]);
  });
});
