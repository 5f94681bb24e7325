/** Limits that consumers and groups have of their own: they hold wherever their caller is known. */
import type { RateLimitConfig } from '../../src/config/schema.ts';
import type { Principal } from '../../src/data/principal.ts';
import { GatewayError } from '../../src/errors.ts';
import type { PluginContext } from '../../src/extension.ts';
import { listOf, nameIn, writtenLimits, type Owner } from '../../src/limits/written.ts';
import { compileLimit, type CompiledLimit } from './limit.ts';

type Limits = readonly CompiledLimit[];

export const NO_LIMITS: Limits = [];

/** Compiled when their owner first comes: most consumers have none, and those of the store are not known before. */
export class OwnLimits {
  readonly #context: PluginContext;
  /** By who has it: a consumer that has changed is another object. */
  readonly #compiled = new WeakMap<object, Limits | Promise<Limits>>();

  constructor(context: PluginContext) {
    this.#context = context;
  }

  /** A promise only the first time. @throws GatewayError when one of them is not there. */
  of({ consumer, groups }: Principal): Limits | Promise<Limits> {
    const known = this.#context.config.gateway.groups;
    let limits = consumer === undefined ? NO_LIMITS : this.#limitsOf(`consumer:${consumer.name}`, consumer);
    for (const name of groups) {
      if (Object.hasOwn(known, name)) limits = join(limits, this.#limitsOf(`group:${name}`, known[name]!));
    }
    return limits;
  }

  #limitsOf(owner: Owner, owned: { readonly rateLimit?: RateLimitConfig }): Limits | Promise<Limits> {
    if (owned.rateLimit === undefined) return NO_LIMITS;
    const known = this.#compiled.get(owned);
    if (known !== undefined) return known;
    const named = this.#context.config.gateway.rateLimits;
    const lost = listOf(owned.rateLimit)
      .map(nameIn)
      .find((name) => name !== undefined && !Object.hasOwn(named, name));
    if (lost !== undefined) throw unknownLimit(owner, lost);
    const written = writtenLimits(owned.rateLimit, owner, named);
    const compiling = Promise.all(written.map((limit) => compileLimit(limit, this.#context))).then((limits) => {
      this.#compiled.set(owned, limits);
      return limits;
    });
    this.#compiled.set(owned, compiling);
    return compiling;
  }
}

/** The store may name what gateway.yaml does not have: whoever is to be limited must not become unlimited. */
function unknownLimit(owner: Owner, name: string): GatewayError {
  return new GatewayError('http_request_denied', `${owner}: no limit is named '${name}' (rateLimits)`, {
    status: 503,
    detail: 'The limits of this caller are not known at the moment.',
  });
}

function join(some: Limits | Promise<Limits>, more: Limits | Promise<Limits>): Limits | Promise<Limits> {
  if (some === NO_LIMITS) return more;
  if (more === NO_LIMITS) return some;
  if (Array.isArray(some) && Array.isArray(more)) return [...(some as Limits), ...(more as Limits)];
  return Promise.all([some, more]).then((both) => both.flat());
}
