/**
 * A login: the way to the provider and back (RFC 6749 §4.1 with PKCE, OpenID Connect Core §3.1). What ties the way back
 * to the browser that went is sealed in a cookie of its own: state, nonce, the PKCE verifier, and where it wanted to go.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { FastifyReply } from 'fastify';
import type { Clock } from '../../../src/clock.ts';
import type { Exchange } from '../../../src/data/exchange.ts';
import { GatewayError } from '../../../src/errors.ts';
import type { Limiter } from '../../../src/limits/limiter.ts';
import type { Cookies } from './cookies.ts';
import { isNoAnswer, reasonOf, type Issuer } from './issuer.ts';
import { returnPath } from './return-path.ts';
import type { CookieOptions, OidcOptions } from './schema.ts';
import type { Seal } from './sealed.ts';
import { endOf, sessionOf, type Session } from './session.ts';

/** A user may have to look for a phone. */
export const LOGIN_WITHIN_MS = 10 * 60_000;

export interface Login {
  readonly state: string;
  readonly nonce: string;
  readonly verifier: string;
  readonly redirectUri: string;
  readonly returnTo: string;
  readonly until: number;
}

export interface LoginParts {
  readonly options: OidcOptions;
  readonly cookieOptions: CookieOptions;
  readonly issuer: Issuer;
  readonly cookies: Cookies;
  readonly logins: Seal<Login>;
  readonly sessions: Seal<Session>;
  /** Of states that came back: each is taken once, over all threads and gateways that share a store. */
  readonly states: Limiter;
  readonly clock: Clock;
}

/** As the library makes them: 32 random bytes. */
const STATE = /^[\w-]{43}$/;

export class Logins {
  readonly #parts: LoginParts;

  constructor(parts: LoginParts) {
    this.#parts = parts;
  }

  /** Sends the browser to the provider. */
  async begin(exchange: Exchange, reply: FastifyReply, returnTo: string): Promise<void> {
    const { issuer, cookies, logins, options, clock } = this.#parts;
    const configuration = await issuer.configuration();
    if (configuration === undefined) return exchange.fail(unavailable('the issuer was never there'));
    const { library } = issuer;
    const login: Login = {
      state: library.randomState(),
      nonce: library.randomNonce(),
      verifier: library.randomPKCECodeVerifier(),
      redirectUri: `${originOf(exchange, options)}${options.path}/callback`,
      returnTo,
      until: clock.wall() + LOGIN_WITHIN_MS,
    };
    const location = library.buildAuthorizationUrl(configuration, {
      ...options.authorizationParameters,
      redirect_uri: login.redirectUri,
      scope: options.scopes.join(' '),
      state: login.state,
      nonce: login.nonce,
      code_challenge: await library.calculatePKCECodeChallenge(login.verifier),
      code_challenge_method: 'S256',
    });
    const text = await logins.seal(login);
    redirect(reply, location.href, cookies.writeLogin(exchange, login.state, text, LOGIN_WITHIN_MS));
  }

  /** The browser is back. Whatever is wrong with that, it is told the same. */
  async finish(exchange: Exchange, reply: FastifyReply): Promise<void> {
    const { cookies, clock } = this.#parts;
    const state = exchange.query('state') ?? '';
    const login = STATE.test(state) ? await this.#open(exchange, state) : undefined;
    if (login === undefined) return exchange.fail(refusal('no login with this state is under way in this browser'));
    const forget = cookies.clearLogin(exchange, state);
    if (!(await this.#isFirst(state))) return exchange.fail(refusal('the state was used before', forget));
    let session: Session;
    try {
      session = await this.#exchangeCode(exchange, login);
    } catch (error) {
      if (isNoAnswer(error)) {
        this.#parts.issuer.report('a login', error);
        return exchange.fail(unavailable('the issuer did not answer', forget));
      }
      return exchange.fail(refusal(reasonOf(error), forget));
    }
    const { sessions, cookieOptions, options } = this.#parts;
    const forMs = endOf(session, cookieOptions) - clock.wall();
    const written = cookies.write(exchange, await sessions.seal(session), forMs);
    if (written === undefined) {
      const error = new Error('its tokens are larger than cookies may be: have it put less into them');
      this.#parts.issuer.report('a login', error);
      return exchange.fail(refusal(error.message, forget));
    }
    // Whole, and with our own origin: no path can lead to another site.
    const location = originOf(exchange, options) + returnPath(login.returnTo);
    redirect(reply, location, [...written, ...forget]);
  }

  async #open(exchange: Exchange, state: string): Promise<Login | undefined> {
    const { cookies, logins, clock } = this.#parts;
    const text = cookies.readLogin(exchange, state);
    const login = text === undefined ? undefined : await logins.open(text);
    if (login === undefined || login.until <= clock.wall()) return undefined;
    return isSame(login.state, state) ? login : undefined;
  }

  #isFirst(state: string): Promise<boolean> {
    return new Promise((resolve) => this.#parts.states.take(state, 1, ({ allowed }) => resolve(allowed)));
  }

  /** Everything else is the library's to verify: iss (RFC 9207), the signature of the ID token, its claims, the nonce. */
  async #exchangeCode(exchange: Exchange, login: Login): Promise<Session> {
    const { issuer, options, clock } = this.#parts;
    const configuration = await issuer.configuration();
    if (configuration === undefined) throw new TypeError('the issuer was never there');
    const tokens = await issuer.library.authorizationCodeGrant(
      configuration,
      new URL(`${login.redirectUri}?${exchange.search}`),
      {
        expectedState: login.state,
        expectedNonce: login.nonce,
        pkceCodeVerifier: login.verifier,
        idTokenExpected: true,
      },
    );
    return sessionOf(tokens, options.scopes, clock.wall());
  }
}

export function redirect(reply: FastifyReply, location: string, setCookies: readonly string[]): void {
  void reply.code(302).header('location', location).header('cache-control', 'no-store').header('content-length', '0');
  if (setCookies.length > 0) void reply.header('set-cookie', [...setCookies]);
  void reply.send();
}

/** Of this site, as browsers know it. */
export function originOf({ scheme, authority }: Exchange, { origin }: OidcOptions): string {
  return origin ?? `${scheme}://${authority}`;
}

/** Until the provider may be back. */
const RETRY_AFTER_S = 5;

export function unavailable(message: string, setCookies: readonly string[] = []): GatewayError {
  return new GatewayError('http_request_denied', `auth.oidc: ${message}`, {
    status: 503,
    detail: 'The sign-in is not possible at the moment.',
    retryAfterSeconds: RETRY_AFTER_S,
    fields: fieldsOf(setCookies),
  });
}

function refusal(message: string, setCookies: readonly string[] = []): GatewayError {
  return new GatewayError('http_request_denied', `auth.oidc: ${message}`, {
    status: 400,
    detail: 'The sign-in could not be completed. Start it again.',
    fields: fieldsOf(setCookies),
  });
}

const fieldsOf = (setCookies: readonly string[]): string[] => setCookies.flatMap((value) => ['set-cookie', value]);

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

const isSame = (one: string, other: string): boolean => timingSafeEqual(digest(one), digest(other));
