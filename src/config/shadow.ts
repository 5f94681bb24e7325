/**
 * Routes that can never match, because others take all their requests first. Conservative: what it names is certain,
 * what it does not name may still be shadowed by several routes together, or by conditions that imply each other.
 */
import { expandGrpc } from '../data/match/grpc.ts';
import { compileHosts } from '../data/match/host-pattern.ts';
import { compilePath, type PathPattern } from '../data/match/path-pattern.ts';
import type { MatchConfig, RouteConfig } from './schema.ts';

/** @param routes in file and document order, with patterns that compile. @returns for each shadowed route, the one that takes its requests. */
export function findShadowed(routes: readonly RouteConfig[]): ReadonlyMap<RouteConfig, RouteConfig> {
  const alternatives = routes.flatMap((route, order) =>
    route.match.flatMap((match) => alternativesOf(route, order, match)),
  );
  const byPlace = Map.groupBy(alternatives, ({ host, path }) => `${host} ${path.text}`);
  const shadowed = new Map<RouteConfig, RouteConfig>();
  for (const [route, own] of Map.groupBy(alternatives, (alternative) => alternative.route)) {
    const takers = own.map((alternative) => takerOf(alternative, byPlace));
    const [taker] = takers;
    if (taker !== undefined && takers.every((found) => found !== undefined)) shadowed.set(route, taker.route);
  }
  return shadowed;
}

/** A text that is equal for routes that match the same requests by the same conditions. */
export function conditionsOf(route: RouteConfig): string {
  const texts = route.match.flatMap((match) =>
    alternativesOf(route, 0, match).map(({ host, path, methods, rest }) =>
      JSON.stringify([host, path.kind, path.text, [...(methods ?? [])].sort(), rest]),
    ),
  );
  return [...new Set(texts)].sort().join();
}

/** One way to match a route, on one host. */
interface Alternative {
  readonly route: RouteConfig;
  readonly order: number;
  readonly host: string;
  readonly path: PathPattern;
  readonly methods: ReadonlySet<string> | undefined;
  /** All other conditions. */
  readonly rest: string;
}

const NONE = JSON.stringify({});

function alternativesOf(route: RouteConfig, order: number, match: MatchConfig): Alternative[] {
  const { host, path, methods, ...others } = expandGrpc(match);
  return compileHosts(host).map((pattern) => ({
    route,
    order,
    host: pattern.text,
    path: compilePath(path),
    methods: methods && new Set(methods),
    rest: canonical(others),
  }));
}

function takerOf(
  alternative: Alternative,
  byPlace: ReadonlyMap<string, readonly Alternative[]>,
): Alternative | undefined {
  const { host, path } = alternative;
  return (
    byPlace.get(`${host} ${path.text}`)?.find((other) => comesFirst(other, alternative)) ??
    // A regex ranks below every prefix that holds all it can match.
    prefixesAbove(path)
      .flatMap((prefix) => byPlace.get(`${host} ${prefix}`) ?? [])
      .find((other) => other.route !== alternative.route && other.methods === undefined && other.rest === NONE)
  );
}

/** On the same host and path. */
function comesFirst(other: Alternative, alternative: Alternative): boolean {
  if (other.order >= alternative.order || other.rest !== alternative.rest) return false;
  if (other.methods === undefined || alternative.methods === undefined) return other.methods === alternative.methods;
  return [...alternative.methods].every((method) => other.methods?.has(method));
}

/** `/orders/*` for the regex `/orders/[0-9]+`. */
function prefixesAbove(path: PathPattern): string[] {
  if (path.kind !== 'regex') return [];
  const segments = path.literal.split('/').slice(1, -1);
  return segments.map((_, index) => `/${segments.slice(0, index + 1).join('/')}/*`);
}

/** Keys in order, so that equal conditions have equal texts. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) =>
    typeof part === 'object' && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
}
