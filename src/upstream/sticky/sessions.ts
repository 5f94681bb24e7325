/**
 * The seam of stickiness: where sessions are kept. What a session means, when it ends and when it moves is the same for
 * all (stickiness.ts); a cookie (cookie-sessions.ts) and a table (table-sessions.ts) stand behind it.
 */
import type { Exchange } from '../../data/exchange.ts';
import type { CounterSpec } from '../../memory/counter-table.ts';
import type { Endpoint } from '../pool.ts';
import type { Bond } from './bond.ts';

export interface Session {
  /** Ids of endpoints: where it began, and where it is. They differ only where sessions return. */
  readonly home: number;
  readonly current: number;
  /** Seconds since the epoch: all gateways of a fleet read the same. */
  readonly beganAt: number;
  readonly seenAt: number;
  /** It is good, and its next answer writes it anew: it was signed with a secret that is on its way out. */
  readonly isOutdated: boolean;
}

/** What became of the session of a request. */
export const OUTCOMES = [
  'stuck',
  /** It named none. */
  'new',
  /** It named one that nobody knows (any more). */
  'unknown',
  'malformed',
  /** Signed by nobody that is believed: made up, of another pool, of other gateways, of a secret that has gone. */
  'forged',
  'expired',
  /** Its endpoint has left the pool. */
  'gone',
  /** Its endpoint takes no traffic. */
  'unavailable',
] as const;

export type Outcome = (typeof OUTCOMES)[number];

/** Of one try: what became of the session, and the endpoint where it is, or was. */
export interface SessionTrace {
  /** `cookie:aya-orders`, as `/pools` has it. */
  readonly by: string;
  /** `tried`: that endpoint was asked before. */
  readonly became: Outcome | 'tried';
  /** Undefined: no endpoint of the pool. */
  readonly endpoint: Endpoint | undefined;
}

/** By route, since that is what counters of requests have. */
export const STICKY_COUNTER: CounterSpec = {
  name: 'aya_sticky_requests_total',
  help: 'Requests of pools that are sticky, by what became of their session.',
  label: 'session',
  values: OUTCOMES,
};

export interface Sessions {
  /** Never throws, whatever the client sent. */
  find(bond: Bond): Session | Outcome;
  /** An endpoint has answered: writes what `bond.due` says, now or with the head that goes to the client. */
  answered(bond: Bond, fields: readonly string[]): void;
  idOf(endpoint: Endpoint): number;
  /** Undefined where every gateway knows all that there is. */
  readonly shared?: SharedSessions | undefined;
}

/** Sessions that other gateways may know. */
export interface SharedSessions {
  /** Whether asking makes sense now. */
  wouldKnow(bond: Bond): boolean;
  /** @param done is called once, within the store's time, also when it did not tell. */
  ask(bond: Bond, done: (session: Session | undefined) => void): void;
}

export const nowSeconds = (wallMs: number): number => Math.floor(wallMs / 1000);

export type { Exchange };
