/**
 * Keeps clients at endpoints, for one pool of one generation: finds the session of a request, says where it goes, and
 * has it kept when that has changed. An endpoint that takes no traffic is never stuck to: the pool picks as for anybody,
 * and whoever answers has the session then.
 */
import type { Clock } from '../../clock.ts';
import type { StickyConfig } from '../../config/schema.ts';
import type { UpstreamRequest } from '../../data/dispatch.ts';
import type { EndpointTable } from '../../memory/endpoint-table.ts';
import { isFull } from '../load/agent-limits.ts';
import type { Endpoint } from '../pool.ts';
import { Bond } from './bond.ts';
import { keepsSessions } from './keeps-sessions.ts';
import { describeSticky } from './describe.ts';
import { nowSeconds, type Outcome, type Session, type Sessions, type SessionTrace } from './sessions.ts';

export interface StickinessParts {
  readonly config: StickyConfig;
  readonly sessions: Sessions;
  readonly endpoints: readonly Endpoint[];
  readonly table: EndpointTable;
  readonly clock: Clock;
  /** @param row of the route. */
  readonly count: (row: number, outcome: Outcome) => void;
}

/** A session is written anew after this share of its idle time, so that most answers carry nothing. */
const RENEWED_EACH = 0.1;
/** Gateways that share sessions agree on one that has moved within this. */
const SHARED_RENEWAL_S = 10;

export class Stickiness {
  readonly #parts: StickinessParts;
  readonly #endpoints: ReadonlyMap<number, Endpoint>;
  readonly #ids: ReadonlyMap<Endpoint, number>;
  /** Seconds; Infinity: no such end. */
  readonly #idleS: number;
  readonly #ageS: number;
  readonly #renewalS: number;
  readonly #description: string;

  constructor(parts: StickinessParts) {
    this.#parts = parts;
    const { config, endpoints, sessions } = parts;
    this.#description = describeSticky(config);
    this.#ids = new Map(endpoints.map((endpoint) => [endpoint, sessions.idOf(endpoint)]));
    this.#endpoints = new Map([...this.#ids].map(([endpoint, id]) => [id, endpoint]));
    this.#idleS = (config.ttl ?? Infinity) / 1000;
    this.#ageS = (config.maxAge ?? Infinity) / 1000;
    const renewalS = Math.max(1, this.#idleS * RENEWED_EACH);
    this.#renewalS = sessions.shared === undefined ? renewalS : Math.min(renewalS, SHARED_RENEWAL_S);
  }

  // --- towards the endpoint ---

  /** Whether other gateways have to be asked first; `ask` does. */
  asks(request: UpstreamRequest): boolean {
    const { shared } = this.#parts.sessions;
    if (shared === undefined) return false;
    const bond = this.#bondOf(request);
    return !bond.isAsked && this.#placeOf(bond, undefined) === undefined && shared.wouldKnow(bond);
  }

  ask(request: UpstreamRequest, done: () => void): void {
    const bond = this.#bondOf(request);
    bond.isAsked = true;
    this.#parts.sessions.shared!.ask(bond, (session) => {
      if (session !== undefined) this.#take(bond, session);
      done();
    });
  }

  /** Where its session is; undefined: anywhere. */
  pick(request: UpstreamRequest): Endpoint | undefined {
    const bond = this.#bondOf(request);
    const endpoint = this.#placeOf(bond, request.tried);
    if (bond.outcome === undefined) this.#count(bond, endpoint === undefined ? this.#whyNot(bond) : 'stuck');
    return endpoint;
  }

  /** For decision records: what the session of a request has to do with its going to that endpoint, or to none. */
  trace(bond: Bond, endpoint: Endpoint | undefined, tried: readonly Endpoint[] | undefined): SessionTrace {
    const { session } = bond;
    const by = this.#description;
    if (session === undefined) return { by, became: bond.outcome ?? 'new', endpoint: undefined };
    const id = endpoint && this.#ids.get(endpoint);
    const isThere = id === session.current || (this.#parts.config.returns && id === session.home);
    if (endpoint !== undefined && isThere) return { by, became: 'stuck', endpoint };
    const at = this.#endpoints.get(session.current);
    if (at === undefined) return { by, became: 'gone', endpoint: undefined };
    return { by, became: tried?.includes(at) === true ? 'tried' : 'unavailable', endpoint: at };
  }

  #bondOf(request: UpstreamRequest): Bond {
    const { bond: before } = request;
    if (before?.stickiness === this) return before;
    // A fallback to another pool: the session with the first is left as it was.
    if (before !== undefined) before.isLet = true;
    const bond = new Bond(this, request.exchange);
    request.bond = bond;
    const found = this.#parts.sessions.find(bond);
    if (typeof found !== 'string') this.#take(bond, found);
    else if (this.#parts.sessions.shared === undefined) this.#count(bond, found);
    return bond;
  }

  #take(bond: Bond, session: Session): void {
    if (this.#isOver(session)) this.#count(bond, 'expired');
    else bond.session = session;
  }

  #isOver({ beganAt, seenAt }: Session): boolean {
    const now = nowSeconds(this.#parts.clock.wall());
    return now - seenAt > this.#idleS || now - beganAt > this.#ageS;
  }

  #placeOf({ session }: Bond, tried: readonly Endpoint[] | undefined): Endpoint | undefined {
    if (session === undefined) return undefined;
    const { home, current } = session;
    if (this.#parts.config.returns && home !== current) {
      const first = this.#endpoints.get(home);
      if (first !== undefined && this.#holds(first) && tried?.includes(first) !== true) return first;
    }
    const endpoint = this.#endpoints.get(current);
    return endpoint !== undefined && this.#holds(endpoint) && tried?.includes(endpoint) !== true ? endpoint : undefined;
  }

  #holds(endpoint: Endpoint): boolean {
    const { config, table } = this.#parts;
    const { row, weight, breaker } = endpoint;
    const isOpen = weight > 0 && keepsSessions(table.status(row), config.whileDraining) && breaker?.isClosed !== false;
    return isOpen && !isFull(endpoint, table);
  }

  #whyNot({ session, key }: Bond): Outcome {
    if (session === undefined) return key === undefined ? 'new' : 'unknown';
    return this.#endpoints.has(session.current) ? 'unavailable' : 'gone';
  }

  #count(bond: Bond, outcome: Outcome): void {
    if (bond.outcome !== undefined) return;
    bond.outcome = outcome;
    this.#parts.count(bond.exchange.rule.row, outcome);
  }

  // --- towards the client ---

  answered(bond: Bond, endpoint: Endpoint, fields: readonly string[]): void {
    bond.endpoint = endpoint;
    this.#parts.sessions.answered(bond, fields);
  }

  /** See `Bond.due`. */
  due(bond: Bond): Session | undefined {
    const { session, endpoint } = bond;
    const id = endpoint && this.#ids.get(endpoint);
    if (id === undefined) return undefined;
    // In panic, or as a probe, anybody may answer: nobody is stuck to one who would not be asked otherwise.
    if (id !== session?.current && !this.#takesNew(endpoint!)) return undefined;
    const seenAt = nowSeconds(this.#parts.clock.wall());
    if (session === undefined) return { home: id, current: id, beganAt: seenAt, seenAt, isOutdated: false };
    const home = this.#parts.config.returns ? session.home : id;
    const isMoved = session.current !== id || session.home !== home;
    if (!isMoved && !session.isOutdated && seenAt - session.seenAt < this.#renewalS) return undefined;
    return { home, current: id, beganAt: session.beganAt, seenAt, isOutdated: false };
  }

  /** Seconds since the epoch at which a session ends if it is not used again; Infinity: never. */
  endOf({ beganAt, seenAt }: Pick<Session, 'beganAt' | 'seenAt'>): number {
    return Math.min(seenAt + this.#idleS, beganAt + this.#ageS);
  }

  #takesNew({ row, breaker }: Endpoint): boolean {
    return this.#parts.table.status(row) === 0 && breaker?.isClosed !== false;
  }
}
