/**
 * One request before its limits: all must allow it, and when one refuses none is charged. Places in flight come first,
 * they cost nothing to give back; then each charge in turn, waiting where a store has to be asked.
 */
import type { Exchange } from '../../src/data/exchange.ts';
import { GatewayError } from '../../src/errors.ts';
import type { ConcurrencyLimiter, Limiter, Verdict } from '../../src/limits/limiter.ts';
import type { Charged, CompiledLimit } from './limit.ts';
import { seconds, standingOf, type Standing } from './standing.ts';

/** `shadow`: only a limit that does not count would have refused. */
export type Decision = 'allowed' | 'limited' | 'shadow';
export type Decided = (decision: Decision, refusal?: GatewayError) => void;

/** Until a place in flight may be free again nobody knows; the shortest time that can be said. */
const PLACE_RETRY_S = 1;

export class Admission {
  readonly standings: Standing[] = [];
  readonly #exchange: Exchange;
  readonly #limits: readonly CompiledLimit[];
  readonly #decided: Decided;
  readonly #places: { readonly limiter: ConcurrencyLimiter; readonly ticket: number }[] = [];
  readonly #paid: { readonly limiter: Limiter; readonly key: string; readonly cost: number }[] = [];
  #wouldRefuse = false;
  /** The charge that is asked for: of which limit, which of its charges. */
  #limit = 0;
  #charge = 0;
  #key = '';
  #cost = 0;
  /** A verdict within the call goes on with the loop; one that comes later starts it again. */
  #isAsking = false;
  #hasHeard = false;

  constructor(exchange: Exchange, limits: readonly CompiledLimit[], decided: Decided) {
    this.#exchange = exchange;
    this.#decided = decided;
    this.#limits = limits.filter(({ exempts }) => exempts?.(exchange) !== true);
  }

  start(): void {
    if (this.#takePlaces()) this.#takeCharges();
  }

  /** The request has ended. */
  leave(): void {
    for (const { limiter, ticket } of this.#places) limiter.leave(ticket);
    this.#places.length = 0;
  }

  #takePlaces(): boolean {
    for (const limit of this.#limits) {
      const { concurrency, isShadow, label } = limit;
      if (concurrency === undefined) continue;
      const ticket = concurrency.enter(limit.keyOf(this.#exchange));
      if (ticket !== -1) this.#places.push({ limiter: concurrency, ticket });
      else if (isShadow) this.#wouldRefuse = true;
      else {
        this.#refuse(placesTaken(label, concurrency.max));
        return false;
      }
    }
    return true;
  }

  #takeCharges(): void {
    for (; this.#limit < this.#limits.length; this.#limit++, this.#charge = 0) {
      const limit = this.#limits[this.#limit]!;
      if (limit.charges.length === 0) continue;
      if (this.#charge === 0) this.#meet(limit);
      while (this.#charge < limit.charges.length) {
        if (!this.#ask(limit.charges[this.#charge]!)) return;
      }
    }
    this.#decided(this.#wouldRefuse ? 'shadow' : 'allowed');
  }

  #meet(limit: CompiledLimit): void {
    this.#key = limit.keyOf(this.#exchange);
    this.#cost = limit.costOf(this.#exchange);
    limit.usage?.record(this.#key, this.#cost);
  }

  /** @returns whether to go on at once: the verdict is there and allows. */
  #ask({ limiter }: Charged): boolean {
    this.#isAsking = true;
    this.#hasHeard = false;
    limiter.take(this.#key, this.#cost, this.#hear);
    this.#isAsking = false;
    return this.#hasHeard;
  }

  readonly #hear = (verdict: Verdict): void => {
    const limit = this.#limits[this.#limit]!;
    const charged = limit.charges[this.#charge]!;
    if (!limit.isShadow) this.standings.push(standingOf(limit, charged, verdict));
    if (verdict.allowed) this.#paid.push({ limiter: charged.limiter, key: this.#key, cost: this.#cost });
    else if (limit.isShadow) this.#wouldRefuse = true;
    else return this.#refuse(refusalOf(charged, verdict));
    this.#charge++;
    this.#hasHeard = true;
    if (!this.#isAsking) this.#takeCharges();
  };

  #refuse(error: GatewayError): void {
    for (const { limiter, key, cost } of this.#paid) limiter.refund(key, cost);
    this.leave();
    this.#decided('limited', error);
  }
}

export function refusalOf(charged: Charged, { isUndecided, retryAfterMs }: Verdict): GatewayError {
  return isUndecided === true ? undecided(charged.label, retryAfterMs) : usedUp(charged, retryAfterMs);
}

/** It may not be too much; but who asks for `deny` would rather lose it than let too much pass. */
export function undecided(label: string, retryAfterMs: number): GatewayError {
  return new GatewayError('http_request_denied', `rate limit '${label}': the store is away (onStoreFailure: deny)`, {
    status: 503,
    detail: 'Limits cannot be counted at the moment.',
    retryAfterSeconds: Math.max(1, seconds(retryAfterMs)),
  });
}

function usedUp({ label, terms }: Charged, retryAfterMs: number): GatewayError {
  const isNever = retryAfterMs === Infinity;
  const wait = Math.max(1, seconds(retryAfterMs));
  return new GatewayError('http_request_denied', `rate limit '${label}' (${terms}) is used up`, {
    status: 429,
    detail: isNever
      ? `This request costs more than the limit '${label}' (${terms}) ever allows.`
      : `The limit '${label}' (${terms}) is used up. Try again in ${wait} s.`,
    ...(isNever ? {} : { retryAfterSeconds: wait }),
  });
}

function placesTaken(label: string, max: number): GatewayError {
  return new GatewayError('http_request_denied', `rate limit '${label}' (${max} in flight) is used up`, {
    status: 429,
    detail: `The limit '${label}' allows ${max} requests at once. Try again when one has ended.`,
    retryAfterSeconds: PLACE_RETRY_S,
  });
}
