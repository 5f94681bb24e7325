/**
 * Requests that bring a session. One that was opened before costs a look-up; a new one is decrypted, and now and then
 * renewed. Whatever is wrong with it, it has ended: a browser is sent to the login, all others get a 401.
 */
import type { Clock } from '../../../src/clock.ts';
import type { ConsumerDirectory } from '../../../src/data/consumers.ts';
import type { Exchange } from '../../../src/data/exchange.ts';
import type { Principal } from '../../../src/data/principal.ts';
import { withholdField } from '../../../src/data/withhold.ts';
import { expiredToken, unverifiable } from '../bearer-refusals.ts';
import { Refusal } from '../refusal.ts';
import type { Cookies } from './cookies.ts';
import { principalOf } from './principal.ts';
import { Recent } from './recent.ts';
import { claimsOf, type Renewals } from './renewals.ts';
import type { CookieOptions, OidcOptions } from './schema.ts';
import type { Seal } from './sealed.ts';
import { endOf, isToBeTouched, type Session } from './session.ts';

const MOST_OPENED = 4096;
const MOST_OPENED_BYTES = 16 * 1024 * 1024;

const ENDED = expiredToken('the session has ended');
const NOT_RENEWED = unverifiable('the session could not be renewed: the issuer does not answer');

/** A session and whom it stands for, as long as the consumers stay as they are. */
interface Opened {
  readonly session: Session;
  readonly principal: Principal;
  readonly version: number;
}

export interface SessionsParts {
  readonly options: OidcOptions;
  readonly cookieOptions: CookieOptions;
  readonly cookies: Cookies;
  readonly seal: Seal<Session>;
  readonly renewals: Renewals;
  readonly consumers: ConsumerDirectory;
  readonly clock: Clock;
}

type Later = (outcome: Principal | Refusal) => void;

export class Sessions {
  readonly #parts: SessionsParts;
  readonly #opened: Recent<Opened>;

  constructor(parts: SessionsParts) {
    this.#parts = parts;
    this.#opened = new Recent(parts.clock, MOST_OPENED, MOST_OPENED_BYTES);
  }

  authenticate(exchange: Exchange, later: Later): Principal | Refusal | undefined {
    const { cookies, cookieOptions, clock, consumers } = this.#parts;
    const text = cookies.read(exchange);
    if (text === undefined) return ENDED;
    const opened = this.#opened.get(text);
    const now = clock.wall();
    if (opened !== undefined && opened.version === consumers.version) {
      const { session, principal } = opened;
      const isQuiet = !isToBeRenewed(session, now) && !isToBeTouched(session, cookieOptions, now);
      if (isQuiet && !this.#hasEnded(session, now)) return this.#admit(exchange, session, principal);
    }
    void this.#judge(exchange, text, opened?.session).catch(broken).then(later);
    return undefined;
  }

  /** What a session says of itself, for those who end it. */
  async read(exchange: Exchange): Promise<Session | undefined> {
    const text = this.#parts.cookies.read(exchange);
    return text === undefined ? undefined : this.#parts.seal.open(text);
  }

  async #judge(exchange: Exchange, text: string, known: Session | undefined): Promise<Principal | Refusal> {
    const { clock, cookieOptions, renewals, seal } = this.#parts;
    const session = known ?? (await seal.open(text));
    if (session === undefined) return ENDED;
    const now = clock.wall();
    if (endOf(session, cookieOptions) <= now) return ENDED;
    if (isToBeRenewed(session, now)) {
      const isGood = !isPast(session, now);
      const renewal = await renewals.renew(session, !isGood);
      if (typeof renewal === 'object') return this.#replace(exchange, renewal);
      if (renewal === 'ended' && !isGood) return ENDED;
      if (renewal !== 'renewed' && !isGood) return NOT_RENEWED;
    } else if (this.#hasEnded(session, now)) {
      return ENDED;
    } else if (isToBeTouched(session, cookieOptions, now)) {
      return this.#replace(exchange, { ...session, seenAt: now });
    }
    return this.#admit(exchange, session, this.#remember(text, session));
  }

  /** The answer brings the browser the cookie of what the session is now. */
  async #replace(exchange: Exchange, session: Session): Promise<Principal> {
    const { seal, cookies, cookieOptions, clock } = this.#parts;
    const text = await seal.seal(session);
    const principal = this.#remember(text, session);
    const written = cookies.write(exchange, text, endOf(session, cookieOptions) - clock.wall()) ?? [];
    exchange.editResponse((fields) => {
      // By then another request may have brought a newer one, whose refresh token must not be lost again.
      if (!isToBeRenewed(session, clock.wall())) addCookies(fields, written);
    });
    return this.#admit(exchange, session, principal);
  }

  #remember(text: string, session: Session): Principal {
    const { clock, consumers, cookieOptions, options } = this.#parts;
    const claims = claimsOf(session.idToken);
    const { sub } = claims as { sub: string };
    const principal = principalOf({ claims, subject: sub, scope: session.scope, ambient: true }, options, consumers);
    const opened = { session, principal, version: consumers.version };
    const until = clock.wall() + cookieOptions.idle;
    // The text, its tokens, and the claims in them.
    this.#opened.set(text, opened, until, 3 * text.length);
    return principal;
  }

  #admit({ upstream }: Exchange, session: Session, principal: Principal): Principal {
    const { forward } = this.#parts.options;
    if (forward !== undefined) withholdField(upstream, 'authorization');
    if (forward === 'access-token' || forward === 'id-token') {
      const token = forward === 'access-token' ? session.accessToken : session.idToken;
      upstream.fields.push('authorization', `Bearer ${token}`);
    }
    return principal;
  }

  /** Without a refresh token a session lasts until its end, unless what it is to send on is no good any more. */
  #hasEnded(session: Session, now: number): boolean {
    const { cookieOptions, options } = this.#parts;
    if (endOf(session, cookieOptions) <= now) return true;
    return options.forward === 'access-token' && session.refreshToken === undefined && isPast(session, now);
  }
}

/** A bug of ours lets nobody in. */
const broken = (error: unknown) => new Refusal('unavailable', `the session could not be judged: ${String(error)}`);

function isToBeRenewed(session: Session, now: number): session is Session & { readonly refreshToken: string } {
  return session.refreshToken !== undefined && session.renewAt !== undefined && session.renewAt <= now;
}

const isPast = ({ expiresAt = Infinity }: Session, now: number): boolean => expiresAt <= now;

/** No cache may keep an answer with a session in it (RFC 9111 §7.3), whatever the upstream says of it. */
function addCookies(fields: string[], setCookies: readonly string[]): void {
  if (setCookies.length === 0) return;
  for (let at = fields.length - 2; at >= 0; at -= 2) {
    if (fields[at]!.toLowerCase() === 'cache-control') fields.splice(at, 2);
  }
  fields.push('cache-control', 'no-store');
  for (const value of setCookies) fields.push('set-cookie', value);
}
