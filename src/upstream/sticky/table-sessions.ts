/**
 * Sessions that the service or the client names, kept in shared memory. A name is learned from answers first: a service that
 * gives a new one, as many do at a login, finds its client back under that one too.
 */
import { hash } from 'node:crypto';
import type { Clock } from '../../clock.ts';
import type { TableStickyConfig } from '../../config/schema.ts';
import { KeyHash } from '../../memory/key-hash.ts';
import type { SessionTable } from '../../memory/session-table.ts';
import type { SessionStore } from '../../store/store.ts';
import type { Endpoint } from '../pool.ts';
import type { Bond } from './bond.ts';
import { setCookieValue } from './cookie-value.ts';
import {
  nowSeconds,
  type Exchange,
  type Outcome,
  type Session,
  type Sessions,
  type SharedSessions,
} from './sessions.ts';

/** Longer names are none: of what is kept, a hash. */
const LONGEST_KEY = 4096;
/** Seconds since the epoch that a word of the table holds. */
const LAST_SECOND = 2 ** 32 - 1;

export interface TableSessionsParts {
  readonly pool: string;
  readonly config: TableStickyConfig;
  readonly table: SessionTable;
  readonly clock: Clock;
  /** Of all gateways; undefined: this one is alone. */
  readonly store: SessionStore | undefined;
}

export class TableSessions implements Sessions, SharedSessions {
  readonly #parts: TableSessionsParts;
  readonly #hash: KeyHash;
  readonly #source: KeySource;

  constructor(parts: TableSessionsParts) {
    const { table, pool, config } = parts;
    this.#parts = parts;
    this.#hash = new KeyHash(table.seed, `${pool} ${config.on}`);
    this.#source = keySource(config.on);
  }

  get shared(): SharedSessions | undefined {
    return this.#parts.store && this;
  }

  /** The same in all gateways, and after any reload. */
  idOf({ url }: Endpoint): number {
    return Buffer.from(hash('sha256', url, 'buffer')).readUInt32BE();
  }

  find(bond: Bond): Session | Outcome {
    bond.key = keyOrNone(this.#source.asked(bond.exchange));
    if (bond.key === undefined) return 'new';
    this.#hash.hash(bond.key);
    const stored = this.#parts.table.find(this.#hash.low, this.#hash.high, this.#now);
    return stored === undefined ? 'unknown' : { ...stored, isOutdated: false };
  }

  answered(bond: Bond, fields: readonly string[]): void {
    const learned = keyOrNone(this.#source.told?.(fields));
    const isNew = learned !== undefined && learned !== bond.key;
    const key = isNew ? learned : bond.key;
    if (key === undefined) return;
    const before = isNew ? undefined : bond.session;
    if (isNew) bond.session = undefined;
    bond.key = key;
    const session = bond.due;
    if (session === undefined) return;
    this.#remember(bond, key, session);
    bond.session = session;
    const seconds = Math.max(1, this.#endOf(bond, session) - session.seenAt);
    this.#parts.store?.save(this.#sharedKey(key), before, session, seconds, (stands) => {
      // Another gateway was first, or knows better: clients that both have must not have two endpoints.
      if (stands !== undefined) this.#remember(bond, key, stands);
    });
  }

  // --- of all gateways ---

  wouldKnow({ key }: Bond): boolean {
    return key !== undefined && this.#parts.store!.isUp;
  }

  ask(bond: Bond, done: (session: Session | undefined) => void): void {
    const key = bond.key!;
    this.#parts.store!.find(this.#sharedKey(key), (found) => {
      if (found === undefined) return done(undefined);
      const session = { ...found, seenAt: this.#now, isOutdated: false };
      this.#remember(bond, key, session);
      done(session);
    });
  }

  /** Tokens are nobody's business who may look into the store. */
  #sharedKey(key: string): string {
    const { pool, config } = this.#parts;
    return hash('sha256', JSON.stringify([pool, config.on, key]), 'base64url').slice(0, 32);
  }

  // --- of this one ---

  #remember(bond: Bond, key: string, session: Omit<Session, 'isOutdated'>): void {
    this.#hash.hash(key);
    this.#parts.table.store(this.#hash.low, this.#hash.high, session, this.#endOf(bond, session));
  }

  #endOf({ stickiness }: Bond, session: Omit<Session, 'isOutdated'>): number {
    return Math.min(Math.ceil(stickiness.endOf(session)), LAST_SECOND);
  }

  get #now(): number {
    return nowSeconds(this.#parts.clock.wall());
  }
}

interface KeySource {
  asked(exchange: Exchange): string | undefined;
  /** Undefined: answers do not tell. */
  told?(fields: readonly string[]): string | undefined;
}

function keySource(on: string): KeySource {
  const colon = on.indexOf(':');
  const name = on.slice(colon + 1);
  switch (colon < 0 ? on : on.slice(0, colon)) {
    case 'cookie':
      return { asked: (exchange) => exchange.cookie(name), told: (fields) => setCookieValue(fields, name) };
    case 'header': {
      const field = name.toLowerCase();
      return { asked: (exchange) => exchange.header(field), told: (fields) => fieldValue(fields, field) };
    }
    case 'ip':
      return { asked: (exchange) => exchange.clientAddress };
    case 'consumer':
      return { asked: (exchange) => exchange.consumer };
    default:
      throw new Error(`sticky: unknown session key '${on}'`);
  }
}

const keyOrNone = (key: string | undefined) =>
  key === undefined || key === '' || key.length > LONGEST_KEY ? undefined : key;

function fieldValue(fields: readonly string[], name: string): string | undefined {
  for (let at = 0; at < fields.length; at += 2) {
    const field = fields[at]!;
    if (field.length === name.length && field.toLowerCase() === name) return fields[at + 1];
  }
  return undefined;
}
