/**
 * Asks another endpoint as well when an answer is late, and takes the first good one (Dean & Barroso, The Tail at Scale):
 * what one slow endpoint in many does to the slowest requests is gone for a few per cent of load, out of the same budget as
 * retries. Only where twice is the same as once.
 */
import type { RouteConfig } from '../../src/config/schema.ts';
import { definePlugin } from '../../src/extension.ts';
import { isIdempotent } from '../../src/idempotent.ts';
import { faultsOf } from './check.ts';
import { mayRace, Race, WITHHELD } from './race.ts';
import type { HedgeConfig } from './schema.ts';
import { WaitingLine } from './waiting-line.ts';

const HEDGES_TOTAL = 'aya_hedges_total';
const WITHHELD_TOTAL = 'aya_hedges_withheld_total';

/** Where the route has no retries, which say it for both. */
const USUAL_SHARE = 0.2;

export default definePlugin<HedgeConfig | false>({
  name: 'hedge',
  phase: 'retry',
  counters: [
    {
      name: HEDGES_TOTAL,
      help: 'Tries that were made beside a late one, by whether they gave the answer.',
      label: 'result',
      values: ['won', 'lost'],
    },
    {
      name: WITHHELD_TOTAL,
      help: 'Late tries that no other was made beside, by why.',
      label: 'reason',
      values: WITHHELD,
    },
  ],

  check: (config, route) => (config === false ? [] : faultsOf(config, route)),

  create(config, { route, clock, counter }) {
    if (config === false) return {};
    const retries = retriesOf(route);
    const withheld = new Map(WITHHELD.map((reason) => [reason, counter(WITHHELD_TOTAL, reason)]));
    const shared = {
      afterMs: config.after === 'p95' ? undefined : config.after,
      most: config.max,
      share: retries?.budget ?? USUAL_SHARE,
      clock,
      line: new WaitingLine(clock),
      won: counter(HEDGES_TOTAL, 'won'),
      lost: counter(HEDGES_TOTAL, 'lost'),
      onWithheld: (reason: (typeof WITHHELD)[number]) => withheld.get(reason)!.increment(),
    };
    // Where there are retries, they have counted the request.
    const counts = retries === undefined;
    return {
      layer: (next) => (request, handler) => {
        if (counts) request.pool.budget.recordRequest(request.exchange.startedAt);
        if (isIdempotent(request.method) && mayRace(request)) new Race(shared, next, request, handler).start();
        else next(request, handler);
      },
    };
  },
});

/** Both draw on one budget, so one share holds for both. */
function retriesOf(route: RouteConfig): { readonly budget: number } | undefined {
  const { retry } = route as { retry?: false | { readonly attempts: number; readonly budget: number } };
  return retry === undefined || retry === false || retry.attempts === 0 ? undefined : retry;
}
