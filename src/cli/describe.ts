/** Routes in words: what a match asks for, and where its requests go. */
import type { RouteConfig } from '../config/schema.ts';
import type { Condition } from '../data/match/conditions.ts';
import type { Match } from '../data/match/matcher.ts';
import type { RewriteConfig } from '../config/rewrite-schema.ts';

export type RouteMatch = Match<RouteConfig>;

/** What `--json` says of a match. */
export function matchData({ rank, rule, scheme, host, path, methods, conditions }: RouteMatch) {
  return {
    rank: rank + 1,
    route: rule.name,
    scheme: scheme ?? null,
    host: host.text,
    path: path.kind === 'regex' ? { regex: path.text } : path.text,
    methods: methods === undefined ? null : [...methods],
    conditions: conditions.map(describeCondition),
    source: rule.source,
  };
}

export const describePath = ({ path }: RouteMatch) => (path.kind === 'regex' ? `~ ${path.text}` : path.text);

export const describeMethods = ({ methods }: RouteMatch) => (methods === undefined ? 'any' : [...methods].join(','));

export const describeConditions = ({ scheme, conditions }: RouteMatch) =>
  [...(scheme === undefined ? [] : [`scheme ${scheme}`]), ...conditions.map(describeCondition)].join(', ');

function describeCondition(condition: Condition): string {
  if (condition.source === 'client') return `client in ${condition.networks.texts.join(' or ')}`;
  if (condition.source === 'grpc') return 'is gRPC';
  const { source, name, test } = condition;
  switch (test.kind) {
    case 'exact':
      return `${source} ${name} = ${test.value}`;
    case 'regex':
      return `${source} ${name} ~ ${test.regex.pattern()}`;
    case 'present':
      return `${source} ${name} is ${test.wanted ? 'present' : 'absent'}`;
  }
}

/** One pool that may serve a route, and how the request is changed for it. */
export interface Destination {
  readonly pool: string;
  /** Of a split. */
  readonly weight?: number;
  readonly rewrite?: RewriteConfig;
}

/** None: the route answers itself. */
export function destinationsOf(route: RouteConfig): readonly Destination[] {
  const { pool, split, rewrite } = route;
  if (split !== undefined) {
    // A rewrite on a branch replaces the route's.
    return split.map((branch) => withRewrite({ pool: branch.pool, weight: branch.weight }, branch.rewrite ?? rewrite));
  }
  return pool === undefined ? [] : [withRewrite({ pool }, rewrite)];
}

function withRewrite(destination: Destination, rewrite: RewriteConfig | undefined): Destination {
  return rewrite === undefined ? destination : { ...destination, rewrite };
}

/** `orders`, `orders 95, orders-next 5`, `redirect 301 to https://…`. */
export function describeAction(route: RouteConfig): string {
  if (route.redirect === undefined) {
    return destinationsOf(route)
      .map(({ pool, weight }) => (weight === undefined ? pool : `${pool} ${weight}`))
      .join(', ');
  }
  const { status, to, ...parts } = route.redirect;
  const changes = Object.entries(parts).map(([part, value]) => `${part} ${value}`);
  return `redirect ${status} to ${to ?? changes.join(', ')}`;
}
