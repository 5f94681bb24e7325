/** One issuer as a route sees it: the keys that prove its tokens, what they must say, and who they say it is. */
import type { Clock } from '../../../src/clock.ts';
import type { ConsumerDirectory } from '../../../src/data/consumers.ts';
import type { Principal } from '../../../src/data/principal.ts';
import type { Refusal } from '../refusal.ts';
import type { Algorithm } from '../../../src/config/signature-algorithms.ts';
import { invalidToken } from '../bearer-refusals.ts';
import { describes, scopesOf, textsOf } from '../token-claims.ts';
import { memberAt, type JsonObject } from '../token-json.ts';
import { acceptedUntil, judgeClaims, type ClaimRules } from './claims.ts';
import type { Keys } from './keys.ts';
import type { ProviderSettings } from './settings.ts';
import type { UnverifiedToken } from './token.ts';
import type { Verify } from './verifiers.ts';

/** A principal and until when it may be taken for granted. */
export interface Accepted {
  readonly principal: Principal;
  readonly until: number;
}

const ALGORITHM = invalidToken('the algorithm is not accepted');
const TYPE = invalidToken('the token is of another type (typ)');
const SIGNATURE = invalidToken('the signature is not right');

/** Other types of the same issuer's (logout+jwt, dpop+jwt) are not for access (RFC 8725 §3.11). */
const ACCESS_TYPES: readonly (string | undefined)[] = [undefined, 'jwt', 'at+jwt'];

export class Provider {
  readonly keys: Keys;
  readonly #settings: ProviderSettings;
  readonly #rules: ClaimRules;
  readonly #consumers: ConsumerDirectory;
  readonly #clock: Clock;

  constructor(settings: ProviderSettings, keys: Keys, consumers: ConsumerDirectory, clock: Clock) {
    this.keys = keys;
    this.#settings = settings;
    this.#rules = settings.rules;
    this.#consumers = consumers;
    this.#clock = clock;
  }

  /** What can be said before a key is looked for. */
  judgeHeader({ alg, typ }: UnverifiedToken): Refusal | undefined {
    const { algorithms, typ: wanted } = this.#settings;
    if (!(algorithms as readonly string[]).includes(alg)) return ALGORITHM;
    return (wanted === undefined ? ACCESS_TYPES.includes(typ) : typ === wanted) ? undefined : TYPE;
  }

  candidates({ alg, kid }: UnverifiedToken): readonly Verify[] | undefined {
    return this.keys.candidates(alg as Algorithm, kid);
  }

  verify(token: string, candidates: readonly Verify[], ambient: boolean): Accepted | Refusal {
    const claims = verifiedClaims(token, candidates);
    if (claims === undefined) return SIGNATURE;
    const refusal = judgeClaims(claims, this.#rules, this.#clock.wall());
    return refusal ?? { principal: this.#principal(claims, ambient), until: acceptedUntil(claims, this.#rules) };
  }

  #principal(claims: JsonObject, ambient: boolean): Principal {
    const consumer = this.#consumerOf(claims);
    const { sub } = claims as { sub?: string };
    const { groupsClaim } = this.#settings;
    const named = groupsClaim === false ? [] : textsOf(memberAt(claims, groupsClaim));
    const groups = [...(consumer?.groups ?? []), ...named];
    return {
      method: 'jwt',
      subject: sub ?? '',
      consumer,
      groups: [...new Set(groups)],
      scopes: scopesOf(claims, this.#rules.scopesClaim),
      claims,
      ambient,
    };
  }

  #consumerOf(claims: JsonObject) {
    const { consumerClaim } = this.#settings;
    if (consumerClaim === undefined) return this.#consumers.byToken((token) => describes(token, claims));
    const name = memberAt(claims, consumerClaim);
    return typeof name === 'string' ? this.#consumers.byName(name) : undefined;
  }
}

/** The claims are those that were verified, not those that were read before. */
function verifiedClaims(token: string, candidates: readonly Verify[]): JsonObject | undefined {
  for (const verify of candidates) {
    try {
      return verify(token);
    } catch {
      // Another key of the same name or kind may have signed it.
    }
  }
  return undefined;
}
