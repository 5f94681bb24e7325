/** One limit as it is written → what it asks of a request: room for one more in flight, and charges. */
import type { Exchange } from '../../src/data/exchange.ts';
import { compileNetworks } from '../../src/data/match/networks.ts';
import type { PluginContext } from '../../src/extension.ts';
import type { ConcurrencyLimiter, Limiter, UsageRecorder } from '../../src/limits/limiter.ts';
import { isNetwork, quotaSpecOf, rateSpecOf, type WrittenLimit } from '../../src/limits/written.ts';
import { compileCost, compileKey, type CostOf, type KeyOf } from './caller.ts';

export interface CompiledLimit {
  readonly label: string;
  readonly keyOf: KeyOf;
  readonly costOf: CostOf;
  /** Whether a request is none of its business; undefined: all are. */
  readonly exempts: ((exchange: Exchange) => boolean) | undefined;
  /** The rate, the quota, or both. */
  readonly charges: readonly Charged[];
  readonly concurrency: ConcurrencyLimiter | undefined;
  /** Learns what callers would like, when the limit is only a shadow. */
  readonly usage: UsageRecorder | undefined;
  readonly isShadow: boolean;
  readonly shows: { readonly draft: boolean; readonly legacy: boolean };
}

/** A limiter, and how it is told of. */
export interface Charged {
  readonly limiter: Limiter;
  readonly label: string;
  /** `100 per 60 s` */
  readonly terms: string;
  /** Its part of RateLimit-Policy. */
  readonly policy: string;
}

export async function compileLimit(written: WrittenLimit, context: PluginContext): Promise<CompiledLimit> {
  const { identity, label, by, config } = written;
  const { limits, clock } = context;
  const rate = rateSpecOf(written);
  const quota = quotaSpecOf(written);
  const charges: Charged[] = [];
  if (rate !== undefined) {
    const seconds = Math.ceil(rate.windowMs / 1000);
    const terms = `${rate.max} per ${rate.windowMs / 1000} s`;
    charges.push({ limiter: limits.limiter(rate), label, terms, policy: `"${label}";q=${rate.max};w=${seconds}` });
  }
  if (quota !== undefined) {
    const name = rate === undefined ? label : `${label}-quota`;
    const policy = `"${name}";q=${quota.max};w=${quota.windowMs / 1000}`;
    charges.push({
      limiter: limits.limiter(quota),
      label: name,
      terms: `${quota.max} per ${config.quota!.per}`,
      policy,
    });
  }
  return {
    label,
    keyOf: await compileKey(by, clock),
    costOf: compileCost(config.cost),
    exempts: compileAllow(config.allow),
    charges,
    concurrency: config.concurrency === undefined ? undefined : limits.concurrency(identity, config.concurrency),
    usage: config.shadow && rate !== undefined ? limits.usage(identity, rate.windowMs) : undefined,
    isShadow: config.shadow,
    shows: {
      draft: !config.shadow && (config.headers === 'draft' || config.headers === 'both'),
      legacy: !config.shadow && (config.headers === 'legacy' || config.headers === 'both'),
    },
  };
}

function compileAllow(allow: readonly string[]): ((exchange: Exchange) => boolean) | undefined {
  if (allow.length === 0) return undefined;
  const networks = compileNetworks(allow.filter(isNetwork));
  const consumers = new Set(allow.filter((entry) => !isNetwork(entry)));
  return ({ consumer, clientAddress }) => consumers.has(consumer) || networks.contains(clientAddress);
}
