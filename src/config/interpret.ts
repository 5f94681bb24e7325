/**
 * A document that was read → what it says: pools, routes and settings in the form that the code sees, each with the
 * place where it was written. Everything that one file can get wrong by itself is found here.
 */
import { resolve } from 'node:path';
import type { AnyPlugin, ConfigFault } from '../extension.ts';
import { checkDiscovery } from './check-discovery.ts';
import { checkGateway } from './check-gateway.ts';
import { checkListenerTls } from './check-listener-tls.ts';
import { checkPool } from './check-pool.ts';
import { checkRoute } from './check-route.ts';
import { acmeFrom, checkAcme } from './check-acme.ts';
import { complete } from './complete.ts';
import { child, pointer, type Document } from './document.ts';
import { withGrpcDefaults } from './grpc-defaults.ts';
import type { Language } from './language.ts';
import { isObject, merge } from './merge.ts';
import type { SourceDefinitions } from '../discovery/source.ts';
import { fallbackFrom, slowStartFrom } from './interpret-failover.ts';
import { optionFiles, type OptionFiles } from './option-files.ts';
import { interpretIdentity } from './interpret-identity.ts';
import { placeConsumers } from './interpret-consumers.ts';
import type { SlowStartConfig, WrittenFallback } from './failover-schema.ts';
import { isError, type Problem } from './problem.ts';
import type {
  ConsumerConfig,
  GatewayConfig,
  ListenerConfig,
  ListenerTlsConfig,
  MatchConfig,
  PoolConfig,
  RouteConfig,
  UpstreamTlsConfig,
  WrittenListenerTls,
} from './schema.ts';
import { validate } from './validate.ts';

/** A part of the configuration and where it was written. */
export interface Placed<Config> {
  readonly config: Config;
  readonly document: Document;
  /** JSON pointer. */
  readonly at: string;
}

export interface GatewayFile {
  readonly config: GatewayConfig;
  readonly consumers: readonly Placed<ConsumerConfig>[];
  /** What lies under each route, as it was written. */
  readonly defaults: unknown;
}

export interface RouteFile {
  readonly document: Document;
  readonly pools: readonly Placed<PoolConfig>[];
  readonly routes: readonly Placed<RouteConfig>[];
}

/** `meaning` is absent when there are errors. */
export interface Interpreted<Meaning> {
  readonly meaning?: Meaning;
  readonly problems: readonly Problem[];
}

/** @param dir what paths of files are relative to. */
export function interpretGateway(document: Document, dir: string, language: Language): Interpreted<GatewayFile> {
  const invalid = validate(language.checkGatewayFile, document.value, document);
  if (invalid.length > 0) return { problems: invalid };
  const { defaults = {}, ...settings } = document.value as Record<string, unknown>;
  const written = complete(language.schemas.gatewayFile, settings) as WrittenGateway;
  const listen = written.listen.map((listener) => listenerFrom(listener, dir));
  const { consumers, ...own } = written;
  const identity = own.identity && interpretIdentity(own.identity, document, dir);
  const config: GatewayConfig = { ...own, listen, ...(identity?.meaning && { identity: identity.meaning }) };
  const placed = placeConsumers(consumers, document);
  const problems = [
    ...checkGateway(config, document),
    ...checkListenerTls(written.listen, document, dir),
    ...checkAcme(written.listen, document, dir),
    ...placed.problems,
    ...(identity?.problems ?? []),
  ];
  return unlessWrong({ config, consumers: placed.meaning ?? [], defaults }, problems);
}

/** @param defaults of the gateway file. @param dir what paths of files are relative to. */
export function interpretRoutes(
  document: Document,
  defaults: unknown,
  dir: string,
  language: Language,
): Interpreted<RouteFile> {
  const written = withDefaults(document.value, defaults, language.plugins);
  const invalid = validate(language.checkRouteFile, written, document);
  if (invalid.length > 0) return { problems: invalid };
  const { pools = {}, routes = [] } = written as {
    pools?: Record<string, unknown>;
    routes?: Record<string, unknown>[];
  };
  const { schemas } = language;
  const problems: Problem[] = [];

  const placedPools = Object.entries(pools).map(([name, pool]): Placed<PoolConfig> => {
    const at = child('/pools', name);
    const written = complete(schemas.pool, withObjects(pool)) as WrittenPool;
    const plain = poolFrom(name, document.source(at), written, language.sources);
    const { config, problems: unread } = withFallback(plain, written.fallback, document, at, dir);
    problems.push(...unread);
    problems.push(...checkPool(config, document, at, dir));
    problems.push(...checkDiscovery(config, document, at, dir, language.sources));
    return { config: resolveFiles(config, dir), document, at };
  });
  const placedRoutes = routes.map((route, index): Placed<RouteConfig> => {
    const at = `/routes/${index}`;
    const plain = routeFrom(document.source(at), complete(schemas.route, withGrpcDefaults(route)) as WrittenRoute);
    const { config, faults } = withOptionFiles(plain, optionFiles(dir, document.attached), language.plugins);
    problems.push(...faults.map(({ path, message }) => document.error(document.valueAt(at + pointer(path)), message)));
    problems.push(...checkRoute(config, document, at));
    return { config: { ...config, match: config.match.map(withLowerCase) }, document, at };
  });
  return unlessWrong({ document, pools: placedPools, routes: placedRoutes }, problems);
}

function unlessWrong<Meaning>(meaning: Meaning, problems: readonly Problem[]): Interpreted<Meaning> {
  return problems.some(isError) ? { problems } : { meaning, problems };
}

function withDefaults(file: unknown, defaults: unknown, plugins: readonly AnyPlugin[]): unknown {
  if (!isObject(file) || !Array.isArray(file.routes)) return file;
  const complete = (route: unknown) => (isObject(route) ? merge(inherited(defaults, route, plugins), route) : route);
  return { ...file, routes: file.routes.map(complete) };
}

/** What of the defaults lies under the route: of some plugins not all, once the route has options of its own. */
function inherited(defaults: unknown, route: Record<string, unknown>, plugins: readonly AnyPlugin[]): unknown {
  if (!isObject(defaults)) return defaults;
  const left = { ...defaults };
  for (const { name, inherits } of plugins) {
    const under = left[name];
    if (inherits === undefined || route[name] === undefined || !isObject(under)) continue;
    left[name] = Object.fromEntries(Object.entries(under).filter(([key]) => inherits.includes(key)));
  }
  return left;
}

// --- the form that the code sees -------------------------------------------------------------------------------------

type WrittenPool = Omit<PoolConfig, 'endpoints' | 'slowStart' | 'fallback'> & {
  endpoints?: PoolConfig['endpoints'];
  slowStart?: number | SlowStartConfig;
  fallback?: WrittenFallback;
};

/** `- http://…` is short for `- { url: http://… }`, `maxInFlight: 1000` for `maxInFlight: { max: 1000 }`. */
function withObjects(pool: unknown): unknown {
  const { endpoints, maxInFlight, ...others } = pool as { endpoints?: readonly unknown[]; maxInFlight?: unknown };
  const isLimited = maxInFlight !== undefined || endpoints?.some((one) => isObject(one) && 'maxInFlight' in one);
  const limit = typeof maxInFlight === 'number' ? { max: maxInFlight } : (maxInFlight ?? {});
  const rest = isLimited === true ? { ...others, maxInFlight: limit } : others;
  if (endpoints === undefined) return rest;
  return {
    ...rest,
    endpoints: endpoints.map((endpoint) => (typeof endpoint === 'string' ? { url: endpoint } : endpoint)),
  };
}

function poolFrom(name: string, source: string, pool: WrittenPool, sources: SourceDefinitions): PoolConfig {
  const { endpoints = [], discover, slowStart, fallback: _, ...rest } = pool;
  return {
    ...rest,
    name,
    source,
    endpoints: endpoints.map((endpoint) => ({ ...endpoint, url: originOf(endpoint.url) })),
    ...(discover && { discover: { ...discover, kind: kindOf(discover, sources) } }),
    ...(slowStart !== undefined && { slowStart: slowStartFrom(slowStart) }),
  };
}

function withFallback(
  pool: PoolConfig,
  written: WrittenFallback | undefined,
  document: Document,
  at: string,
  dir: string,
): { readonly config: PoolConfig; readonly problems: readonly Problem[] } {
  if (written === undefined) return { config: pool, problems: [] };
  const files = optionFiles(dir, document.attached);
  const { fallback, problems } = fallbackFrom(written, document, `${at}/fallback`, files);
  return { config: { ...pool, fallback }, problems };
}

/** The schema has seen to it that there is one. */
const kindOf = (discover: object, sources: SourceDefinitions) => [...sources.keys()].find((name) => name in discover)!;

/** Scheme and host in lower case, no default port, no trailing slash: two spellings of one address are one endpoint. */
function originOf(url: string): string {
  return URL.canParse(url) ? new URL(url).origin : url;
}

function resolveFiles(pool: PoolConfig, dir: string): PoolConfig {
  if (pool.tls === undefined) return pool;
  const tls: UpstreamTlsConfig = { ...pool.tls };
  for (const key of ['ca', 'cert', 'key'] as const) if (tls[key] !== undefined) tls[key] = resolve(dir, tls[key]);
  return { ...pool, tls };
}

type WrittenListener = Omit<ListenerConfig, 'tls'> & { tls?: WrittenListenerTls };
type WrittenGateway = Omit<GatewayConfig, 'listen'> & { listen: WrittenListener[]; consumers: ConsumerConfig[] };

function listenerFrom({ tls, ...listener }: WrittenListener, dir: string): ListenerConfig {
  if (tls === undefined) return listener;
  const { cert, key, ocsp, certificates = [], acme, clientCa, minVersion } = tls;
  // One that is half written is refused by its check.
  const written = cert === undefined || key === undefined ? certificates : [{ cert, key, ...(ocsp && { ocsp }) }];
  const resolved: ListenerTlsConfig = {
    certificates: written.map((files) => ({
      cert: resolve(dir, files.cert),
      key: resolve(dir, files.key),
      ...(files.ocsp && { ocsp: resolve(dir, files.ocsp) }),
    })),
    ...(acme && { acme: acmeFrom(acme, dir) }),
    ...(clientCa === undefined ? {} : { clientCa: resolve(dir, clientCa) }),
    clientAuth: tls.clientAuth ?? (clientCa === undefined ? 'none' : 'require'),
    minVersion,
  };
  return { ...listener, tls: resolved };
}

type WrittenRoute = Omit<RouteConfig, 'match' | 'source'> & { match?: MatchConfig | MatchConfig[] };

function routeFrom(source: string, route: WrittenRoute): RouteConfig {
  const { match = {}, ...rest } = route;
  return { ...rest, source, match: Array.isArray(match) ? match : [match] } as RouteConfig;
}

/** The route with its plugins' options resolved. */
function withOptionFiles(route: RouteConfig, files: OptionFiles, plugins: readonly AnyPlugin[]) {
  const config = { ...route } as RouteConfig & Record<string, unknown>;
  const faults: ConfigFault[] = [];
  for (const { name, resolve: resolveOptions } of plugins) {
    const options = config[name];
    if (resolveOptions === undefined || options === undefined || options === false) continue;
    try {
      config[name] = resolveOptions(options, files);
    } catch (error) {
      const { path = [], message } = error as Partial<ConfigFault> & Error;
      faults.push({ path: [name, ...path], message: `${[name, ...path].join('.')}: ${message}` });
      // Nothing more can be said of options that could not be read.
      delete config[name];
    }
  }
  return { config, faults };
}

/** RFC 9110 §4.2.3 and §5.1: hosts and field names do not depend on case. */
function withLowerCase(match: MatchConfig): MatchConfig {
  const { host, headers } = match;
  return {
    ...match,
    ...(host === undefined
      ? {}
      : { host: typeof host === 'string' ? host.toLowerCase() : host.map((name) => name.toLowerCase()) }),
    ...(headers === undefined
      ? {}
      : { headers: Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value])) }),
  };
}
