/**
 * A decision record in words, as the log and the admin server have it. The data thread tells it: it knows the names, and many
 * are told at once, when the code is warm. Why an endpoint is unhealthy, ejected or has its breaker open is in the history that
 * the control plane keeps; that is left as a question (control/decision-view.ts). Most records have none and travel as text.
 */
import type { AttemptRecord, PoolStanding } from '../../upstream/attempt-record.ts';
import type { Endpoint } from '../../upstream/pool.ts';
import { NEEDS_HISTORY, reasonsOf, reasonText } from '../../upstream/reasons.ts';
import type { SessionTrace } from '../../upstream/sticky/sessions.ts';
import type { PoolCause } from './pool-cause.ts';
import type { Decision, RecordCause } from './record.ts';

/** What is known, or what is to be asked. */
export type Why = string | WhyQuestion;

/** Why does this speak against that endpoint, at that moment? */
export interface WhyQuestion {
  readonly row: number;
  /** Bits of AGAINST. */
  readonly against: number;
  readonly probeInMs: number | undefined;
  /** Milliseconds since the epoch. */
  readonly at: number;
}

export interface ToldDecision<Reason = string> {
  readonly requestId: string;
  readonly recorded: readonly RecordCause[];
  readonly method: string;
  readonly host: string;
  readonly path: string;
  readonly route: string;
  readonly pool?: string | undefined;
  readonly poolBy?: PoolCause | undefined;
  readonly fallback?: Decision['fallback'];
  /** 0: there was no answer. */
  readonly status: number;
  /** Where the gateway itself had to answer. */
  readonly error?: string | undefined;
  readonly reason?: string | undefined;
  readonly durationMs: number;
  readonly clientLeft?: true | undefined;
  readonly cache?: string | undefined;
  readonly attempts: readonly ToldAttempt<Reason>[];
  /** Before the last of them. */
  readonly moreAttempts?: number | undefined;
  /** Of a request that was recorded only because it failed: as its pool was at the end. */
  readonly atEnd?: ToldStanding<Reason> | undefined;
}

export interface ToldAttempt<Reason = string> {
  readonly pool: string;
  /** null: none could be picked. */
  readonly endpoint: string | null;
  /** Of a pool that is sticky. */
  readonly session?: ToldSession<Reason> | undefined;
  /** Since the request began. */
  readonly atMs: number;
  /** `status 200`, `connection_refused`, `cancelled`, `not over`. */
  readonly outcome: string;
  /** To the head of the answer, or to the failure. */
  readonly ms?: number | undefined;
  readonly retriedAfterMs?: number | undefined;
  /** It was late: another was begun beside it. */
  readonly hedgedAfterMs?: number | undefined;
  readonly notRetried?: string | undefined;
  /** The standing of its pool, where it was recorded at the pick. */
  readonly considered?: readonly ToldConsidered<Reason>[] | undefined;
  readonly passedOver?: readonly ToldPassedOver<Reason>[] | undefined;
  readonly moreConsidered?: number | undefined;
  readonly morePassedOver?: number | undefined;
}

export interface ToldSession<Reason = string> {
  /** `cookie:aya-orders`, as `/pools` has it. */
  readonly by: string;
  /** `stuck`: it led there; else why it did not, in the words of `aya_sticky_requests_total`, or `tried`. */
  readonly became: SessionTrace['became'];
  /** Where it is, or was before this. */
  readonly endpoint?: string | undefined;
  /** Why that endpoint was passed over, where somebody looked. */
  readonly why?: Reason | undefined;
}

export interface ToldStanding<Reason = string> {
  readonly considered: readonly ToldConsidered<Reason>[];
  readonly passedOver: readonly ToldPassedOver<Reason>[];
  readonly moreConsidered?: number | undefined;
  readonly morePassedOver?: number | undefined;
}

export interface ToldConsidered<Reason = string> {
  readonly endpoint: string;
  readonly chosen?: true | undefined;
  /** What the balancer compared: the lowest is picked. Absent: it compares nothing. */
  readonly score?: number | undefined;
  readonly inFlight: number;
  readonly averageMs: number;
  readonly weight: number;
  /** What speaks against it, and did not count: the pool is in panic, or the request is a probe. */
  readonly although?: Reason | undefined;
}

export interface ToldPassedOver<Reason = string> {
  readonly endpoint: string;
  /** The words of `/pools` and of metrics. */
  readonly reason: string;
  readonly why: Reason;
}

/** It asks something of the control plane. */
export function needsHistory({ attempts, standing }: Pick<Decision, 'attempts' | 'standing'>): boolean {
  if (standing?.needsHistory === true) return true;
  for (const attempt of attempts) if (attempt.standing?.needsHistory === true) return true;
  return false;
}

/** Undefined members are left out where it is written. */
export function tell(decision: Decision): ToldDecision<Why> {
  const { at, durationMs, moreAttempts, standing } = decision;
  return {
    requestId: decision.requestId,
    recorded: decision.causes,
    method: decision.method,
    host: decision.host,
    path: decision.path,
    route: decision.route,
    pool: decision.pool,
    poolBy: decision.poolBy,
    fallback: decision.fallback,
    status: decision.status,
    error: decision.error,
    reason: decision.reason,
    durationMs: rounded(durationMs),
    clientLeft: decision.clientLeft ? true : undefined,
    cache: decision.cache === '' ? undefined : decision.cache,
    attempts: decision.attempts.map((attempt) => tellAttempt(attempt, at)),
    moreAttempts: moreAttempts > 0 ? moreAttempts : undefined,
    atEnd: standing && tellStanding(standing, undefined, at + durationMs),
  };
}

function tellAttempt(attempt: AttemptRecord, began: number): ToldAttempt<Why> {
  const { endpoint, session, atMs, standing, ms, retryAfterMs, hedgedAfterMs } = attempt;
  const stood = standing && tellStanding(standing, endpoint, began + atMs);
  return {
    pool: attempt.pool,
    endpoint: endpoint === undefined ? null : endpoint.url,
    session: session && tellSession(session, stood),
    atMs: rounded(atMs),
    outcome: outcomeOf(attempt),
    ms: ms && rounded(ms),
    retriedAfterMs: retryAfterMs && rounded(retryAfterMs),
    hedgedAfterMs: hedgedAfterMs && rounded(hedgedAfterMs),
    notRetried: attempt.notRetried,
    considered: stood?.considered,
    passedOver: stood?.passedOver,
    moreConsidered: stood?.moreConsidered,
    morePassedOver: stood?.morePassedOver,
  };
}

function outcomeOf({ fault, status, cancelled }: AttemptRecord): string {
  if (fault !== '') return fault;
  if (status !== 0) return `status ${status}`;
  return cancelled ? 'cancelled' : 'not over';
}

function tellSession({ by, became, endpoint }: SessionTrace, stood: ToldStanding<Why> | undefined): ToldSession<Why> {
  const url = endpoint?.url;
  return { by, became, endpoint: url, why: stood?.passedOver.find((passed) => passed.endpoint === url)?.why };
}

/** @param at milliseconds since the epoch. */
function tellStanding(standing: PoolStanding, chosen: Endpoint | undefined, at: number): ToldStanding<Why> {
  const { moreConsidered, morePassedOver } = standing;
  return {
    considered: standing.considered.map(({ endpoint, cost, inFlight, averageMs, weight, against }) => ({
      endpoint: endpoint.url,
      chosen: endpoint === chosen ? true : undefined,
      score: cost && rounded(cost),
      inFlight,
      averageMs: rounded(averageMs),
      weight: rounded(weight),
      although: against === 0 ? undefined : tellWhy(endpoint.row, against, undefined, at),
    })),
    passedOver: standing.passedOver.map(({ endpoint, against, probeInMs }) => ({
      endpoint: endpoint.url,
      reason: reasonsOf(against)
        .map(([, word]) => word)
        .join(', '),
      why: tellWhy(endpoint.row, against, probeInMs, at),
    })),
    moreConsidered: moreConsidered > 0 ? moreConsidered : undefined,
    morePassedOver: morePassedOver > 0 ? morePassedOver : undefined,
  };
}

function tellWhy(row: number, against: number, probeInMs: number | undefined, at: number): Why {
  if ((against & NEEDS_HISTORY) !== 0) return { row, against, probeInMs, at };
  return reasonsOf(against)
    .map(([, word]) => reasonText(word))
    .join('; ');
}

const rounded = (value: number) => Math.round(value * 1000) / 1000;
