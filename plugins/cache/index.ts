/** The shared cache (RFC 9111); see README.md. */
import { definePlugin } from '../../src/extension.ts';
import { Keys } from './key.ts';
import { RESULTS, type Asks } from './recall.ts';
import { OUTCOMES, RouteCache, type Outcome } from './route-cache.ts';
import type { CacheConfig } from './schema.ts';

const REQUESTS = 'aya_cache_requests_total';
const ASKS = 'aya_cache_store_asks_total';

export default definePlugin<CacheConfig>({
  name: 'cache',
  phase: 'cache',
  counters: [
    { name: REQUESTS, help: 'Requests by what the cache made of them.', label: 'outcome', values: OUTCOMES },
    {
      name: ASKS,
      help: 'Questions to the store that gateways share, where memory had no fresh answer.',
      label: 'result',
      values: RESULTS,
    },
  ],
  create(options, { route, cache: store, clock, counter }) {
    if (options === false) return {};
    const counters = Object.fromEntries(OUTCOMES.map((outcome) => [outcome, counter(REQUESTS, outcome)]));
    const asks = Object.fromEntries(RESULTS.map((result) => [result, counter(ASKS, result)])) as Asks;
    const parts = { options, store, clock, asks, keys: new Keys(route, options) };
    return {
      layer: (next) =>
        new RouteCache({ ...parts, counters: counters as Record<Outcome, ReturnType<typeof counter>>, next }).dispatch,
    };
  },
});
