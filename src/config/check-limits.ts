/** Limits of routes beside those of the listeners, which are enforced before a route is known. */
import { child } from './document.ts';
import type { Placed } from './interpret.ts';
import type { Problem } from './problem.ts';
import type { ListenerConfig, RouteConfig } from './schema.ts';

const SHARED = ['target', 'headers', 'fields'] as const;

/** A route's limit that no request can reach, because every listener refuses it before. */
export function checkLimits(routes: readonly Placed<RouteConfig>[], listeners: readonly ListenerConfig[]): Problem[] {
  return routes.flatMap(({ config, document, at }) =>
    SHARED.flatMap((key) => {
      const most = Math.max(...listeners.map((listener) => listener.limits[key]));
      if ((config.limits[key] ?? 0) <= most) return [];
      const place = document.valueAt(child(child(at, 'limits'), key));
      return [
        document.warning(
          place,
          `limits.${key} of route '${config.name}' does nothing: every listener refuses what is over ${most}`,
          `raise limits.${key} of the listener too`,
        ),
      ];
    }),
  );
}
