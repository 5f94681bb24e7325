/**
 * Tries a request again when that cannot do harm: on another endpoint, within a budget, never once the client has seen
 * part of an answer. On for every route; `retry: false` turns it off.
 */
import { definePlugin } from '../../src/extension.ts';
import { RetryPolicy } from './policy.ts';
import type { RetryConfig } from './schema.ts';
import { Tries } from './tries.ts';

export default definePlugin<RetryConfig | false>({
  name: 'retry',
  phase: 'retry',
  check(config) {
    if (config === false || config.backoff.base <= config.backoff.max) return [];
    return [{ path: ['backoff', 'base'], message: 'is longer than backoff.max' }];
  },

  create(config, { clock, random }) {
    if (config === false || config.attempts === 0) return {};
    const policy = new RetryPolicy(config, random);
    return { layer: (next) => (request, handler) => new Tries(policy, clock, next, request, handler).start() };
  },
});
