/**
 * The tokens of one route. What was verified once is known by its exact text until it expires; a new token costs a
 * signature, and where a key is missing a question to the control plane, which bounds how often issuers are asked.
 */
import type { Exchange } from '../../../src/data/exchange.ts';
import type { Principal } from '../../../src/data/principal.ts';
import type { Authenticator } from '../method.ts';
import { Refusal } from '../refusal.ts';
import type { VerifiedCredentials } from '../verified.ts';
import { judgeBinding } from './binding.ts';
import type { Carriage } from './carriage.ts';
import type { Provider } from './provider.ts';
import { CHALLENGE, invalidToken, unverifiable } from '../bearer-refusals.ts';
import { readToken } from './token.ts';

const SEVERAL = invalidToken('the request carries two different tokens');
const MALFORMED = invalidToken('not a signed token in the compact form');
const STRANGER = invalidToken('the token is of an issuer that is not accepted');
const UNKNOWN_KEY = invalidToken('no key of the issuer fits the token');
const NO_KEYS = unverifiable('the keys of the issuer could not be fetched yet');

export interface BearerTokensParts {
  readonly carriage: Carriage;
  /** By issuer; a single one may accept any. */
  readonly providers: readonly { readonly issuer: string | undefined; readonly provider: Provider }[];
  readonly verified: VerifiedCredentials;
}

type Later = (outcome: Principal | Refusal) => void;

export class BearerTokens implements Authenticator {
  readonly name = 'jwt';
  readonly challenge = CHALLENGE;
  readonly #carriage: Carriage;
  readonly #providers: readonly Provider[];
  readonly #byIssuer: ReadonlyMap<unknown, Provider>;
  readonly #anyIssuer: Provider | undefined;
  readonly #verified: VerifiedCredentials;
  /** Of all keys together, when what is remembered was verified. */
  #keysVersion = 0;

  constructor({ carriage, providers, verified }: BearerTokensParts) {
    this.#carriage = carriage;
    this.#verified = verified;
    this.#providers = providers.map(({ provider }) => provider);
    this.#byIssuer = new Map(providers.map(({ issuer, provider }) => [issuer, provider]));
    this.#anyIssuer = this.#byIssuer.get(undefined);
  }

  carries(exchange: Exchange): boolean {
    const carriage = this.#carriage;
    return (
      carriage.inField(exchange) !== undefined ||
      carriage.inQuery(exchange) !== undefined ||
      carriage.inCookie(exchange) !== undefined
    );
  }

  withhold(exchange: Exchange): void {
    this.#carriage.withhold(exchange);
  }

  authenticate(exchange: Exchange, later: Later): Principal | Refusal | undefined {
    const carriage = this.#carriage;
    const inField = carriage.inField(exchange);
    const inQuery = carriage.inQuery(exchange);
    const inCookie = carriage.inCookie(exchange);
    const token = inField ?? inQuery ?? inCookie ?? '';
    // RFC 6750 §2: one way for each request. Which of two counts is a question that others may answer differently.
    if (token !== (inCookie ?? token) || token !== (inQuery ?? token)) return SEVERAL;
    const ambient = inField === undefined && inQuery === undefined;
    this.#forgetOldKeys();
    const known = this.#verified.get(remembered(token, ambient));
    if (known !== undefined) return judgeBinding(known.claims, exchange.client) ?? known;
    return this.#verify(token, ambient, exchange, later);
  }

  #forgetOldKeys(): void {
    let version = 0;
    for (const provider of this.#providers) version += provider.keys.version;
    if (version === this.#keysVersion) return;
    this.#keysVersion = version;
    this.#verified.clear();
  }

  #verify(token: string, ambient: boolean, { client }: Exchange, later: Later): Principal | Refusal | undefined {
    const unverified = readToken(token);
    if (unverified === undefined) return MALFORMED;
    const provider = this.#byIssuer.get(unverified.claims.iss) ?? this.#anyIssuer;
    if (provider === undefined) return STRANGER;
    const refusal = provider.judgeHeader(unverified);
    if (refusal !== undefined) return refusal;
    const conclude = (): Principal | Refusal => {
      const outcome = this.#conclude(token, provider, provider.candidates(unverified), ambient);
      return outcome instanceof Refusal ? outcome : (judgeBinding(outcome.claims, client) ?? outcome);
    };
    const { renew } = provider.keys;
    if (renew === undefined || provider.candidates(unverified)?.length) return conclude();
    renew(() => later(conclude()));
    return undefined;
  }

  #conclude(
    token: string,
    provider: Provider,
    candidates: ReturnType<Provider['candidates']>,
    ambient: boolean,
  ): Principal | Refusal {
    if (candidates === undefined) return NO_KEYS;
    if (candidates.length === 0) return UNKNOWN_KEY;
    const outcome = provider.verify(token, candidates, ambient);
    if (outcome instanceof Refusal) return outcome;
    this.#forgetOldKeys();
    this.#verified.remember(remembered(token, ambient), outcome.principal, outcome.until);
    return outcome.principal;
  }
}

/** The same token is somebody else's wish when a browser sent it by itself. */
const remembered = (token: string, ambient: boolean): string => (ambient ? `cookie ${token}` : token);
