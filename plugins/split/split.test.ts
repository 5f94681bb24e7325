import { describe, expect, it } from 'vitest';
import type { RouteConfig } from '../../src/config/schema.ts';
import type { ResponseHandler, UpstreamRequest } from '../../src/data/dispatch.ts';
import type { GatewayError } from '../../src/errors.ts';
import type { PluginContext } from '../../src/extension.ts';
import type { Pool } from '../../src/upstream/pool.ts';
import split, { checkSplit } from './index.ts';
import type { SplitConfig } from './schema.ts';

interface Sent {
  readonly pool: string;
  readonly target: string;
  readonly fields: readonly string[];
  /** The answer's fields, as the client gets them. */
  readonly answer: readonly string[];
}

/** What a stack of this split alone sends on for each of `count` equal requests; errors in place of refused ones. */
function send(config: SplitConfig, count: number, path = '/shop/1', matchedPrefix = '/shop'): (Sent | GatewayError)[] {
  const context = { pool: (name: string) => ({ name }) as Pool } as PluginContext;
  const outcomes: (Sent | GatewayError)[] = [];
  let answer: string[] = [];
  const dispatch = split.create(config, context).layer!((request) => {
    outcomes.push({ pool: request.pool.name, target: request.target, fields: request.fields, answer });
  });
  for (let at = 0; at < count; at++) {
    answer = ['server', 'x'];
    const edited = answer;
    const exchange = {
      path,
      matchedPrefix,
      search: 'q=1',
      editResponse: (edit: (fields: string[]) => void) => edit(edited),
    };
    const request = { exchange, target: `${path}?q=1`, fields: ['host', 'a.test'] } as unknown as UpstreamRequest;
    dispatch(request, { onError: (error) => void outcomes.push(error) } as ResponseHandler);
  }
  return outcomes;
}

describe('a split', () => {
  it('chooses the pool by weight', () => {
    const sent = send(
      [
        { pool: 'a', weight: 3 },
        { pool: 'b', weight: 1 },
        { pool: 'c', weight: 0 },
      ],
      8,
    ) as Sent[];
    expect(sent.map((each) => each.pool).join('')).toBe('aabaaaba');
  });

  it('applies the filters of a branch to that branch alone', () => {
    const sent = send(
      [
        { pool: 'a', weight: 1 },
        {
          pool: 'b',
          weight: 1,
          rewrite: { prefix: '/v2', host: 'b.internal' },
          headers: { request: { set: { 'x-branch': 'b' } }, response: { set: { server: 'b' } } },
        },
      ],
      3,
    );
    const plain = { pool: 'a', target: '/shop/1?q=1', fields: ['host', 'a.test'], answer: ['server', 'x'] };
    const filtered = {
      pool: 'b',
      target: '/v2/1?q=1',
      fields: ['host', 'b.internal', 'x-branch', 'b'],
      answer: ['server', 'b'],
    };
    expect(sent).toEqual([plain, filtered, plain]);
  });

  it('refuses what a branch would rewrite to an unsafe path, and sends nothing', () => {
    const outcomes = send([{ pool: 'a', weight: 1, rewrite: { regex: '^/shop', to: '' } }], 1, '/shop../admin');
    expect(outcomes).toMatchObject([{ type: 'http_request_error', status: 400 }]);
  });

  it('names its pools, so that they count as used', () => {
    expect(
      split.pools?.([
        { pool: 'a', weight: 1 },
        { pool: 'b', weight: 0 },
      ]),
    ).toEqual(['a', 'b']);
  });
});

describe('a split that cannot be meant is named', () => {
  const route = { match: [{ path: '/x' }] } as RouteConfig;
  const pools = new Set(['a', 'b']);
  it.each<[SplitConfig, Partial<RouteConfig>, (string | number)[], string]>([
    [[{ pool: 'z', weight: 1 }], {}, [0, 'pool'], "no pool is named 'z'"],
    [[{ pool: 'a', weight: 0 }], {}, [], 'all weights are 0'],
    [[{ pool: 'a', weight: 1 }], { pool: 'b' }, [], 'a pool or a split, not both'],
    [
      [{ pool: 'a', weight: 1, headers: { request: { set: { host: 'x' } } } }],
      {},
      [0, 'headers', 'request', 'set', 'host'],
      'rewrite',
    ],
    [[{ pool: 'a', weight: 1, rewrite: { prefix: '/y' } }], {}, [0, 'rewrite', 'prefix'], 'needs a match on a prefix'],
  ])('%j', (config, more, path, message) => {
    const faults = checkSplit(config, { ...route, ...more }, pools);
    expect(faults.map((fault) => fault.path)).toEqual([path]);
    expect(faults[0]?.message).toContain(message);
  });
});
