/**
 * Tries a request again when that cannot do harm: on another endpoint, within a budget, in the time that its caller has,
 * never once the client has seen part of an answer. On for every route; `retry: false` turns it off.
 */
import { definePlugin } from '../../src/extension.ts';
import { faultsOf } from './check.ts';
import { RetryPolicy, WITHHELD } from './policy.ts';
import type { RetryConfig } from './schema.ts';
import { Tries } from './tries.ts';

const WITHHELD_TOTAL = 'aya_retries_withheld_total';

export default definePlugin<RetryConfig | false>({
  name: 'retry',
  phase: 'retry',
  counters: [
    {
      name: WITHHELD_TOTAL,
      help: 'Failures that are tried again, and were not, by why.',
      label: 'reason',
      values: WITHHELD,
    },
  ],

  check: (config, route) => (config === false ? [] : faultsOf(config, route.timeout)),

  create(config, { clock, random, counter }) {
    if (config === false || config.attempts === 0) return {};
    const policy = new RetryPolicy(config, random);
    const counters = new Map(WITHHELD.map((reason) => [reason, counter(WITHHELD_TOTAL, reason)]));
    const shared = {
      policy,
      clock,
      onWithheld: (reason: (typeof WITHHELD)[number]) => counters.get(reason)!.increment(),
    };
    return { layer: (next) => (request, handler) => new Tries(shared, next, request, handler).start() };
  },
});
