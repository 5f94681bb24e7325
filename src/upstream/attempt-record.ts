/**
 * One attempt, as the decision record of its exchange has it: who stood to be picked, who was, and how that went. At the pick,
 * where one request of a hundred comes by and finds no cache warm, it is numbers; the words come when many are told at once
 * (data/decisions/told.ts).
 */
import type { UpstreamRequest } from '../data/dispatch.ts';
import { BREAKER, stateOf } from '../memory/breaker-table.ts';
import type { EndpointTable } from '../memory/endpoint-table.ts';
import { levelOf } from './candidates.ts';
import { isFull } from './load/agent-limits.ts';
import type { Endpoint, Pool } from './pool.ts';
import { isBarred, NEEDS_HISTORY, reasonsAgainst } from './reasons.ts';
import type { SessionTrace } from './sticky/sessions.ts';

/** Of those considered, and of those passed over: a pool may have hundreds. */
export const MOST_LISTED = 16;

export interface ConsideredEndpoint {
  readonly endpoint: Endpoint;
  readonly inFlight: number;
  readonly averageMs: number;
  readonly weight: number;
  /** What the balancer compared, the lowest is picked; undefined: this one compares nothing. */
  readonly cost: number | undefined;
  /** Bits of AGAINST that do not keep it from being picked: the pool is in panic. */
  readonly against: number;
}

export interface PassedOverEndpoint {
  readonly endpoint: Endpoint;
  /** Bits of AGAINST. */
  readonly against: number;
  /** Until its breaker is probed; undefined: it is not open. */
  readonly probeInMs: number | undefined;
}

/** Who of a pool could be picked at one moment, and who not. */
export interface PoolStanding {
  readonly considered: readonly ConsideredEndpoint[];
  readonly passedOver: readonly PassedOverEndpoint[];
  /** Of each list, those that found no place in it. */
  readonly moreConsidered: number;
  readonly morePassedOver: number;
  /** The control plane alone can say why one of them is as it is. */
  readonly needsHistory: boolean;
}

export interface AttemptRecord {
  readonly pool: string;
  /** Undefined: none could be picked. */
  readonly endpoint: Endpoint | undefined;
  /** Undefined: the pool is not sticky. */
  readonly session: SessionTrace | undefined;
  /** Since the exchange began. */
  readonly atMs: number;
  /** Of the moment of the pick; undefined where nobody looked then. */
  readonly standing: PoolStanding | undefined;
  /** Of the answer; 0: there was none. */
  status: number;
  /** `connection_refused`, `grpc status UNAVAILABLE`; empty: there was an answer, or there is no outcome yet. */
  fault: string;
  /** To the head of the answer, or to the failure; undefined: it is not over. */
  ms: number | undefined;
  /** The client left, or another attempt was quicker. */
  cancelled: boolean;
  /** It was followed by a further one, after this wait. */
  retryAfterMs: number | undefined;
  /** Another was begun beside it after this wait: it was late. */
  hedgedAfterMs: number | undefined;
  /** Why none followed it, although it failed. */
  notRetried: string | undefined;
}

export function attemptRecord(
  { pool, bond, tried }: UpstreamRequest,
  endpoint: Endpoint | undefined,
  atMs: number,
  standing: PoolStanding | undefined,
): AttemptRecord {
  // A fallback to a pool that is not sticky leaves the bond with the first one.
  const session = bond?.stickiness === pool.sticky ? bond?.stickiness.trace(bond, endpoint, tried) : undefined;
  return {
    pool: pool.name,
    endpoint,
    session,
    atMs,
    standing,
    status: 0,
    fault: '',
    ms: undefined,
    cancelled: false,
    retryAfterMs: undefined,
    hedgedAfterMs: undefined,
    notRetried: undefined,
  };
}

/** @param chosen is listed in any case. */
export function standingOf(
  pool: Pool,
  table: EndpointTable,
  chosen: Endpoint | undefined,
  tried: readonly Endpoint[] | undefined,
): PoolStanding {
  const { candidates } = pool;
  // Mostly all of them are, and nothing needs to be looked up.
  const some = candidates.length === pool.endpoints.length ? undefined : electorateOf(candidates);
  const considered: ConsideredEndpoint[] = [];
  const passedOver: PassedOverEndpoint[] = [];
  let moreConsidered = 0;
  let morePassedOver = 0;
  let listedAgainst = 0;
  for (let at = chosen === undefined ? 0 : -1; at < pool.endpoints.length; at++) {
    const endpoint = at === -1 ? chosen! : pool.endpoints[at]!;
    if (endpoint === chosen && at !== -1) continue;
    const { row, breaker, weight } = endpoint;
    const word = breaker === undefined ? BREAKER.closed : stateOf(table.breakers.word(row));
    const isCandidate = some === undefined || some.members.has(endpoint);
    const against = reasonsAgainst({
      status: table.status(row),
      breaker: word,
      isFull: isFull(endpoint, table) || pool.gate?.isFull(endpoint) === true,
      weight,
      writtenWeight: endpoint.writtenWeight,
      backup: endpoint.backup,
      isCandidate,
      isTried: tried?.includes(endpoint) === true,
      levelServes: some === undefined || some.levels.has(levelOf(endpoint)),
      isWarming: pool.isWarming && isCandidate && pool.placeOf(endpoint).weight < weight,
    });
    if (endpoint === chosen || (isCandidate && !isBarred(against))) {
      if (considered.length === MOST_LISTED) {
        moreConsidered += 1;
        continue;
      }
      const place = pool.placeOf(endpoint);
      considered.push({
        endpoint,
        inFlight: table.inFlight(row),
        averageMs: table.averageMs(row),
        weight: place.weight,
        cost: place.cost,
        against,
      });
    } else if (passedOver.length === MOST_LISTED) {
      morePassedOver += 1;
      continue;
    } else {
      const probeInMs = word === BREAKER.open ? Math.max(0, breaker!.waitMs) : undefined;
      passedOver.push({ endpoint, against, probeInMs });
    }
    listedAgainst |= against;
  }
  const needsHistory = (listedAgainst & NEEDS_HISTORY) !== 0;
  return { considered, passedOver, moreConsidered, morePassedOver, needsHistory };
}

interface Electorate {
  readonly members: ReadonlySet<Endpoint>;
  /** Those that they are of. */
  readonly levels: ReadonlySet<number>;
}

/** A pool has the same candidates, in the same array, until the status of one moves. */
const electorates = new WeakMap<readonly Endpoint[], Electorate>();

function electorateOf(candidates: readonly Endpoint[]): Electorate {
  let electorate = electorates.get(candidates);
  if (electorate === undefined) {
    electorate = { members: new Set(candidates), levels: new Set(candidates.map(levelOf)) };
    electorates.set(candidates, electorate);
  }
  return electorate;
}
