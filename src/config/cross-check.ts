/** What files can only get wrong together: names that two of them take or none has, routes that stand in each other's way. */
import type { AnyPlugin, ConfigFault } from '../extension.ts';
import { checkFallbacks } from './check-failover.ts';
import { checkPatience } from './check-saturation.ts';
import { child, pointer, type Document } from './document.ts';
import type { Placed, RouteFile } from './interpret.ts';
import { didYouMean } from './nearest.ts';
import { isError, type Problem } from './problem.ts';
import type { GatewayConfig, PoolConfig, RouteConfig } from './schema.ts';
import { conditionsOf, findShadowed } from './shadow.ts';

/** @param known names of pools, also of those in files that have other faults. */
export function crossCheck(
  files: readonly RouteFile[],
  known: ReadonlySet<string>,
  plugins: readonly AnyPlugin[],
): Problem[] {
  const pools = files.flatMap((file) => file.pools);
  const routes = files.flatMap((file) => file.routes);
  return [
    ...duplicatePools(pools),
    ...duplicateRoutes(routes),
    ...routes.flatMap((route) => checkDestination(route, known, plugins)),
    ...checkFallbacks(pools, known),
    ...checkPatience(routes, pools),
    ...equalRoutes(routes),
    ...shadowedRoutes(routes),
    ...unusedPools(pools, routes, plugins),
  ];
}

function duplicatePools(pools: readonly Placed<PoolConfig>[]): Problem[] {
  const first = new Map<string, string>();
  return pools.flatMap(({ config, document, at }) => {
    const earlier = first.get(config.name);
    if (earlier === undefined) first.set(config.name, config.source);
    return earlier === undefined
      ? []
      : [document.error(document.keyAt(at), `pool '${config.name}' is defined twice: first at ${earlier}`)];
  });
}

function duplicateRoutes(routes: readonly Placed<RouteConfig>[]): Problem[] {
  const first = new Map<string, string>();
  return routes.flatMap(({ config, document, at }) => {
    const earlier = first.get(config.name);
    if (earlier === undefined) first.set(config.name, config.source);
    const place = document.valueAt(`${at}/name`);
    return earlier === undefined
      ? []
      : [document.error(place, `route '${config.name}' is defined twice: first at ${earlier}`)];
  });
}

// --- where a route leads ---------------------------------------------------------------------------------------------

/** The keys of a route that say where its requests end. One of them, no more, no less. */
const DESTINATIONS = ['pool', 'redirect', 'split'];

function checkDestination(
  route: Placed<RouteConfig>,
  known: ReadonlySet<string>,
  plugins: readonly AnyPlugin[],
): Problem[] {
  const { config, document, at } = route;
  const faults = pluginFaults(route, known, plugins);
  const { pool } = config;
  if (pool !== undefined && !known.has(pool)) {
    const hint = didYouMean(pool, known) ?? 'define it under pools:';
    faults.push(document.error(document.valueAt(`${at}/pool`), `no pool is named '${pool}'`, hint));
  }
  if (faults.some(isError)) return faults;
  const given = DESTINATIONS.filter((key) => key in config);
  if (given.length === 1) return faults;
  const [, second] = given;
  return [
    second === undefined
      ? document.error(
          document.valueAt(at),
          `route '${config.name}' leads nowhere`,
          `give it one of ${DESTINATIONS.join(', ')}`,
        )
      : document.error(
          document.keyAt(child(at, second)),
          `route '${config.name}' has ${given.join(' and ')}: only one can be`,
        ),
  ];
}

function pluginFaults(
  { config, document, at }: Placed<RouteConfig>,
  known: ReadonlySet<string>,
  plugins: readonly AnyPlugin[],
): Problem[] {
  return plugins.flatMap((plugin) => {
    const options = optionsOf(plugin, config);
    if (options === undefined || plugin.check === undefined) return [];
    return plugin.check(options, config, known).map((fault) => problemOf(fault, plugin.name, document, at));
  });
}

/** What plugins need of gateway.yaml and do not find there. */
export function checkAgainstGateway(
  routes: readonly Placed<RouteConfig>[],
  gateway: GatewayConfig,
  plugins: readonly AnyPlugin[],
): Problem[] {
  return routes.flatMap(({ config, document, at }) =>
    plugins.flatMap((plugin) => {
      const options = optionsOf(plugin, config);
      const faults = options === undefined ? [] : (plugin.checkGateway?.(options, gateway) ?? []);
      return faults.map((fault) => problemOf(fault, plugin.name, document, at));
    }),
  );
}

function problemOf(
  { path, message, severity = 'error' }: ConfigFault,
  name: string,
  document: Document,
  at: string,
): Problem {
  const place = child(at, name) + pointer(path);
  return document[severity](
    path.length === 0 ? document.keyAt(place) : document.valueAt(place),
    `${[name, ...path].join('.')}: ${message}`,
  );
}

/** What the route says under the plugin's key. */
export const optionsOf = (plugin: AnyPlugin, route: RouteConfig): unknown =>
  (route as unknown as Record<string, unknown>)[plugin.name];

// --- routes in each other's way --------------------------------------------------------------------------------------

function equalRoutes(routes: readonly Placed<RouteConfig>[]): Problem[] {
  const first = new Map<string, RouteConfig>();
  return routes.flatMap(({ config, document, at }) => {
    const conditions = conditionsOf(config);
    const earlier = first.get(conditions);
    if (earlier === undefined) first.set(conditions, config);
    if (earlier === undefined || earlier.name === config.name) return [];
    return [
      document.error(
        document.keyAt(`${at}/match`),
        `duplicate route: '${config.name}' has the same conditions as '${earlier.name}' at ${earlier.source}`,
      ),
    ];
  });
}

function shadowedRoutes(routes: readonly Placed<RouteConfig>[]): Problem[] {
  const shadowed = findShadowed(routes.map((route) => route.config));
  return routes.flatMap(({ config, document, at }) => {
    const by = shadowed.get(config);
    if (by === undefined || conditionsOf(by) === conditionsOf(config)) return [];
    return [
      document.warning(
        document.keyAt(`${at}/match`),
        `route '${config.name}' never matches: '${by.name}' at ${by.source} takes its requests`,
      ),
    ];
  });
}

function unusedPools(
  pools: readonly Placed<PoolConfig>[],
  routes: readonly Placed<RouteConfig>[],
  plugins: readonly AnyPlugin[],
): Problem[] {
  const used = new Set([
    ...pools.map(({ config }) => config.fallback?.pool),
    ...routes.flatMap(({ config }) => [
      config.pool,
      ...plugins.flatMap((plugin) => {
        const options = optionsOf(plugin, config);
        return options === undefined ? [] : (plugin.pools?.(options) ?? []);
      }),
    ]),
  ]);
  return pools
    .filter(({ config }) => !used.has(config.name))
    .map(({ config, document, at }) =>
      document.warning(document.keyAt(at), `pool '${config.name}' is used by no route`),
    );
}
