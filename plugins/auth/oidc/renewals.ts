/**
 * Renews sessions with their refresh tokens. Many providers take each refresh token once and end the whole session when
 * they see it twice (RFC 9700 §4.14.2), while a page sends many requests at once, over many threads and gateways. So who
 * may renew is settled like a limit of one, which all of them share; the others wait for the word that it is done, and
 * go on with what they have until their browser brings the new cookie.
 */
import { createHash } from 'node:crypto';
import type { Clock } from '../../../src/clock.ts';
import type { Limiter, Limits } from '../../../src/limits/limiter.ts';
import { isInvalidGrant, type Issuer } from './issuer.ts';
import type { OidcOptions } from './schema.ts';
import { Recent } from './recent.ts';
import { sessionOf, type Session } from './session.ts';

/** A new session; or why there is none of this thread's making. */
export type Renewal = Session | 'renewed' | 'ended' | 'failed' | 'busy';

type Renewable = Session & { readonly refreshToken: string };

/** One who may renew does it within this, or leaves it to the next. */
const TURN_MS = 10_000;
/** How long requests with the old cookie are still on their way. */
const STRAGGLERS_MS = 30_000;
/** How long others wait for the one whose turn it is. */
const LONGEST_WAIT_MS = 6000;
const ASK_AGAIN_MS = 100;

/** A provider that does not answer is not asked about the same session again at once. */
const FAILED_FOR_MS = 2000;

const MOST_KEPT = 1024;
const MOST_KEPT_BYTES = 4 * 1024 * 1024;

export class Renewals {
  readonly #options: OidcOptions;
  readonly #issuer: Issuer;
  readonly #clock: Clock;
  readonly #turns: Limiter;
  readonly #done: Limiter;
  readonly #underWay = new Map<string, Promise<Renewal>>();
  /** What came of it lately; by the same refresh token nothing else will come of it. */
  readonly #kept: Recent<Renewal>;

  constructor(options: OidcOptions, issuer: Issuer, limits: Limits, clock: Clock) {
    this.#options = options;
    this.#issuer = issuer;
    this.#clock = clock;
    this.#turns = limits.limiter(once('auth.oidc.renewal', TURN_MS));
    this.#done = limits.limiter(once('auth.oidc.renewed', STRAGGLERS_MS));
    this.#kept = new Recent(clock, MOST_KEPT, MOST_KEPT_BYTES);
  }

  /**
   * @param patient it is worth to wait for another's turn: the session is no good without.
   * @returns `renewed` when another thread or gateway has done it a moment ago, `ended` when it cannot be for good,
   * `failed` when the provider did not answer, `busy` when it is another's turn. Never rejects.
   */
  async renew(session: Renewable, patient: boolean): Promise<Renewal> {
    const key = createHash('sha256').update(session.refreshToken).digest('base64url');
    const renewal = this.#kept.get(key) ?? (await this.#together(session, key));
    return renewal === 'busy' && patient ? this.#await(session) : renewal;
  }

  #together(session: Renewable, key: string): Promise<Renewal> {
    let underWay = this.#underWay.get(key);
    if (underWay === undefined) {
      underWay = this.#inTurn(session, key).finally(() => this.#underWay.delete(key));
      this.#underWay.set(key, underWay);
    }
    return underWay;
  }

  async #inTurn(session: Renewable, key: string): Promise<Renewal> {
    if (await this.#isDone(key)) return 'renewed';
    if (!(await isFree(this.#turns, key))) return 'busy';
    // Between the two questions another may have had its turn.
    if (await this.#isDone(key)) return 'renewed';
    const renewal = await this.#ask(session);
    const bytes = typeof renewal === 'string' ? key.length : renewal.idToken.length + renewal.accessToken.length;
    const keptForMs = renewal === 'failed' ? FAILED_FOR_MS : STRAGGLERS_MS;
    this.#kept.set(key, renewal, this.#clock.wall() + keptForMs, bytes);
    // Nothing came of it: whoever waits may ask for itself.
    if (typeof renewal === 'string') this.#turns.refund(key, 1);
    else await isFree(this.#done, key);
    return renewal;
  }

  async #ask(session: Renewable): Promise<Renewal> {
    const { library } = this.#issuer;
    try {
      const configuration = await this.#issuer.configuration();
      if (configuration === undefined) return 'failed';
      const tokens = await library.refreshTokenGrant(configuration, session.refreshToken);
      // OpenID Connect Core §12.2: it is still the same user.
      const subject = tokens.claims()?.sub;
      if (subject !== undefined && subject !== subjectOf(session)) return 'ended';
      return sessionOf(tokens, this.#options.scopes, this.#clock.wall(), session);
    } catch (error) {
      if (isInvalidGrant(error)) return 'ended';
      this.#issuer.report('a renewal', error);
      return 'failed';
    }
  }

  async #await(session: Renewable): Promise<Renewal> {
    const until = this.#clock.now() + LONGEST_WAIT_MS;
    while (this.#clock.now() < until) {
      await new Promise<void>((resolve) => void this.#clock.after(ASK_AGAIN_MS, resolve));
      const renewal = await this.renew(session, false);
      if (renewal !== 'busy') return renewal;
    }
    return 'failed';
  }

  /** Only looks. A table without room does not know. */
  #isDone(key: string): Promise<boolean> {
    return new Promise((resolve) => {
      this.#done.take(key, 0, ({ allowed, remaining }) => resolve(allowed && remaining < 1));
    });
  }
}

const once = (name: string, windowMs: number) =>
  ({ name, max: 1, windowMs, algorithm: 'gcra', burst: 1, onStoreFailure: 'local' }) as const;

/** Takes it, if it is. */
function isFree(limiter: Limiter, key: string): Promise<boolean> {
  return new Promise((resolve) => limiter.take(key, 1, ({ allowed }) => resolve(allowed)));
}

function subjectOf({ idToken }: Session): unknown {
  return claimsOf(idToken).sub;
}

/** Of a token that was verified when it came. */
export function claimsOf(idToken: string): Readonly<Record<string, unknown>> {
  const [, payload = ''] = idToken.split('.');
  return JSON.parse(Buffer.from(payload, 'base64url').toString('utf8')) as Record<string, unknown>;
}
