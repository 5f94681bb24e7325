/**
 * Bearer tokens that only their issuer can read: it is asked about each (RFC 7662), once by all who ask at the same time,
 * and what it says is remembered for a while. Whoever cannot be asked lets nobody in.
 */
import { createHash } from 'node:crypto';
import type { IntrospectionResponse } from 'openid-client';
import type { Clock } from '../../../src/clock.ts';
import type { ConsumerDirectory } from '../../../src/data/consumers.ts';
import type { Principal } from '../../../src/data/principal.ts';
import { textsOf } from '../token-claims.ts';
import { invalidToken, unverifiable } from '../bearer-refusals.ts';
import type { Refusal } from '../refusal.ts';
import type { Issuer } from './issuer.ts';
import { principalOf } from './principal.ts';
import { Recent } from './recent.ts';
import type { IntrospectionOptions, OidcOptions } from './schema.ts';

const LONGEST_TOKEN = 8192;
/** RFC 6750 §2.1. */
const TOKEN = /^[\w.~+/-]+=*$/;
const MOST_ANSWERS = 8192;
const MOST_BYTES = 8 * 1024 * 1024;
/** A token that is not active may become so, but hardly at once. */
const MOST_REFUSED_MS = 5000;
/** Questions under way: beyond it a flood of made-up tokens would become one at the issuer. */
const MOST_QUESTIONS = 64;

const MALFORMED = invalidToken('not a bearer token');
const INACTIVE = invalidToken('the issuer says that the token is not active');
const FOREIGN = invalidToken('the token is of another issuer');
const OTHER_AUDIENCE = invalidToken('the token is for another audience');
const BOUND = invalidToken('the token needs a proof of possession, which is not verified here');
const NO_ANSWER = unverifiable('the issuer could not be asked about the token');
const TOO_MANY = unverifiable(`more than ${MOST_QUESTIONS} tokens are being asked about`);

export interface IntrospectionParts {
  readonly options: OidcOptions;
  readonly introspection: IntrospectionOptions;
  readonly issuer: Issuer;
  readonly consumers: ConsumerDirectory;
  readonly clock: Clock;
}

interface Known {
  readonly principal: Principal;
  readonly version: number;
}

type Later = (outcome: Principal | Refusal) => void;

export class Introspection {
  readonly #parts: IntrospectionParts;
  readonly #audience: readonly string[];
  /** Apart from each other: made-up tokens push out none that are good. */
  readonly #accepted: Recent<Known>;
  readonly #refused: Recent<Refusal>;
  readonly #asking = new Map<string, Later[]>();

  constructor(parts: IntrospectionParts) {
    const { introspection, clock } = parts;
    this.#parts = parts;
    this.#audience = introspection.audience === undefined ? [] : [introspection.audience].flat();
    this.#accepted = new Recent(clock, MOST_ANSWERS, MOST_BYTES);
    this.#refused = new Recent(clock, MOST_ANSWERS, MOST_BYTES);
  }

  authenticate(token: string, later: Later): Principal | Refusal | undefined {
    if (token.length > LONGEST_TOKEN || !TOKEN.test(token)) return MALFORMED;
    // The token itself is not kept.
    const key = createHash('sha256').update(token).digest('base64url');
    const known = this.#accepted.get(key);
    if (known !== undefined && known.version === this.#parts.consumers.version) return known.principal;
    const refused = this.#refused.get(key);
    if (refused !== undefined) return refused;
    const asking = this.#asking.get(key);
    if (asking !== undefined) return void asking.push(later);
    if (this.#asking.size >= MOST_QUESTIONS) return TOO_MANY;
    this.#asking.set(key, [later]);
    void this.#ask(token, key).then((outcome) => {
      const waiting = this.#asking.get(key)!;
      this.#asking.delete(key);
      for (const each of waiting) each(outcome);
    });
    return undefined;
  }

  /** Never rejects. */
  async #ask(token: string, key: string): Promise<Principal | Refusal> {
    const { issuer } = this.#parts;
    try {
      const configuration = await issuer.configuration();
      if (configuration === undefined) return NO_ANSWER;
      const answer = await issuer.library.tokenIntrospection(configuration, token, { token_type_hint: 'access_token' });
      return this.#judge(answer, key);
    } catch (error) {
      issuer.report('an introspection', error);
      return NO_ANSWER;
    }
  }

  #judge(answer: IntrospectionResponse, key: string): Principal | Refusal {
    const { clock, consumers, introspection, options } = this.#parts;
    const now = clock.wall();
    const refusal = this.#refusalOf(answer, now);
    if (refusal !== undefined) {
      this.#refused.set(key, refusal, now + Math.min(introspection.cacheFor, MOST_REFUSED_MS), key.length);
      return refusal;
    }
    const { sub, username, client_id: client, scope = '', exp = Infinity } = answer;
    const [subject = ''] = textsOf([sub, username, client]);
    const claims = { iss: options.issuer, ...answer };
    const principal = principalOf({ claims, subject, scope, ambient: false }, options, consumers);
    const until = Math.min(now + introspection.cacheFor, exp * 1000);
    this.#accepted.set(key, { principal, version: consumers.version }, until, JSON.stringify(answer).length);
    return principal;
  }

  #refusalOf(answer: IntrospectionResponse, now: number): Refusal | undefined {
    const { active, exp, nbf, iss, aud, cnf, token_type: type } = answer;
    if (!active || !isDate(exp) || !isDate(nbf)) return INACTIVE;
    if ((exp ?? Infinity) * 1000 <= now || (nbf ?? 0) * 1000 > now) return INACTIVE;
    // Of several issuers one must not speak for another.
    if (iss !== undefined && withoutSlash(iss) !== withoutSlash(this.#parts.options.issuer)) return FOREIGN;
    // RFC 9449 §6.2, RFC 8705 §3.2: to whoever cannot verify the proof it is worth nothing.
    if (cnf !== undefined || (type !== undefined && type.toLowerCase() !== 'bearer')) return BOUND;
    if (this.#audience.length === 0) return undefined;
    return textsOf(aud).some((name) => this.#audience.includes(name)) ? undefined : OTHER_AUDIENCE;
  }
}

const isDate = (value: unknown): boolean => value === undefined || Number.isFinite(value);

const withoutSlash = (issuer: string): string => issuer.replace(/\/$/, '');
