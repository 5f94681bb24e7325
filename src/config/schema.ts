/**
 * The configuration language: one TypeBox source for the types below, validation, `routes.d/schema.json` and the
 * reference pages. Plugins add their keys to a route through the folder scan (src/extension.ts); their types join
 * `RouteConcerns` by declaration merging. Every description is read by users: in editors and in docs/reference.
 *
 * "Config" types are what the code sees: decoded (milliseconds, bytes, shares) and with defaults filled in.
 */
import Type, { type StaticDecode, type TSchema } from 'typebox';
import { Duration, Percent, Size } from './units.ts';
import { ExplainSchema, RouteExplainSchema, type ExplainConfig, type RouteExplainConfig } from './explain-schema.ts';
import { IdentitySchema, type IdentityConfig } from './identity-schema.ts';
import { ListenerSchema, type ListenerConfig } from './listener-schema.ts';
import type { SourceSettings } from './discover-schema.ts';
import { poolSchema, type PoolConfig } from './pool-schema.ts';
import { ConsumerSchema, GroupSchema, type ConsumerConfig, type GroupConfig } from './consumer-schema.ts';
import { CacheMemorySchema, type CacheMemoryConfig } from './cache-schema.ts';
import { GatewaySecret } from './sticky-schema.ts';
import { StoreSchema, type StoreConfig } from './store-schema.ts';
import { NamedLimitsSchema, type LimitConfig } from './rate-limit-schema.ts';
import { PrioritySchema } from './saturation-schema.ts';
import type { Priority } from '../priority.ts';
import { Name, object, oneOrMany, settings, Text, TextPattern } from './shapes.ts';
import { WebsocketSchema, type WebsocketConfig } from './websocket-schema.ts';

export * from './cache-schema.ts';
export * from './consumer-schema.ts';
export type { DiscoverConfig } from './discover-schema.ts';
export type { ExplainConfig } from './explain-schema.ts';
export * from './identity-schema.ts';
export * from './listener-schema.ts';
export * from './pool-schema.ts';
export * from './rate-limit-schema.ts';
export type { AdaptiveLimitConfig, MaxInFlightConfig, QueueConfig } from './saturation-schema.ts';
export type { CookieStickyConfig, StickyConfig, TableStickyConfig } from './sticky-schema.ts';
export * from './store-schema.ts';
export * from './websocket-schema.ts';

// --- routes ----------------------------------------------------------------------------------------------------------

const Condition = Type.Union(
  [
    Type.String({ description: 'Exactly this value.' }),
    TextPattern,
    object({ present: Type.Boolean({ description: 'Whether the name must be there at all.' }) }),
  ],
  { description: 'A value, { regex: … }, or { present: true | false }.' },
);

const Conditions = (description: string) => Type.Record(Type.String(), Condition, { description });

export const MatchSchema = object({
  scheme: Type.Optional(
    Type.Enum(['http', 'https'], {
      description:
        'How the client speaks; where a trusted proxy stands between, what X-Forwarded-Proto says. It outweighs host and path: `scheme: http` alone takes all that comes without TLS.',
    }),
  ),
  host: Type.Optional(
    oneOrMany(Text('api.example.com, or *.example.com for any name below it.'), 'Host names, without port.'),
  ),
  path: Type.Optional(
    Type.Union(
      [
        Type.String({
          pattern: '^/',
          title: 'path',
          examples: ['/orders', '/orders/*'],
          description: '/x exactly, or /x/* for /x and all below it.',
        }),
        TextPattern,
      ],
      {
        description:
          'Exact path, whole-segment prefix (/x/*), or { regex: … } over the whole path. Default: every path.',
      },
    ),
  ),
  methods: Type.Optional(
    Type.Array(Type.String({ pattern: '^[A-Z][A-Z-]*$', title: 'method', examples: ['GET', 'POST'] }), {
      minItems: 1,
      description: 'Default: every method.',
    }),
  ),
  grpc: Type.Optional(
    Type.String({
      minLength: 1,
      title: 'gRPC service or method',
      examples: ['shop.Orders/Get', 'shop.Orders'],
      description:
        'Calls of gRPC: package.Service/Method, package.Service for all methods of a service, or * for all calls. Says path and methods, and that the route carries gRPC: see timeout and limits.body.',
    }),
  ),
  headers: Type.Optional(Conditions('All must hold.')),
  query: Type.Optional(Conditions('All must hold; of a repeated parameter the first value counts.')),
  cookies: Type.Optional(Conditions('All must hold.')),
  client: Type.Optional(
    object(
      { cidr: oneOrMany(Text('10.0.0.0/8, or 2001:db8::/32.'), 'Networks of the client.') },
      'Where the client is.',
    ),
  ),
});

export const TimeoutSchema = settings(
  {
    head: Duration('Until the answer’s head has arrived, over all tries. Of gRPC routes: as streamIdle.', '15s'),
    total: Type.Optional(Duration('Until the answer is complete, over all tries. Event streams are exempt.')),
    perTry: Type.Optional(
      Duration('Until one try’s head has arrived. Default: 5s where a timeout may be retried, else as head.'),
    ),
    idle: Duration('Without a byte in either direction, once the head is there.', '60s'),
    streamIdle: Duration('The same for event streams (text/event-stream) and calls of gRPC.', '5m'),
  },
  'How long each part of an exchange may take.',
);

export const RouteLimitsSchema = settings(
  {
    body: Type.Union([Size('Largest request body.', '1MiB'), Type.Literal('none')], {
      default: '1MiB',
      description: 'Largest request body (413 beyond it), or none. Of gRPC routes: none.',
    }),
    encodedSlashes: Type.Enum(['refuse', 'allow'], {
      default: 'refuse',
      description:
        'Whether a path may hold %2F or %5C. Allowed ones are passed on as they are and never split a segment.',
    }),
    target: Type.Optional(Size('Longest request target (414). Default: the listener’s.')),
    headers: Type.Optional(Size('Largest header block (431). Default: the listener’s.')),
    fields: Type.Optional(
      Type.Integer({ minimum: 1, description: 'Most header fields (431). Default: the listener’s.' }),
    ),
    query: Type.Integer({ minimum: 0, default: 1000, description: 'Most query parameters (400).' }),
    cookies: Type.Integer({ minimum: 0, default: 200, description: 'Most cookies (431).' }),
  },
  'What a request on this route may bring.',
);

/** Keys that plugins add to a route, merged in by each plugin's own folder. All are decoded. */
// eslint-disable-next-line @typescript-eslint/no-empty-object-type
export interface RouteConcerns {}

export type MatchConfig = StaticDecode<typeof MatchSchema>;
export type ConditionConfig = StaticDecode<typeof Condition>;
export type TimeoutConfig = StaticDecode<typeof TimeoutSchema>;
export type RouteLimitsConfig = StaticDecode<typeof RouteLimitsSchema>;
export interface RouteConfig extends Partial<RouteConcerns> {
  name: string;
  source: string;
  match: MatchConfig[];
  /** Absent when a plugin answers (redirect) or chooses the pool (split). */
  pool?: string;
  timeout: TimeoutConfig;
  limits: RouteLimitsConfig;
  websocket: WebsocketConfig;
  /** Absent: normal. */
  priority?: Priority;
  explain?: RouteExplainConfig;
}

/** What a route and `defaults` share: the core's keys and the plugins'. */
const routeSettings = (concerns: Record<string, TSchema>) => ({
  timeout: TimeoutSchema,
  limits: RouteLimitsSchema,
  websocket: WebsocketSchema,
  priority: Type.Optional(
    PrioritySchema(
      'Whose requests go first where a pool is full, and are refused last when the gateway is overloaded. Default: normal. A consumer’s own counts for more where requests wait.',
    ),
  ),
  explain: Type.Optional(RouteExplainSchema),
  ...Object.fromEntries(Object.entries(concerns).map(([key, schema]) => [key, Type.Optional(schema)])),
});

/** One route. @param concerns route keys of the plugins. */
export const routeSchema = (concerns: Record<string, TSchema>) =>
  object({
    name: Name('Names the route in logs, metrics and the command line.'),
    match: Type.Optional(
      oneOrMany(MatchSchema, 'Which requests: conditions that must all hold, or a list of which any may.'),
    ),
    pool: Type.Optional(Text('The pool that serves it.')),
    ...routeSettings(concerns),
  });

/** One file of routes.d. @param concerns route keys of the plugins. */
export const routeFileSchema = (
  concerns: Record<string, TSchema>,
  balancers: readonly string[],
  sources: readonly SourceSettings[],
) =>
  object({
    pools: Type.Optional(
      Type.Record(Type.String(), poolSchema(balancers, sources), {
        description: 'Services and their instances, by name.',
      }),
    ),
    routes: Type.Optional(Type.Array(routeSchema(concerns), { description: 'Which requests go where.' })),
  });

// --- gateway.yaml ----------------------------------------------------------------------------------------------------

export const gatewayFileSchema = (concerns: Record<string, TSchema>) =>
  object({
    listen: Type.Array(ListenerSchema, {
      minItems: 1,
      default: [{ port: 8080 }],
      description: 'Where clients connect.',
    }),
    threads: Type.Union([Type.Literal('auto'), Type.Integer({ minimum: 1, maximum: 64 })], {
      default: 'auto',
      description: 'Data threads; auto is one per processor.',
    }),
    zone: Type.Optional(Text('Where this gateway is, such as ${ZONE}: endpoints of the same zone are preferred.')),
    trustedProxies: Type.Array(Text('A network, such as 10.0.0.0/8.'), {
      default: [],
      description: 'Peers whose X-Forwarded-*, Forwarded and request id are believed.',
    }),
    admin: settings(
      {
        host: Type.String({ default: '127.0.0.1', description: 'Address of the admin server.' }),
        port: Type.Integer({ minimum: 0, maximum: 65535, default: 9901, description: 'Its port; 0 takes a free one.' }),
        token: Type.Optional(
          Type.String({ minLength: 16, description: 'Bearer token; required when not on loopback.' }),
        ),
      },
      'Health, metrics, state and reload.',
    ),
    drain: settings(
      {
        delay: Duration('After readiness fails, before new connections are refused.', '5s'),
        timeout: Duration('For what is in flight, after that.', '30s'),
      },
      'What SIGTERM does.',
    ),
    accessLog: settings(
      {
        enabled: Type.Boolean({ default: true, description: 'One line per request on standard output.' }),
        sample: Percent('Share of successful requests that is logged; failures always are.', '100%'),
        file: Type.Optional(Text('File to append to, instead of standard output.')),
      },
      'The access log.',
    ),
    explain: ExplainSchema,
    metrics: settings(
      {
        maxRoutes: Type.Integer({
          minimum: 1,
          default: 1000,
          description: 'Routes with series of their own; the rest share __other__.',
        }),
        maxEndpoints: Type.Integer({ minimum: 1, default: 1000, description: 'Likewise for endpoints.' }),
      },
      'Bounds on cardinality.',
    ),
    shed: settings(
      {
        loopDelay: Duration('Event-loop delay beyond which requests are refused.', '200ms'),
        heap: Percent('Share of the heap limit beyond which they are.', '85%'),
        memory: Type.Optional(
          Size(
            'Resident memory of the process beyond which they are. Default: 90 % of what the container may have, where it has a limit.',
          ),
        ),
        bodies: Size('Request bodies that each thread may hold for plugins that read them whole (503).', '64MiB'),
      },
      'Overload of the gateway itself: requests are refused with 503, those of routes with a low priority first, and more of them the longer it lasts.',
    ),
    requestIdHeader: Type.String({
      default: 'x-request-id',
      pattern: '^[a-z0-9-]+$',
      title: 'field name in lower case',
      examples: ['x-request-id'],
      description: 'Carries the request id.',
    }),
    store: StoreSchema,
    secret: Type.Optional(GatewaySecret),
    cache: CacheMemorySchema,
    consumers: Type.Array(ConsumerSchema, {
      default: [],
      description: 'Known callers; also one file each in consumers.d/.',
    }),
    groups: Type.Record(Type.String(), GroupSchema, {
      default: {},
      description: 'Groups of consumers (tenants, plans) that share something, by name.',
    }),
    rateLimits: NamedLimitsSchema,
    identity: Type.Optional(IdentitySchema),
    defaults: Type.Optional(
      object(routeSettings(concerns), 'Settings of every route; a route overrides them key by key.'),
    ),
  });

export interface GatewayConfig {
  listen: ListenerConfig[];
  threads: 'auto' | number;
  zone?: string;
  trustedProxies: string[];
  admin: { host: string; port: number; token?: string };
  drain: { delay: number; timeout: number };
  accessLog: { enabled: boolean; sample: number; file?: string };
  explain: ExplainConfig;
  metrics: { maxRoutes: number; maxEndpoints: number };
  shed: { loopDelay: number; heap: number; memory?: number; bodies: number };
  requestIdHeader: string;
  store: StoreConfig;
  secret?: string | string[];
  cache: CacheMemoryConfig;
  groups: Record<string, GroupConfig>;
  identity?: IdentityConfig;
  rateLimits: Record<string, LimitConfig>;
}

/** Everything that was loaded, decoded, checked and resolved: plain data, so that it can cross to the threads. */
export interface Config {
  /** The directory that paths were resolved against. */
  dir: string;
  /** A hash of the contents: the same files give the same revision. */
  revision: string;
  gateway: GatewayConfig;
  pools: PoolConfig[];
  /** In file and document order, which is the last word in precedence. */
  routes: RouteConfig[];
  /** Of gateway.yaml and consumers.d. Data threads have them in a form of their own: ConsumerDirectory. */
  consumers: ConsumerConfig[];
  /** URLs that the control plane fetches for the plugins. */
  documents: string[];
}
