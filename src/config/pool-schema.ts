/** The language of pools: a service, its instances, how one is chosen, watched and talked to. See schema.ts. */
import Type, { type StaticDecode } from 'typebox';
import { BreakerSchema, type BreakerConfig } from './breaker-schema.ts';
import { FallbackSchema, SlowStartSchema, type FallbackConfig, type SlowStartConfig } from './failover-schema.ts';
import { discoverSchema, type DiscoverConfig, type SourceSettings } from './discover-schema.ts';
import { AdaptiveSchema, AgentSchema, type AdaptiveConfig, type AgentConfig } from './load-schema.ts';
import {
  PassiveHealthSchema,
  StatusesSchema,
  type PassiveHealthConfig,
  type StatusesConfig,
} from './passive-schema.ts';
import { InFlight, MaxInFlightSchema, type MaxInFlightConfig } from './saturation-schema.ts';
import { object, Port, settings, Text, TextPattern } from './shapes.ts';
import { StickySchema, type StickyConfig } from './sticky-schema.ts';
import { Duration, Percent, Size, StatusRange } from './units.ts';

const EndpointObject = object({
  url: Type.String({
    pattern: '^https?://[^/?#@\\s]+/?$',
    title: 'URL',
    examples: ['http://10.0.0.11:8080'],
    description: 'Scheme, host and port of one instance, such as http://10.0.0.11:8080. No path, no credentials.',
  }),
  weight: Type.Integer({
    minimum: 0,
    maximum: 1000,
    default: 1,
    description: 'Its share against the others; 0 takes no traffic.',
  }),
  priority: Type.Integer({
    minimum: 0,
    maximum: 100,
    default: 0,
    description: 'Its level. The lowest takes all traffic that it can; the rest spills to the next one, and so on.',
  }),
  backup: Type.Boolean({
    default: false,
    description: 'Behind all priorities: takes traffic only when too few other endpoints can.',
  }),
  zone: Type.Optional(Text('Where it is. Gateways prefer the endpoints of their own zone.')),
  maxInFlight: Type.Optional(
    InFlight('Requests that it may have at once, over all threads; at that it is passed over.'),
  ),
});

export const EndpointSchema = Type.Union([EndpointObject.properties.url, EndpointObject], {
  description: 'One instance of the service: its URL, or an object with url, weight, priority, backup and zone.',
});

const HttpCheck = {
  path: Type.String({
    pattern: '^/',
    title: 'path',
    examples: ['/healthz'],
    default: '/',
    description: 'What to ask for.',
  }),
  method: Type.String({
    pattern: '^[A-Z]+$',
    title: 'method',
    examples: ['GET', 'HEAD'],
    default: 'GET',
    description: 'With which method.',
  }),
  headers: Type.Record(Type.String(), Type.String(), {
    default: {},
    description: 'Further request fields, such as host.',
  }),
  expect: settings(
    {
      status: Type.Array(StatusRange('A status, or a range of them.'), {
        default: ['200-399'],
        description: 'Statuses that count as healthy.',
      }),
      body: Type.Optional(
        Type.Union([Text('Text that the body must contain.'), TextPattern], {
          description: 'What the first 64 KiB of the body must hold.',
        }),
      ),
    },
    'What a healthy answer looks like.',
  ),
};

const Cadence = {
  interval: Duration('Between two probes of one endpoint, with 10 % jitter.', '5s'),
  timeout: Duration('After this a probe has failed.', '2s'),
  healthyAfter: Type.Integer({
    minimum: 1,
    default: 2,
    description: 'Good probes in a row that bring an endpoint back.',
  }),
  unhealthyAfter: Type.Integer({ minimum: 1, default: 3, description: 'Bad probes in a row that take it out.' }),
  fastInterval: Duration('Between probes while the verdict is in doubt.', '1s'),
};

export const ActiveHealthSchema = object(
  {
    ...HttpCheck,
    tcp: Type.Boolean({ default: false, description: 'Only open a connection; the HTTP keys are then unused.' }),
    grpc: Type.Optional(
      Type.Union([Type.String({ title: 'service', examples: ['shop.Orders'] }), Type.Literal(true)], {
        description:
          'Ask the service grpc.health.v1.Health, over HTTP/2, whether this service is serving; true for the whole server. Of the HTTP keys only headers is then used.',
      }),
    ),
    port: Type.Optional(Port('Probe this port instead of the endpoint’s own.')),
    ...Cadence,
  },
  'Probes sent by the gateway, once per process.',
);

const PanicSchema = settings(
  {
    below: Percent('When less than this share of the pool is available.', '50%'),
    then: Type.Enum(['spread', 'fail'], {
      default: 'spread',
      description: 'spread: ignore health and use all endpoints. fail: use those available only, 503 when none is.',
    }),
  },
  'What to do when too few endpoints are available to trust the verdicts.',
);

const HealthSchema = settings(
  {
    active: Type.Optional(ActiveHealthSchema),
    agent: Type.Optional(AgentSchema),
    passive: Type.Union([PassiveHealthSchema, Type.Literal(false)], {
      default: {},
      description: 'Ejection of endpoints that fail real requests; false turns it off.',
    }),
    statuses: StatusesSchema,
    panic: PanicSchema,
  },
  'How endpoints are watched.',
);

const ConnectionsSchema = settings(
  {
    max: Type.Integer({
      minimum: 1,
      default: 256,
      description:
        'Open connections to one endpoint, over all threads. Over HTTP/2 a further one is opened when the others carry all that the endpoint takes.',
    }),
    pending: Type.Integer({
      minimum: 0,
      default: 1024,
      description:
        'Requests that may wait for a connection to one endpoint, or for a place on one; further ones get 503.',
    }),
    idle: Duration('Unused connections are closed after this; keep it below the upstream’s own.', '4s'),
    connectTimeout: Duration('For TCP and TLS together.', '2s'),
    maxRequests: Type.Integer({
      minimum: 0,
      default: 0,
      description: 'Requests on one connection before it is replaced; 0 = no limit.',
    }),
  },
  'Connections to each endpoint.',
);

const UpstreamTlsSchema = object(
  {
    ca: Type.Optional(Text('File with the PEM certificates to trust, instead of the system’s.')),
    cert: Type.Optional(Text('File with the client certificate (PEM).')),
    key: Type.Optional(Text('File with its key (PEM).')),
    serverName: Type.Optional(Text('Name to ask for (SNI) and to verify, instead of the endpoint’s host.')),
    subjectAltNames: Type.Optional(
      Type.Array(
        Type.String({
          pattern: '^\\S+$',
          title: 'subject alternative name',
          examples: ['spiffe://fleet.test/orders', 'orders.internal', 'IP:10.0.0.1'],
        }),
        {
          minItems: 1,
          description:
            'The certificate must hold one of these names, each as it stands there (DNS:, URI: or IP: may be written before it). They are verified instead of the name that was asked for.',
        },
      ),
    ),
    minVersion: Type.Enum(['1.2', '1.3'], { default: '1.2', description: 'Oldest version of TLS that is spoken.' }),
    verify: Type.Boolean({
      default: true,
      description: 'false accepts any certificate: for tests only, it is warned about.',
    }),
  },
  'TLS towards https endpoints.',
);

const PoolLimitsSchema = settings(
  {
    responseHeaders: Size('Largest header block of an answer.', '32KiB'),
    responseFields: Type.Integer({ minimum: 1, default: 200, description: 'Most header fields of an answer.' }),
  },
  'What an upstream may send.',
);

/** `{ hash: … }`: where the key of a hash balancer comes from. */
const HashSchema = object({
  hash: Type.String({
    title: 'hash key',
    examples: ['header:x-user', 'cookie:session', 'path'],
    pattern: '^(header:[^\\s:]+|cookie:[^\\s;=]+|query:\\S+|path|consumer|ip|url)$',
    description:
      'header:NAME, cookie:NAME, query:NAME, path, url, ip or consumer. A request without it is spread at random.',
  }),
});

/** @param balancers names found by the folder scan. @param sources settings of what the folder scan found. */
export const poolSchema = (balancers: readonly string[], sources: readonly SourceSettings[]) =>
  object({
    endpoints: Type.Optional(
      Type.Array(EndpointSchema, {
        description: 'The instances of the service. Required, unless they are discovered.',
      }),
    ),
    ...(sources.length > 0 && { discover: Type.Optional(discoverSchema(sources)) }),
    balance: Type.Union([Type.Enum([...balancers]), HashSchema, AdaptiveSchema], {
      default: 'least-connections',
      description: 'How an endpoint is chosen. All honour weight.',
    }),
    overprovisioning: Type.Number({
      minimum: 1,
      maximum: 100,
      default: 1.4,
      description:
        'How much more than its usual load an endpoint can take. A priority, or the own zone, keeps all of its load until less than 1 / overprovisioning of it can serve (1.4: 71 %); what is missing beyond that spills.',
    }),
    zones: Type.Enum(['prefer', 'ignore'], {
      default: 'prefer',
      description: 'prefer: endpoints of the gateway’s own zone first, for as much as they can take.',
    }),
    slowStart: Type.Optional(SlowStartSchema),
    fallback: Type.Optional(FallbackSchema),
    health: HealthSchema,
    breaker: Type.Optional(BreakerSchema),
    maxInFlight: Type.Optional(MaxInFlightSchema),
    sticky: Type.Optional(StickySchema),
    http2: Type.Boolean({
      default: false,
      description:
        'Speak HTTP/2 to the endpoints, and nothing else: agreed by ALPN with https endpoints, taken for granted (h2c) with http ones. Needed for gRPC.',
    }),
    connections: ConnectionsSchema,
    limits: PoolLimitsSchema,
    tls: Type.Optional(UpstreamTlsSchema),
  });

export type ActiveHealthConfig = StaticDecode<typeof ActiveHealthSchema>;
export type { FallbackConfig, SlowStartConfig };
export type { BreakerConfig, PassiveHealthConfig, StatusesConfig };
export type PanicConfig = StaticDecode<typeof PanicSchema>;
export type ConnectionsConfig = StaticDecode<typeof ConnectionsSchema>;
export type UpstreamTlsConfig = StaticDecode<typeof UpstreamTlsSchema>;
export type PoolLimitsConfig = StaticDecode<typeof PoolLimitsSchema>;
export type BalanceConfig = string | { hash: string } | { adaptive: AdaptiveConfig };
export type { AdaptiveConfig, AgentConfig };
export interface HealthConfig {
  active?: ActiveHealthConfig;
  agent?: AgentConfig;
  passive: PassiveHealthConfig | false;
  statuses: StatusesConfig;
  panic: PanicConfig;
}
export interface EndpointConfig {
  /** Origin without a trailing slash: `http://10.0.0.11:8080`. */
  url: string;
  weight: number;
  priority: number;
  backup: boolean;
  zone?: string;
  maxInFlight?: number;
  /** What told of it: `dns orders.internal`. Absent: the pool's own file. */
  discoveredBy?: string;
}
export interface PoolConfig {
  name: string;
  /** Where it was written, `file:line:column`. */
  source: string;
  /** Those that are written; in a generation's plan also those that were discovered. */
  endpoints: EndpointConfig[];
  discover?: DiscoverConfig;
  balance: BalanceConfig;
  overprovisioning: number;
  zones: 'prefer' | 'ignore';
  slowStart?: SlowStartConfig;
  fallback?: FallbackConfig;
  health: HealthConfig;
  breaker?: BreakerConfig;
  /** Also there when an endpoint alone has a limit. */
  maxInFlight?: MaxInFlightConfig;
  sticky?: StickyConfig;
  http2: boolean;
  connections: ConnectionsConfig;
  limits: PoolLimitsConfig;
  tls?: UpstreamTlsConfig;
  /** Of what the files under `tls` hold: a renewed certificate is a change, though no name has changed. */
  tlsDigest?: string;
}
