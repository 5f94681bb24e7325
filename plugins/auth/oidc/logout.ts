/** The end of a session: the browser forgets it, its refresh token is revoked, and the provider may end its own. */
import type { Configuration } from 'openid-client';
import type { FastifyReply } from 'fastify';
import type { Exchange } from '../../../src/data/exchange.ts';
import { GatewayError } from '../../../src/errors.ts';
import type { Cookies } from './cookies.ts';
import type { Issuer } from './issuer.ts';
import { originOf, redirect } from './login.ts';
import type { OidcOptions } from './schema.ts';
import type { Session } from './session.ts';
import type { Sessions } from './sessions.ts';

export class Logouts {
  readonly #options: OidcOptions;
  readonly #issuer: Issuer;
  readonly #cookies: Cookies;
  readonly #sessions: Sessions;

  constructor(options: OidcOptions, issuer: Issuer, cookies: Cookies, sessions: Sessions) {
    this.#options = options;
    this.#issuer = issuer;
    this.#cookies = cookies;
    this.#sessions = sessions;
  }

  async logout(exchange: Exchange, reply: FastifyReply): Promise<void> {
    // A link on a page of somebody else is no wish of the user's.
    if (exchange.header('sec-fetch-site') === 'cross-site') return exchange.fail(CROSS_SITE);
    const session = await this.#sessions.read(exchange);
    const configuration = await this.#issuer.configuration();
    if (session !== undefined && configuration !== undefined) this.#revoke(session, configuration);
    redirect(reply, this.#location(exchange, session, configuration), this.#cookies.clear(exchange));
  }

  /** RFC 7009. Nobody waits for it: the browser has forgotten the session in any case. */
  #revoke({ refreshToken }: Session, configuration: Configuration): void {
    if (refreshToken === undefined || configuration.serverMetadata().revocation_endpoint === undefined) return;
    this.#issuer.library
      .tokenRevocation(configuration, refreshToken, { token_type_hint: 'refresh_token' })
      .catch((error: unknown) => this.#issuer.report('a revocation', error));
  }

  /** OpenID Connect RP-Initiated Logout 1.0 §2. */
  #location(exchange: Exchange, session: Session | undefined, configuration: Configuration | undefined): string {
    const { afterLogout } = this.#options;
    const own = `${originOf(exchange, this.#options)}${afterLogout ?? '/'}`;
    if (session === undefined || configuration?.serverMetadata().end_session_endpoint === undefined) return own;
    return this.#issuer.library.buildEndSessionUrl(configuration, {
      id_token_hint: session.idToken,
      ...(afterLogout === undefined ? {} : { post_logout_redirect_uri: own }),
    }).href;
  }
}

const CROSS_SITE = new GatewayError('http_request_denied', 'auth.oidc: another site asked for a logout', {
  status: 403,
  detail: 'This request was sent by a page of another site.',
});
