/** The method on its routes: whose request it is to judge, and which requests are its own. */
import type { FastifyReply } from 'fastify';
import type { Exchange } from '../../../src/data/exchange.ts';
import type { Principal } from '../../../src/data/principal.ts';
import { withholdField } from '../../../src/data/withhold.ts';
import { GatewayError } from '../../../src/errors.ts';
import { CHALLENGE } from '../bearer-refusals.ts';
import type { Authenticator } from '../method.ts';
import type { Refusal } from '../refusal.ts';
import type { Cookies } from './cookies.ts';
import type { Introspection } from './introspection.ts';
import type { Logins } from './login.ts';
import type { Logouts } from './logout.ts';
import { returnPath } from './return-path.ts';
import type { OidcOptions } from './schema.ts';
import type { Sessions } from './sessions.ts';

/** What there is where a route has a cookie. */
export interface Browsers {
  readonly cookies: Cookies;
  readonly sessions: Sessions;
  readonly logins: Logins;
  readonly logouts: Logouts;
}

export interface AuthenticatorParts {
  readonly options: OidcOptions;
  readonly browsers: Browsers | undefined;
  readonly introspection: Introspection | undefined;
}

type Later = (outcome: Principal | Refusal) => void;

export class OidcAuthenticator implements Authenticator {
  readonly name = 'oidc';
  /** Also of pages: whoever calls an API is not helped by a login. */
  readonly challenge = CHALLENGE;
  readonly #options: OidcOptions;
  readonly #browsers: Browsers | undefined;
  readonly #introspection: Introspection | undefined;
  readonly #paths: { readonly callback: string; readonly login: string; readonly logout: string };

  constructor({ options, browsers, introspection }: AuthenticatorParts) {
    const { path } = options;
    this.#options = options;
    this.#browsers = browsers;
    this.#introspection = introspection;
    this.#paths = { callback: `${path}/callback`, login: `${path}/login`, logout: `${path}/logout` };
  }

  carries(exchange: Exchange): boolean {
    return this.#token(exchange) !== undefined || this.#browsers?.cookies.has(exchange) === true;
  }

  /** What a client says is its token is: a cookie comes by itself. */
  authenticate(exchange: Exchange, later: Later): Principal | Refusal | undefined {
    const token = this.#token(exchange);
    if (token === undefined) return this.#browsers!.sessions.authenticate(exchange, later);
    if (this.#options.forward === 'none') withholdField(exchange.upstream, 'authorization');
    return this.#introspection!.authenticate(token, later);
  }

  intercept(exchange: Exchange, reply: FastifyReply): boolean {
    const browsers = this.#browsers;
    if (browsers === undefined) return false;
    if (!this.#options.login || exchange.method !== 'GET' || !exchange.path.startsWith(this.#options.path)) {
      return false;
    }
    const own = this.#own(browsers, exchange, reply);
    own?.catch(failed(exchange));
    return own !== undefined;
  }

  invite(exchange: Exchange, reply: FastifyReply): boolean {
    if (this.#browsers === undefined || !this.#options.login || !isNavigation(exchange)) return false;
    this.#browsers.logins.begin(exchange, reply, returnPath(exchange.target)).catch(failed(exchange));
    return true;
  }

  #own({ logins, logouts }: Browsers, exchange: Exchange, reply: FastifyReply): Promise<void> | undefined {
    switch (exchange.path) {
      case this.#paths.callback:
        return logins.finish(exchange, reply);
      case this.#paths.login:
        return logins.begin(exchange, reply, returnPath(exchange.query('return_to')));
      case this.#paths.logout:
        return logouts.logout(exchange, reply);
      default:
        return undefined;
    }
  }

  #token(exchange: Exchange): string | undefined {
    if (this.#introspection === undefined) return undefined;
    const value = exchange.header('authorization');
    const scheme = value === undefined ? undefined : /^Bearer(?: +|$)/i.exec(value)?.[0];
    return scheme === undefined ? undefined : value!.slice(scheme.length);
  }
}

/** Somebody looks at it: to a script or an image a login page is of no use. */
function isNavigation(exchange: Exchange): boolean {
  const mode = exchange.header('sec-fetch-mode') ?? 'navigate';
  const accept = exchange.header('accept') ?? '';
  const isScript = mode !== 'navigate' || exchange.header('x-requested-with') !== undefined;
  return exchange.method === 'GET' && !isScript && accept.includes('text/html');
}

/** A bug: these promises are never rejected by what a client or a provider does. */
const failed = (exchange: Exchange) => (error: unknown) =>
  exchange.onError(new GatewayError('proxy_internal_error', 'auth.oidc', { cause: error }));
