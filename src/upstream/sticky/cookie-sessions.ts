/** Sessions that clients carry themselves, in a cookie that nobody else can write or read. */
import type { CookieStickyConfig } from '../../config/schema.ts';
import type { Endpoint } from '../pool.ts';
import type { Bond } from './bond.ts';
import { cookieValue } from './cookie-value.ts';
import { Recent } from './recent.ts';
import { Seal, sealedBytes } from './seal.ts';
import type { Outcome, Session, Sessions } from './sessions.ts';

/** Cookies that were found to be good: checking a signature costs more than all else. 0.5 MiB a pool and thread at most. */
const MOST_KNOWN = 4096;

export class CookieSessions implements Sessions {
  readonly #config: CookieStickyConfig;
  /** The first signs. */
  readonly #seals: readonly [Seal, ...Seal[]];
  readonly #attributes: string;
  readonly #known = new Recent<Session>(MOST_KNOWN);
  /** Ids that an outgoing secret has given → those of the first. */
  readonly #ids = new Map<Seal, ReadonlyMap<number, number>>();

  /** @param secrets at least one. */
  constructor(pool: string, config: CookieStickyConfig, secrets: readonly string[], endpoints: readonly Endpoint[]) {
    const scope = JSON.stringify([pool, config.cookie]);
    this.#config = config;
    this.#seals = secrets.map((secret) => new Seal(secret, scope)) as [Seal, ...Seal[]];
    this.#attributes = attributesOf(config);
    const [first, ...outgoing] = this.#seals;
    for (const seal of outgoing) {
      this.#ids.set(seal, new Map(endpoints.map(({ url }) => [seal.idOf(url), first.idOf(url)])));
    }
  }

  idOf({ url }: Endpoint): number {
    return this.#seals[0].idOf(url);
  }

  find({ exchange }: Bond): Session | Outcome {
    const field = exchange.header('cookie');
    const value = field === undefined ? undefined : cookieValue(field, this.#config.cookie);
    if (value === undefined) return 'new';
    return this.#known.get(value) ?? this.#open(value);
  }

  #open(value: string): Session | Outcome {
    const bytes = sealedBytes(value);
    if (bytes === undefined) return 'malformed';
    for (const seal of this.#seals) {
      const written = seal.read(bytes);
      if (written === undefined) continue;
      const session = seal === this.#seals[0] ? written : this.#translated(written, this.#ids.get(seal)!);
      this.#known.set(value, session);
      return session;
    }
    return 'forged';
  }

  /** An endpoint that has gone has no id any more: where it was the home, that is now where the session is. */
  #translated(session: Session, ids: ReadonlyMap<number, number>): Session {
    const current = ids.get(session.current) ?? session.current;
    return { ...session, current, home: ids.get(session.home) ?? current, isOutdated: true };
  }

  /**
   * The head that goes to the client is written to, not the one that came: between them lies the cache, where no cookie of
   * ours may be seen.
   */
  answered(bond: Bond): void {
    if (bond.isArmed || bond.due === undefined) return;
    bond.isArmed = true;
    bond.exchange.editResponse((fields) => {
      const session = bond.due;
      if (session !== undefined) this.#write(bond, session, fields);
    });
  }

  #write({ exchange, stickiness }: Bond, session: Session, fields: string[]): void {
    const { cookie, lifetime, secure } = this.#config;
    const isSecure = secure === 'always' || (secure === 'auto' && exchange.view.scheme === 'https');
    const endsIn = stickiness.endOf(session) - session.seenAt;
    const maxAge = lifetime === 'permanent' ? `; Max-Age=${Math.max(0, Math.round(endsIn))}` : '';
    const value = this.#seals[0].write(session);
    fields.push('set-cookie', `${cookie}=${value}${this.#attributes}${maxAge}${isSecure ? '; Secure' : ''}`);
    // A cache between here and the client would give one client's cookie to all.
    if (!isPrivate(fields)) fields.push('cache-control', 'private');
  }
}

function attributesOf({ path, domain, httpOnly, sameSite }: CookieStickyConfig): string {
  const site = { lax: 'Lax', strict: 'Strict', none: 'None' }[sameSite];
  const host = domain === undefined ? '' : `; Domain=${domain}`;
  return `; Path=${path}${host}; SameSite=${site}${httpOnly ? '; HttpOnly' : ''}`;
}

function isPrivate(fields: readonly string[]): boolean {
  for (let at = 0; at < fields.length; at += 2) {
    const name = fields[at]!;
    if (name.length !== 13 || name.toLowerCase() !== 'cache-control') continue;
    if (/(^|[\s,])(private|no-store)\s*(,|$)/i.test(fields[at + 1]!)) return true;
  }
  return false;
}
