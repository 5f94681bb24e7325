/** Limits as they are written → one by one, each under the name that its counts have and the one that clients see. */
import type { Config, LimitConfig, LimitKey, LimitReference, RateLimitConfig } from '../config/schema.ts';
import { calendar, NOMINAL_MS } from './calendar.ts';
import type { QuotaSpec, RateSpec } from './limiter.ts';

export interface WrittenLimit {
  /** `named:partners`, `route:orders:default`: what its counts are kept under, through reloads. */
  readonly identity: string;
  /** What answers, problems and logs call it. */
  readonly label: string;
  /** `group:partners`: all that are charged, under that key. */
  readonly by: LimitKey | Owner;
  readonly config: LimitConfig;
}

/** Whose limits: `route:orders`, `consumer:mobile`, `group:partners`. */
export type Owner = `${'route' | 'consumer' | 'group'}:${string}`;

type Named = Readonly<Record<string, LimitConfig>>;

/** @param named of gateway.yaml. A name that is not there is left out: the loader has refused it. */
export function writtenLimits(written: RateLimitConfig, owner: Owner, named: Named): WrittenLimit[] {
  return listOf(written).flatMap((reference, index): WrittenLimit[] => {
    const name = nameIn(reference);
    const config = name === undefined ? (reference as LimitConfig) : named[name];
    if (config === undefined) return [];
    const label = name ?? labelOf(config, index, owner);
    const identity = name === undefined ? `${owner}:${label}` : `named:${name}`;
    const { by = 'consumer' } = config;
    const isGroups = owner.startsWith('group:') && (config.by === undefined || by === 'group');
    return [{ identity, label, by: isGroups ? owner : by, config }];
  });
}

export const listOf = (written: RateLimitConfig): LimitReference[] => (Array.isArray(written) ? written : [written]);

/** Of a reference to a named limit. */
export function nameIn(reference: LimitReference): string | undefined {
  if (typeof reference === 'string') return reference;
  return 'use' in reference ? reference.use : undefined;
}

/** Those of a caller stand beside those of the route: they are told apart. */
export function labelOf({ name }: LimitConfig, index: number, owner: Owner): string {
  const [kind] = owner.split(':');
  const base = kind === 'route' ? 'default' : kind!;
  return name ?? (index === 0 ? base : `${base}-${index + 1}`);
}

export interface OwnedLimits {
  readonly owner: Owner;
  readonly limits: readonly WrittenLimit[];
}

/** All that a configuration has, by owner. */
export function allLimits({ gateway, routes, consumers }: Config): OwnedLimits[] {
  const owned: [Owner, RateLimitConfig | false | undefined][] = [
    ...routes.map((route) => [`route:${route.name}`, rateLimitOf(route)] as const),
    ...consumers.map(({ name, rateLimit }) => [`consumer:${name}`, rateLimit] as const),
    ...Object.entries(gateway.groups).map(([name, { rateLimit }]) => [`group:${name}`, rateLimit] as const),
  ].map(([owner, written]) => [owner as Owner, written]);
  return owned.flatMap(([owner, written]) =>
    written === undefined || written === false
      ? []
      : [{ owner, limits: writtenLimits(written, owner, gateway.rateLimits) }],
  );
}

/** The route's own key belongs to plugins/rate-limit, which joins the types of routes from outside. */
const rateLimitOf = (route: object) => (route as { rateLimit?: RateLimitConfig | false }).rateLimit;

export function rateSpecOf({ identity, config }: WrittenLimit): RateSpec | undefined {
  const { max, per, algorithm, burst, onStoreFailure } = config;
  if (max === undefined || per === undefined) return undefined;
  const most = algorithm === 'gcra' ? (burst ?? max) : max;
  return { name: identity, max, windowMs: per, algorithm, burst: most, ...(onStoreFailure && { onStoreFailure }) };
}

export function quotaSpecOf({ identity, config }: WrittenLimit): QuotaSpec | undefined {
  const { quota, onStoreFailure } = config;
  if (quota === undefined) return undefined;
  const { max, per, timeZone } = quota;
  return {
    name: `${identity}:quota`,
    max,
    windowMs: NOMINAL_MS[per],
    algorithm: 'quota',
    burst: max,
    periodAt: calendar(per, timeZone),
    ...(onStoreFailure && { onStoreFailure }),
  };
}

/** An entry of `allow` is a network or the name of a consumer, which has neither slash nor colon, and is no address. */
export const isNetwork = (entry: string): boolean => /[/:]/.test(entry) || /^\d+\.\d+\.\d+\.\d+$/.test(entry);
