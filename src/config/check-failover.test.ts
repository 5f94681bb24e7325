import { mkdtempSync, mkdirSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { cleanup } from '../../test/support/cleanup.ts';
import { load } from './load.ts';
import { formatProblem } from './problem.ts';

const TWO = 'endpoints: [http://10.0.0.1:80, http://10.0.0.2:80]';

/** @param pools lines below `pools:`. */
async function loaded(pools: string, { gateway = '', routes = '[{ name: orders, pool: orders }]' } = {}) {
  const dir = mkdtempSync(join(tmpdir(), 'aya-failover-'));
  cleanup(() => rm(dir, { recursive: true }));
  mkdirSync(join(dir, 'routes.d'));
  writeFileSync(join(dir, 'menu.json'), '{"items":[]}');
  writeFileSync(join(dir, 'large.txt'), 'x'.repeat(64 * 1024 + 1));
  writeFileSync(join(dir, 'gateway.yaml'), gateway);
  writeFileSync(join(dir, 'routes.d', 'orders.yaml'), `pools:\n${pools}\nroutes: ${routes}\n`);
  const { config, problems } = await load(dir, { env: { ZONE: 'eu-1' } });
  return { config, problems: problems.map(formatProblem) };
}

/** Of a pool with two endpoints and these keys, from line 4 on. */
const withKeys = (keys: string) => loaded(`  orders:\n    ${TWO}\n    ${keys}`);

describe('failover', () => {
  it('is said with few words', async () => {
    const endpoints = '[{ url: http://10.0.0.1, zone: eu-1 }, { url: http://10.0.0.2, priority: 1 }]';
    const { config, problems } = await loaded(
      `  orders: { endpoints: ${endpoints}, slowStart: 30s, fallback: { status: 503, body: { file: menu.json } } }`,
      { gateway: 'zone: ${ZONE}' },
    );
    expect(problems).toEqual([]);
    expect(config!.gateway.zone).toBe('eu-1');
    expect(config!.pools[0]).toMatchObject({
      endpoints: [
        { url: 'http://10.0.0.1', priority: 0, backup: false, zone: 'eu-1' },
        { url: 'http://10.0.0.2', priority: 1, backup: false },
      ],
      overprovisioning: 1.4,
      zones: 'prefer',
      slowStart: { for: 30_000, aggression: 1, min: 0.1 },
      fallback: { answer: { status: 503, body: '{"items":[]}', headers: {} }, on: ['unavailable', 'connect'] },
    });
  });

  it('takes slow starts in whole', async () => {
    const { config } = await withKeys('slowStart: { for: 1m, aggression: 2, min: 5% }');
    expect(config!.pools[0]!.slowStart).toEqual({ for: 60_000, aggression: 2, min: 0.05 });
  });

  it('counts the pool of a fallback as used, and follows a chain', async () => {
    const { problems } = await loaded(
      `  orders: { ${TWO}, fallback: { pool: second } }\n  second: { ${TWO}, fallback: { pool: third } }\n  third: { ${TWO} }`,
    );
    expect(problems).toEqual([]);
  });

  it.each([
    ['slowStart: 0s', 'routes.d/orders.yaml:4:16: error: expected a duration longer than 0 — leave slowStart out'],
    [
      'slowStart: { for: 10s, min: 0% }',
      '4:33: error: with 0% it would never begin — expected more than 0% and at most 100%',
    ],
    ['slowStart: { for: 10s, min: 101% }', '4:33: error: no share is greater than 100%'],
    ['slowStart: { for: 10s, aggression: 0 }', '4:40:'],
    ['overprovisioning: 0.5', '4:23:'],
    ['zones: local', '4:12: error: expected prefer or ignore'],
    ['fallback: { pool: order }', "4:23: error: no pool is named 'order' — did you mean 'orders'?"],
    ['fallback: { pool: orders }', '4:23: error: the fallbacks go round: orders → orders'],
    [
      'fallback: other',
      "4:15: error: expected an object with pool or an object with status, got 'other' — write { pool: other }?",
    ],
    ['fallback: { body: none }', "4:5: error: missing key 'status'"],
    ['fallback: { status: 200, pool: other }', "4:17: error: unknown key 'status'"],
    ['fallback: { status: 204, body: x }', '4:36: error: an answer with 204 has no body'],
    ['fallback: { status: 200, body: { file: none.json } }', '4:44: error: '],
    ['fallback: { status: 200, body: { file: large.txt } }', '4:36: error: a fallback’s body is at most 64 KiB'],
    ['fallback: { status: 200, headers: { content-length: "5" } }', "field 'content-length' belongs to one connection"],
    ['fallback: { status: 200, headers: { "x y": "5" } }', "'x y' is not a field name"],
    ['fallback: { status: 200, headers: { x: "a\\r\\nb" } }', "field 'x': a value holds visible ASCII"],
    ['fallback: { pool: orders, on: [] }', '4:'],
    ['fallback: { pool: orders, on: [always] }', '4:'],
  ])('does not take %s', async (keys, problem) => {
    const { config, problems } = await withKeys(keys);
    expect(problems.join('\n')).toContain(problem);
    expect(config).toBeUndefined();
  });

  it('does not take fallbacks that go round, and names all on the way', async () => {
    const { problems } = await loaded(
      `  orders: { ${TWO}, fallback: { pool: second } }\n  second: { ${TWO}, fallback: { pool: third } }\n  third: { ${TWO}, fallback: { pool: second } }`,
    );
    expect(problems).toHaveLength(2);
    expect(problems[0]).toContain('the fallbacks go round: second → third → second');
    expect(problems[1]).toContain('the fallbacks go round: third → second → third');
  });

  it('does not take a backup with a priority', async () => {
    const { problems } = await loaded(
      '  orders: { endpoints: [http://10.0.0.1, { url: http://10.0.0.2, backup: true, priority: 1 }] }',
    );
    expect(problems).toEqual([
      expect.stringContaining("'priority' beside 'backup: true': a backup comes behind all priorities") as string,
    ]);
  });

  it.each([
    [`  orders:\n    ${TWO}\n    overprovisioning: 2`, "'overprovisioning' does nothing"],
    [`  orders:\n    ${TWO}\n    zones: prefer`, "'zones: prefer' does nothing: the gateway does not know where it is"],
    [
      '  orders: { endpoints: [http://10.0.0.1, { url: http://10.0.0.2, zone: eu-1 }] }',
      "2:72: warning: the zones of pool 'orders' do nothing: the gateway does not know where it is — say zone: … in gateway.yaml, or zones: ignore",
    ],
    [
      '  orders: { endpoints: [http://10.0.0.1], slowStart: 1s }',
      'has one endpoint, which has to take everything at once',
    ],
    ['  orders: { endpoints: [{ url: http://10.0.0.1, backup: true }] }', "all endpoints of pool 'orders' are backups"],
  ])('warns of what does nothing: %s', async (pools, warning) => {
    const { config, problems } = await loaded(pools);
    expect(config).toBeDefined();
    expect(problems).toEqual([expect.stringContaining(warning) as string]);
  });
});
