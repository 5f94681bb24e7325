/** Which endpoints of a pool the balancer would choose from now, which not, and why. */
import type { EndpointConfig, PoolConfig } from '../config/schema.ts';
import { chooseCandidates, isPanic, settled } from '../upstream/candidates.ts';
import { isBreakerWord, reasonText } from '../upstream/reasons.ts';

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
  readonly backup?: boolean;
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
  /** What told of it; absent when it is written. */
  readonly discoveredBy?: string;
  readonly considered: boolean;
  /** Why it is skipped, or why it is considered although something speaks against it; else empty. */
  readonly reason: string;
  readonly inFlight?: number;
  readonly averageMs?: number;
}

/** @param live undefined: nothing is known of any state, and all count as available. */
export function candidatesOf(pool: PoolConfig, live: LivePool | undefined): readonly Candidate[] {
  const { health } = pool;
  const endpoints = [...pool.endpoints, ...discoveredOf(pool, live)];
  const states = new Map(live?.endpoints.map((endpoint) => [endpoint.url, endpoint]));
  // One that the running gateway does not have yet will begin as available.
  const healthAt = ({ url }: EndpointConfig) => healthOf(states.get(url));
  const members = settled(endpoints, (endpoint) => healthAt(endpoint).includes(JOINING));
  const isAvailable = (endpoint: EndpointConfig) =>
    healthAt(endpoint) === AVAILABLE || (healthAt(endpoint) === JOINING && members.includes(endpoint));
  const isClosed = ({ url }: EndpointConfig) => (states.get(url)?.breaker?.state ?? 'closed') === 'closed';
  const { candidates: chosen } = chooseCandidates(members, health.panic, isAvailable, isClosed);
  const primary = members.filter(({ backup }) => !backup);
  const panic = isPanic(primary.filter(isAvailable).length, primary.length, health.panic);

  return endpoints.map((endpoint): Candidate => {
    const { url, weight, backup } = endpoint;
    const state = states.get(url);
    const isChosen = chosen.includes(endpoint);
    const numbers = state === undefined ? {} : { inFlight: state.inFlight, averageMs: state.averageMs };
    const found = endpoint.discoveredBy === undefined ? {} : { discoveredBy: endpoint.discoveredBy };
    const verdict = (considered: boolean, reason: string) => ({
      url,
      weight,
      ...found,
      considered,
      reason,
      ...numbers,
    });
    const trouble = state === undefined || (isAvailable(endpoint) && isClosed(endpoint)) ? '' : troubleOf(state);
    if (live?.breaker !== undefined && live.breaker.state !== 'closed')
      return verdict(false, troubleOfPool(live.breaker));
    if (isChosen && trouble === '' && state?.agent?.share === 0)
      return verdict(false, `${reasonText('weight 0 by its agent')}: ${state.agent.said}`);
    if (isChosen && weight === 0) return verdict(false, reasonText('weight 0'));
    if (isChosen && isFull(state))
      return verdict(false, `at its limit: ${state!.inFlight} of ${state!.maxInFlight} in flight`);
    if (isChosen && trouble !== '') return verdict(true, `panic: too few are available to heed that it is ${trouble}`);
    if (isChosen && backup) return verdict(true, 'backup: too few others are available');
    if (isChosen)
      return verdict(true, live !== undefined && state === undefined ? 'not in the running gateway yet' : '');
    if (trouble !== '') return verdict(false, trouble);
    return verdict(false, panic ? 'panic: the others are used whatever their state' : reasonText('backup'));
  });
}

const AVAILABLE = 'available';
const JOINING = 'joining';

/** Those that only the running gateway knows. */
function discoveredOf({ discover, endpoints }: PoolConfig, live: LivePool | undefined): EndpointConfig[] {
  if (discover === undefined || live === undefined) return [];
  return live.endpoints.flatMap(({ url, weight = 1, backup = false, discoveredBy }) =>
    discoveredBy === undefined || endpoints.some((written) => written.url === url)
      ? []
      : [{ url, weight, backup, discoveredBy }],
  );
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

/** Its state without its breaker's. */
function healthOf(endpoint: LiveEndpoint | undefined): string {
  const words = (endpoint?.state ?? AVAILABLE).split(', ').filter((word) => !isBreakerWord(word));
  return words.length === 0 ? AVAILABLE : words.join(', ');
}

function troubleOf({ state, reason, since, breaker }: LiveEndpoint): string {
  // Of one that is healthy only its breaker speaks, and what that says is not to be said twice.
  if (breaker !== undefined && state === `breaker ${breaker.state}`) return told(state, breaker);
  return told(state, { reason, since });
}

const told = (state: string, { reason, since = 'the start' }: Pick<LiveBreaker, 'reason' | 'since'>) =>
  `${state} since ${since}${reason === '' ? '' : `: ${reason}`}`;

const troubleOfPool = (breaker: LiveBreaker) => `the pool’s breaker is ${told(breaker.state, breaker)}`;
