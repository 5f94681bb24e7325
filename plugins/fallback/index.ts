/**
 * Graceful degradation: what serves when a pool cannot; see README.md. Pools say it (`pools.NAME.fallback`), and it is on
 * all routes that may lead to one of them.
 */
import type { PoolConfig } from '../../src/config/schema.ts';
import { definePlugin } from '../../src/extension.ts';
import { FallenBack } from './fallen-back.ts';
import { compileResort, type Resorts } from './resort.ts';

const FALLBACKS = 'aya_fallbacks_total';

export default definePlugin<false | undefined>({
  name: 'fallback',
  phase: 'fallback',
  implied: ({ fallback, pool, redirect }, { pools }) => {
    if (fallback === false || redirect !== undefined) return false;
    // Where a plugin chooses the pool, it may be any.
    return pools.some((one) => one.fallback !== undefined && (pool === undefined || one.name === pool));
  },
  counters: [
    {
      name: FALLBACKS,
      help: 'Requests that their pool could not serve, by what served instead: another pool, or an answer of the gateway’s own.',
      label: 'to',
      values: ['pool', 'answer'],
    },
  ],
  create(options, { config, pool, counter }) {
    if (options === false) return {};
    const counters = { pool: counter(FALLBACKS, 'pool'), answer: counter(FALLBACKS, 'answer') };
    const resorts: Resorts = new Map(
      config.pools
        .filter((one): one is PoolConfig & Required<Pick<PoolConfig, 'fallback'>> => one.fallback !== undefined)
        .map(({ name, fallback }) => [name, compileResort(fallback, pool, counters)]),
    );
    return { layer: (next) => (request, handler) => new FallenBack(resorts, next, request, handler).start() };
  },
});
