/** Which endpoints of a pool the balancer would choose from now, which not, and why. */
import type { EndpointConfig, PoolConfig } from '../config/schema.ts';
import { ENDPOINT } from '../memory/endpoint-table.ts';
import {
  BACKUP,
  chooseCandidates,
  choiceRules,
  isAvailable,
  type Standing,
  type Tier,
} from '../upstream/candidates.ts';
import { reasonText } from '../upstream/reasons.ts';

/** What the admin server's `/pools` says of them. */
export interface LivePool {
  readonly name: string;
  /** Of the pool as a whole; absent: it has none. */
  readonly breaker?: LiveBreaker;
  /** Absent: it takes whatever comes. */
  readonly saturation?: LiveSaturation;
  readonly endpoints: readonly LiveEndpoint[];
}

export interface LiveEndpoint {
  readonly url: string;
  readonly weight?: number;
  readonly priority?: number;
  readonly backup?: boolean;
  readonly zone?: string;
  readonly slowStart?: { readonly share: number; readonly leftSeconds: number };
  /** `dns orders.internal`; absent when it is written. */
  readonly discoveredBy?: string;
  /** `available`, or why it is not. */
  readonly state: string;
  readonly reason: string;
  readonly since: string;
  readonly inFlight: number;
  /** Absent: as many as come. */
  readonly maxInFlight?: number;
  readonly averageMs: number;
  /** Absent: it has none. */
  readonly breaker?: LiveBreaker;
  /** Absent: it has none. */
  readonly agent?: { readonly share: number; readonly said: string };
}

export interface LiveSaturation {
  readonly inFlight: number;
  /** Absent: its endpoints alone have limits. */
  readonly limit?: number;
  readonly waiting: number;
}

export interface LiveBreaker {
  readonly state: string;
  readonly reason: string;
  readonly since?: string;
}

export interface Candidate {
  readonly url: string;
  readonly weight: number;
  /** Absent: 0, or it is a backup. */
  readonly priority?: number;
  readonly backup?: boolean;
  readonly zone?: string;
  /** What told of it; absent when it is written. */
  readonly discoveredBy?: string;
  readonly considered: boolean;
  /** Why it is skipped, or why it is considered although something speaks against it; else empty. */
  readonly reason: string;
  readonly inFlight?: number;
  readonly averageMs?: number;
}

/**
 * @param live undefined: nothing is known of any state, and all count as available.
 * @param gatewayZone the gateway's own.
 */
export function candidatesOf(pool: PoolConfig, live: LivePool | undefined, gatewayZone?: string): readonly Candidate[] {
  const endpoints = [...pool.endpoints, ...discoveredOf(pool, live)];
  const states = new Map(live?.endpoints.map((endpoint) => [endpoint.url, endpoint]));
  const standingOf = ({ url }: EndpointConfig): Standing => {
    const state = states.get(url);
    const isClosed = (state?.breaker?.state ?? 'closed') === 'closed';
    // One that the running gateway does not have yet will begin as available.
    const part = (state?.slowStart?.share ?? 1) * (state?.agent?.share ?? 1);
    return { status: statusOf(state), isClosed, part };
  };
  const { tiers, panic } = chooseCandidates(endpoints, choiceRules(pool, gatewayZone), standingOf);

  return endpoints.map((endpoint): Candidate => {
    const { url, weight, priority, backup, zone, discoveredBy } = endpoint;
    const state = states.get(url);
    const tier = tiers.find(({ members }) => members.includes(endpoint));
    const verdict = (considered: boolean, ...reasons: readonly string[]): Candidate => ({
      url,
      weight,
      ...(backup ? { backup } : priority > 0 && { priority }),
      ...(zone !== undefined && { zone }),
      ...(discoveredBy !== undefined && { discoveredBy }),
      considered,
      reason: reasons.filter((reason) => reason !== '').join('; '),
      ...(state && { inFlight: state.inFlight, averageMs: state.averageMs }),
    });
    const { status, isClosed } = standingOf(endpoint);
    // All of a pool that joins serve all the same.
    const isFree = status === 0 || (tier !== undefined && isAvailable(status));
    const trouble = state === undefined || (isFree && isClosed) ? '' : troubleOf(state);
    if (live?.breaker !== undefined && live.breaker.state !== 'closed')
      return verdict(false, troubleOfPool(live.breaker));
    if (tier === undefined && trouble !== '') return verdict(false, trouble);
    if (state?.agent?.share === 0) return verdict(false, `${reasonText('weight 0 by its agent')}: ${state.agent.said}`);
    if (weight === 0) return verdict(false, reasonText('weight 0'));
    if (tier === undefined) return verdict(false, passedOver(endpoint, panic, tiers));
    if (isFull(state)) return verdict(false, `at its limit: ${state!.inFlight} of ${state!.maxInFlight} in flight`);
    return verdict(
      true,
      trouble === '' ? '' : `panic: too few are available to heed that it is ${trouble}`,
      live !== undefined && state === undefined ? 'not in the running gateway yet' : '',
      shareOf(tier, tiers.length),
      state?.slowStart === undefined ? '' : slowStartOf(state.slowStart),
    );
  });
}

function passedOver(endpoint: EndpointConfig, panic: boolean, tiers: readonly Tier<EndpointConfig>[]): string {
  if (panic) return 'panic: the others are used whatever their state';
  if (endpoint.backup) return reasonText('backup');
  const levelServes = tiers.some(({ priority }) => priority === endpoint.priority);
  return reasonText(levelServes ? 'other zone' : 'lower priority');
}

/** What its tier has of the load; nothing where there is but one. */
function shareOf({ priority, zone, share }: Tier<EndpointConfig>, count: number): string {
  const isBackup = priority === BACKUP;
  if (count === 1) return isBackup ? 'backup: too few others are available' : '';
  const where = zone === undefined ? '' : `, ${zone === 'own' ? 'own zone' : 'other zones'}`;
  return `${isBackup ? 'backups' : `priority ${priority}`}${where}: ${percent(share)} of the load`;
}

const slowStartOf = ({ share, leftSeconds }: Required<LiveEndpoint>['slowStart']) =>
  `slow start: ${percent(share)} of its weight, all of it in ${leftSeconds} s`;

const percent = (share: number) => `${Math.round(share * 1000) / 10} %`;

/** Those that only the running gateway knows. */
function discoveredOf({ discover, endpoints }: PoolConfig, live: LivePool | undefined): EndpointConfig[] {
  if (discover === undefined || live === undefined) return [];
  return live.endpoints.flatMap(({ url, weight = 1, priority = 0, backup = false, zone, discoveredBy }) =>
    discoveredBy === undefined || endpoints.some((written) => written.url === url)
      ? []
      : [{ url, weight, priority, backup, ...(zone !== undefined && { zone }), discoveredBy }],
  );
}

/** Bits of ENDPOINT, from the words of its state. */
function statusOf(endpoint: LiveEndpoint | undefined): number {
  const words = endpoint?.state.split(', ') ?? [];
  return Object.entries(ENDPOINT).reduce((status, [word, bit]) => (words.includes(word) ? status | bit : status), 0);
}

const isFull = (state: LiveEndpoint | undefined) => (state?.inFlight ?? 0) >= (state?.maxInFlight ?? Infinity);

/** Why a request would have to wait, although endpoints are considered; undefined when it would not. */
export function crowdOf(live: LivePool | undefined): string | undefined {
  const { saturation } = live ?? {};
  if (saturation === undefined) return undefined;
  const { inFlight, limit = Infinity, waiting } = saturation;
  if (waiting === 0 && inFlight < limit) return undefined;
  return `${inFlight}${limit === Infinity ? '' : ` of ${limit}`} in flight, ${waiting} wait for a place`;
}

function troubleOf({ state, reason, since, breaker }: LiveEndpoint): string {
  // Of one that is healthy only its breaker speaks, and what that says is not to be said twice.
  if (breaker !== undefined && state === `breaker ${breaker.state}`) return told(state, breaker);
  return told(state, { reason, since });
}

const told = (state: string, { reason, since = 'the start' }: Pick<LiveBreaker, 'reason' | 'since'>) =>
  `${state} since ${since}${reason === '' ? '' : `: ${reason}`}`;

const troubleOfPool = (breaker: LiveBreaker) => `the pool’s breaker is ${told(breaker.state, breaker)}`;
