/** The page /limits: every limit that serves, and of those in shadow what they have seen and would recommend. */
import { allLimits, type WrittenLimit } from '../../limits/written.ts';
import type { AdminView } from '../view.ts';

export function limitsPage({ config, limitUsage }: Pick<AdminView, 'config' | 'limitUsage'>): object {
  const owned = allLimits(config).flatMap(({ owner, limits }) => limits.map((limit) => ({ owner, limit })));
  const owners = Map.groupBy(owned, ({ limit }) => limit.identity);
  return {
    limits: [...owners].map(([name, uses]) => ({
      name,
      usedBy: uses.map(({ owner }) => owner),
      ...limitOf(uses[0]!.limit),
      ...(uses[0]!.limit.config.shadow ? { shadow: true, seen: limitUsage.view(name) ?? null } : {}),
    })),
  };
}

function limitOf({ label, by, config }: WrittenLimit): object {
  const { max, per, algorithm, burst, cost, concurrency, quota, allow } = config;
  return {
    label,
    by,
    ...(per === undefined ? {} : { algorithm, max, windowSeconds: per / 1000, burst }),
    ...(cost === 1 ? {} : { cost }),
    concurrency,
    quota,
    ...(allow.length === 0 ? {} : { allow }),
  };
}
