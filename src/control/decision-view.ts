/**
 * A decision record in words: rows become endpoints, bits become reasons, and beside each stands what the control plane knows
 * of it: which check failed, until when it is ejected, when its breaker is probed. Put together when the record comes, so that
 * what happens to an endpoint later changes nothing in it.
 */
import type { AttemptMessage, DecisionMessage, RecordCause } from '../data/decisions/record.ts';
import type { PoolCause } from '../data/decisions/pool-cause.ts';
import type { ConsideredEndpoint, PassedOverEndpoint, PoolStanding } from '../upstream/attempt-record.ts';
import { AGAINST, BREAKER_WORDS, isBreakerWord, reasonsOf, reasonText } from '../upstream/reasons.ts';
import { describeSticky } from '../upstream/sticky/describe.ts';
import type { SessionTrace } from '../upstream/sticky/sessions.ts';
import type { EndpointRegistry, RegisteredEndpoint } from './endpoint-registry.ts';
import type { Health } from './health/health.ts';
import type { StatusChange } from './view.ts';

/** As the admin server shows it and the log has it. */
export interface DecisionView {
  readonly requestId: string;
  readonly time: string;
  readonly thread: number;
  readonly recorded: readonly RecordCause[];
  readonly method: string;
  readonly host: string;
  readonly path: string;
  readonly route: string;
  readonly pool?: string | undefined;
  readonly poolBy?: PoolCause | undefined;
  readonly fallback?: DecisionMessage['fallback'];
  /** 0: there was no answer. */
  readonly status: number;
  /** Where the gateway itself had to answer. */
  readonly error?: string | undefined;
  readonly reason?: string | undefined;
  readonly durationMs: number;
  readonly clientLeft?: true;
  readonly cache?: string;
  readonly attempts: readonly AttemptView[];
  /** Before the last of them. */
  readonly moreAttempts?: number;
  /** Of a request that was recorded only because it failed: as its pool was at the end. */
  readonly atEnd?: StandingView;
}

export interface AttemptView extends Partial<StandingView> {
  readonly pool: string;
  /** null: none could be picked. */
  readonly endpoint: string | null;
  /** Of a pool that is sticky. */
  readonly session?: SessionView;
  /** Since the request began. */
  readonly atMs: number;
  /** `status 200`, `connection_refused`, `cancelled`, `not over`. */
  readonly outcome: string;
  /** To the head of the answer, or to the failure. */
  readonly ms?: number;
  readonly retriedAfterMs?: number;
  /** It was late: another was begun beside it. */
  readonly hedgedAfterMs?: number;
  readonly notRetried?: string;
}

export interface SessionView {
  /** `cookie:aya-orders`, as `/pools` has it. */
  readonly by: string;
  /** `stuck`: it led there; else why it did not, in the words of `aya_sticky_requests_total`, or `tried`. */
  readonly became: SessionTrace['became'];
  /** Where it is, or was before this. */
  readonly endpoint?: string;
  /** Why that endpoint was passed over, where somebody looked. */
  readonly why?: string;
}

export interface StandingView {
  readonly considered: readonly ConsideredView[];
  readonly passedOver: readonly PassedOverView[];
  readonly moreConsidered?: number;
  readonly morePassedOver?: number;
}

export interface ConsideredView {
  readonly endpoint: string;
  readonly chosen?: true;
  /** What the balancer compared: the lowest is picked. Absent: it compares nothing. */
  readonly score?: number;
  readonly inFlight: number;
  readonly averageMs: number;
  readonly weight: number;
  /** What speaks against it, and did not count: the pool is in panic, or the request is a probe. */
  readonly although?: string;
}

export interface PassedOverView {
  readonly endpoint: string;
  /** The words of `/pools` and of metrics. */
  readonly reason: string;
  readonly why: string;
}

export interface DecisionWords {
  readonly registry: EndpointRegistry;
  readonly health: Pick<Health, 'passive'>;
}

/** A thread tells of a pick a moment after the change that it saw. */
const SLACK_MS = 50;

export function viewDecision(message: DecisionMessage, thread: number, words: DecisionWords): DecisionView {
  const { causes, requestId, at, method, host, path, route, pool, poolBy, fallback, status, error, reason } = message;
  const { attempts, moreAttempts, standing } = message;
  return {
    requestId,
    time: time(at),
    thread,
    recorded: causes,
    method,
    host,
    path,
    route,
    pool,
    poolBy,
    fallback,
    status,
    error,
    reason,
    durationMs: rounded(message.durationMs),
    ...(message.clientLeft && { clientLeft: true }),
    ...(message.cache !== '' && { cache: message.cache }),
    attempts: attempts.map((attempt) => viewAttempt(attempt, at, words)),
    ...(moreAttempts > 0 && { moreAttempts }),
    ...(standing !== undefined && { atEnd: viewStanding(standing, undefined, at + message.durationMs, words) }),
  };
}

function viewAttempt(attempt: AttemptMessage, began: number, words: DecisionWords): AttemptView {
  const { pool, row, session, atMs, standing, ms, retryAfterMs, hedgedAfterMs, notRetried } = attempt;
  const stood = standing && viewStanding(standing, row, began + atMs, words);
  return {
    pool,
    endpoint: row === undefined ? null : nameOf(row, words),
    ...(session !== undefined && { session: viewSession(session, pool, stood, words) }),
    atMs: rounded(atMs),
    outcome: outcomeOf(attempt),
    ...(ms !== undefined && { ms: rounded(ms) }),
    ...(retryAfterMs !== undefined && { retriedAfterMs: rounded(retryAfterMs) }),
    ...(hedgedAfterMs !== undefined && { hedgedAfterMs: rounded(hedgedAfterMs) }),
    ...(notRetried !== undefined && { notRetried }),
    ...stood,
  };
}

function outcomeOf({ fault, status, cancelled }: AttemptMessage): string {
  if (fault !== '') return fault;
  if (status !== 0) return `status ${status}`;
  return cancelled ? 'cancelled' : 'not over';
}

function viewSession(
  { became, row }: SessionTrace,
  pool: string,
  stood: StandingView | undefined,
  words: DecisionWords,
): SessionView {
  const sticky = words.registry.pools.get(pool)?.[0]?.pool.sticky;
  const endpoint = row === undefined ? undefined : nameOf(row, words);
  const why = stood?.passedOver.find((passed) => passed.endpoint === endpoint)?.why;
  return {
    by: sticky === undefined ? 'nothing any more' : describeSticky(sticky),
    became,
    ...(endpoint !== undefined && { endpoint }),
    ...(why !== undefined && { why }),
  };
}

function viewStanding(
  { considered, passedOver, moreConsidered, morePassedOver }: PoolStanding,
  chosen: number | undefined,
  at: number,
  words: DecisionWords,
): StandingView {
  return {
    considered: considered.map((endpoint) => viewConsidered(endpoint, chosen, at, words)),
    passedOver: passedOver.map((endpoint) => viewPassedOver(endpoint, at, words)),
    ...(moreConsidered > 0 && { moreConsidered }),
    ...(morePassedOver > 0 && { morePassedOver }),
  };
}

function viewConsidered(
  { row, cost, inFlight, averageMs, weight, against }: ConsideredEndpoint,
  chosen: number | undefined,
  at: number,
  words: DecisionWords,
): ConsideredView {
  return {
    endpoint: nameOf(row, words),
    ...(row === chosen && { chosen: true }),
    ...(cost !== undefined && { score: rounded(cost) }),
    inFlight,
    averageMs: rounded(averageMs),
    weight: rounded(weight),
    ...(against !== 0 && { although: whyOf(row, against, undefined, at, words) }),
  };
}

function viewPassedOver(
  { row, against, probeInMs }: PassedOverEndpoint,
  at: number,
  words: DecisionWords,
): PassedOverView {
  const reason = reasonsOf(against)
    .map(([, word]) => word)
    .join(', ');
  return { endpoint: nameOf(row, words), reason, why: whyOf(row, against, probeInMs, at, words) };
}

function nameOf(row: number, { registry }: DecisionWords): string {
  return registry.at(row)?.url ?? 'an endpoint that is gone';
}

// --- reasons, with what is known beside them ---

function whyOf(
  row: number,
  against: number,
  probeInMs: number | undefined,
  at: number,
  { registry, health }: DecisionWords,
): string {
  const endpoint = registry.at(row);
  const told = reasonsOf(against).map(([bit, word]) => {
    const change = endpoint && changeBehind(endpoint.history, bit, at);
    if (change === undefined && bit !== AGAINST.breakerOpen) return reasonText(word);
    const because = change === undefined ? '' : `: ${change.reason.replace(`${word}: `, '')}`;
    return `${word}${whenOf(bit, probeInMs, at, change, endpoint, health)}${because}`;
  });
  return told.join('; ');
}

/** The moment that matters: when it may be over, where that is known, or else since when it is so. */
function whenOf(
  bit: number,
  probeInMs: number | undefined,
  at: number,
  change: StatusChange | undefined,
  endpoint: RegisteredEndpoint | undefined,
  { passive }: DecisionWords['health'],
): string {
  if (bit === AGAINST.breakerOpen && probeInMs !== undefined) return `, probe at ${time(at + probeInMs)}`;
  const until = bit === AGAINST.ejected && endpoint !== undefined ? passive.ejectedUntil(endpoint) : undefined;
  if (until !== undefined) return ` until ${time(until)}`;
  return change === undefined ? '' : ` since ${time(change.since)}`;
}

/** The change that brought the reason, the latest before that moment; undefined: it is forgotten, or has none. */
function changeBehind(history: readonly StatusChange[], bit: number, at: number): StatusChange | undefined {
  const breaker = BREAKER_WORDS.get(bit);
  return history.findLast((change, index) => {
    if (change.since > at + SLACK_MS) return false;
    if (breaker !== undefined) return change.reason.startsWith(`${breaker}: `);
    const before = index === 0 ? 0 : history[index - 1]!.status;
    return (change.status & bit) !== 0 && (before & bit) === 0 && !isBreakerWord(change.reason);
  });
}

const rounded = (value: number) => Math.round(value * 1000) / 1000;

const time = (wallMs: number) => new Date(wallMs).toISOString();
