/**
 * How a request stands with its limits, and the fields that tell: RateLimit and RateLimit-Policy
 * (draft-ietf-httpapi-ratelimit-headers-10, structured fields), and X-RateLimit-* for those who know only these.
 */
import type { Verdict } from '../../src/limits/limiter.ts';
import type { Charged, CompiledLimit } from './limit.ts';

export interface Standing {
  readonly limit: CompiledLimit;
  readonly charged: Charged;
  readonly remaining: number;
  readonly resetMs: number;
}

/** A copy: verdicts are reused. */
export function standingOf(limit: CompiledLimit, charged: Charged, { remaining, resetMs }: Verdict): Standing {
  return { limit, charged, remaining, resetMs };
}

export function tell(standings: readonly Standing[], fields: string[]): void {
  let policy = '';
  let state = '';
  let tightest: Standing | undefined;
  for (const standing of standings) {
    const { limit, charged, remaining, resetMs } = standing;
    if (limit.shows.draft) {
      const separator = policy === '' ? '' : ', ';
      policy += separator + charged.policy;
      state += `${separator}"${charged.label}";r=${remaining};t=${seconds(resetMs)}`;
    }
    if (limit.shows.legacy && (tightest === undefined || remaining < tightest.remaining)) tightest = standing;
  }
  if (policy !== '') fields.push('ratelimit-policy', policy, 'ratelimit', state);
  if (tightest === undefined) return;
  const { charged, remaining, resetMs } = tightest;
  fields.push(
    'x-ratelimit-limit',
    String(charged.limiter.spec.max),
    'x-ratelimit-remaining',
    String(remaining),
    'x-ratelimit-reset',
    String(seconds(resetMs)),
  );
}

/** Rounded up: who waits so long is not a moment early. */
export const seconds = (ms: number): number => Math.max(0, Math.ceil(ms / 1000));
