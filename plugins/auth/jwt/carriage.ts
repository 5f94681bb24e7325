/** Where a request carries its token, and how it is taken out of what goes on. */
import type { Exchange } from '../../../src/data/exchange.ts';
import { withholdCookie, withholdField, withholdParameter } from '../../../src/data/withhold.ts';
import type { JwtOptions } from './schema.ts';

/** RFC 6750 §2.1; the scheme in any case (RFC 9110 §11.1). Whatever else follows it is a credential too, but no token. */
const BEARER = /^Bearer(?: +|$)/i;

export class Carriage {
  readonly #header: string;
  readonly #isAuthorization: boolean;
  readonly #cookie: string | undefined;
  readonly #query: string | undefined;
  readonly #keepsField: boolean;
  readonly #keepsOthers: boolean;

  constructor({ header, cookie, query, forward }: JwtOptions) {
    this.#header = header.toLowerCase();
    this.#isAuthorization = this.#header === 'authorization';
    this.#cookie = cookie;
    this.#query = query;
    this.#keepsField = forward ?? true;
    this.#keepsOthers = forward ?? false;
  }

  inField(exchange: Exchange): string | undefined {
    const value = exchange.header(this.#header);
    if (value === undefined) return undefined;
    const scheme = BEARER.exec(value)?.[0];
    if (scheme !== undefined) return value.slice(scheme.length);
    return this.#isAuthorization ? undefined : value;
  }

  inQuery(exchange: Exchange): string | undefined {
    return this.#query === undefined ? undefined : exchange.query(this.#query);
  }

  inCookie(exchange: Exchange): string | undefined {
    return this.#cookie === undefined ? undefined : exchange.cookie(this.#cookie);
  }

  /** What the upstream is not to have. */
  withhold(exchange: Exchange): void {
    const { upstream } = exchange;
    // Another scheme's credential is another method's business.
    if (!this.#keepsField && this.inField(exchange) !== undefined) withholdField(upstream, this.#header);
    if (this.#keepsOthers) return;
    if (this.#query !== undefined) withholdParameter(upstream, this.#query);
    if (this.#cookie !== undefined) withholdCookie(upstream, this.#cookie);
  }
}
