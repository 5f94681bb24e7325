/**
 * The plain case, one rate and nothing else, which is what @fastify/rate-limit is made for: it finds the key, knows who is
 * exempt, asks the store and says how it stands. The store is ours (docs/decisions/0008): none of its own is ever used.
 */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Exchange } from '../../src/data/exchange.ts';
import type { Limiter, Verdict } from '../../src/limits/limiter.ts';
import { undecided } from './admission.ts';
import type { CompiledLimit } from './limit.ts';

export interface PlainVerdict extends Verdict {
  readonly isExempt: boolean;
}

export type PlainCheck = (exchange: Exchange) => Promise<PlainVerdict>;

export function isPlain({ charges, concurrency, isShadow }: CompiledLimit, cost: unknown): boolean {
  return charges.length === 1 && concurrency === undefined && !isShadow && cost === 1;
}

export async function plainCheck({ charges, keyOf, exempts }: CompiledLimit): Promise<PlainCheck> {
  const app = await privateApp();
  const { limiter } = charges[0]!;
  const { max, windowMs } = limiter.spec;
  const check = app.createRateLimit({
    limiter,
    max,
    timeWindow: windowMs,
    keyGenerator: (asked: unknown) => keyOf((asked as Asked).exchange),
    ...(exempts && { allowList: (asked: unknown) => exempts((asked as Asked).exchange) }),
  } as Parameters<FastifyInstance['createRateLimit']>[0]);
  return async (exchange) => {
    const result = await check(new Asked(exchange) as unknown as FastifyRequest);
    if (result.isAllowed) return EXEMPT;
    const { remaining, ttl, isExceeded } = result;
    return { allowed: !isExceeded, remaining, resetMs: ttl, retryAfterMs: isExceeded ? ttl : 0, isExempt: false };
  };
}

const EXEMPT: PlainVerdict = { allowed: true, remaining: 0, resetMs: 0, retryAfterMs: 0, isExempt: true };

/** As much of a Fastify request as the package looks at. */
class Asked {
  readonly routeOptions = NO_OPTIONS;
  readonly exchange: Exchange;

  constructor(exchange: Exchange) {
    this.exchange = exchange;
  }
}

const NO_OPTIONS = { config: {} };

interface StoreAnswer {
  /** What was charged; more than max: refused. */
  readonly current: number;
  readonly ttl: number;
}

/** The package makes one child for each check, with that check's options: ours are among them. */
class LimiterStore {
  readonly #limiter: Limiter | undefined;

  constructor({ limiter }: { readonly limiter?: Limiter }) {
    this.#limiter = limiter;
  }

  child(options: object): LimiterStore {
    return new LimiterStore(options);
  }

  incr(key: string, done: (error: Error | null, answer: StoreAnswer) => void): void {
    const limiter = this.#limiter!;
    limiter.take(key, 1, ({ allowed, remaining, resetMs, retryAfterMs, isUndecided }) => {
      const { max, name } = limiter.spec;
      // The package has no word for it but an error.
      if (isUndecided === true) return done(undecided(name, retryAfterMs), { current: 0, ttl: 0 });
      done(null, allowed ? { current: max - remaining, ttl: resetMs } : { current: max + 1, ttl: retryAfterMs });
    });
  }
}

let app: Promise<FastifyInstance> | undefined;

/** One for the thread: it never listens, it only carries the package. */
function privateApp(): Promise<FastifyInstance> {
  app ??= Promise.all([import('fastify'), import('@fastify/rate-limit')]).then(
    async ([{ default: fastify }, { default: rateLimit }]) => {
      const instance = fastify({ logger: false });
      await instance.register(rateLimit, { global: false, store: LimiterStore as never });
      return instance;
    },
  );
  return app;
}
