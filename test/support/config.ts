/** Configuration as the loader would hand it over, with the defaults of the language, for tests below the loader. */
import type {
  ActiveHealthConfig,
  BreakerConfig,
  Config,
  EndpointConfig,
  PassiveHealthConfig,
  PoolConfig,
  RouteConfig,
} from '../../src/config/schema.ts';

export const ACTIVE: ActiveHealthConfig = {
  path: '/healthz',
  method: 'GET',
  headers: {},
  expect: { status: [[200, 399]] },
  tcp: false,
  interval: 5_000,
  timeout: 2_000,
  healthyAfter: 2,
  unhealthyAfter: 3,
  fastInterval: 1_000,
};

export const PASSIVE: PassiveHealthConfig = {
  mode: 'eject',
  consecutiveFailures: 5,
  window: 10_000,
  ejectFor: 30_000,
  maxEjectFor: 300_000,
  maxEjected: 0.5,
};

export const BREAKER: BreakerConfig = {
  failures: 0.5,
  window: 10_000,
  minRequests: 20,
  openFor: 10_000,
  maxOpenFor: 120_000,
  probes: 3,
  scope: 'endpoint',
};

export interface PoolOptions {
  readonly name?: string;
  readonly active?: Partial<ActiveHealthConfig> | undefined;
  readonly passive?: Partial<PassiveHealthConfig> | false | undefined;
  readonly panic?: PoolConfig['health']['panic'];
  readonly breaker?: Partial<BreakerConfig> | undefined;
  readonly tls?: PoolConfig['tls'];
  readonly http2?: boolean;
}

export function poolConfig(
  endpoints: readonly (string | Partial<EndpointConfig>)[],
  options: PoolOptions = {},
): PoolConfig {
  return {
    name: options.name ?? 'orders',
    source: 'routes.d/orders.yaml:2:3',
    endpoints: endpoints.map((endpoint) => ({
      url: 'http://10.0.0.1:80',
      weight: 1,
      backup: false,
      ...(typeof endpoint === 'string' ? { url: endpoint } : endpoint),
    })),
    balance: 'least-connections',
    health: {
      ...(options.active === undefined ? {} : { active: { ...ACTIVE, ...options.active } }),
      passive: options.passive === false ? false : { ...PASSIVE, ...options.passive },
      statuses: {
        fail: [[500, 599]],
        ignore: [
          [501, 501],
          [505, 505],
        ],
      },
      panic: options.panic ?? { below: 0.5, then: 'spread' },
    },
    ...(options.breaker === undefined ? {} : { breaker: { ...BREAKER, ...options.breaker } }),
    http2: options.http2 ?? false,
    connections: { max: 256, pending: 1024, idle: 4_000, connectTimeout: 2_000, maxRequests: 0 },
    limits: { responseHeaders: 32_768, responseFields: 200 },
    ...(options.tls === undefined ? {} : { tls: options.tls }),
  };
}

export function routeConfig(name: string, pool = 'orders'): RouteConfig {
  return {
    name,
    source: 'routes.d/orders.yaml:20:5',
    match: [{ path: `/${name}/*` }],
    pool,
    timeout: { head: 15_000, idle: 60_000, streamIdle: 300_000 },
    websocket: { idle: 300_000 },
    limits: { body: 1024 ** 2, encodedSlashes: 'refuse', query: 1000, cookies: 200 },
  };
}

/** Everything but listeners, pools and routes is as by default. */
export function config(pools: PoolConfig[], routes: RouteConfig[] = []): Config {
  return {
    dir: '/etc/aya',
    revision: 'r1',
    gateway: {
      listen: [],
      threads: 1,
      trustedProxies: [],
      admin: { host: '127.0.0.1', port: 0 },
      drain: { delay: 5_000, timeout: 30_000 },
      accessLog: { enabled: true, sample: 1 },
      explain: { sample: 0, failures: 200, from: [] },
      metrics: { maxRoutes: 1000, maxEndpoints: 1000 },
      shed: { loopDelay: 200, heap: 0.85, bodies: 64 * 1024 ** 2 },
      requestIdHeader: 'x-request-id',
      store: 'memory',
      cache: { memory: 1024 ** 2, maxEntry: 64 * 1024, store: 'memory' },
      groups: {},
      rateLimits: {},
    },
    pools,
    routes,
    consumers: [],
    documents: [],
  };
}

export interface LogEntry {
  readonly level: 'info' | 'warn' | 'error';
  readonly message: string;
  readonly event?: string;
  readonly [field: string]: unknown;
}

/** A log that is kept. */
export function logEntries() {
  const entries: LogEntry[] = [];
  const at = (level: LogEntry['level']) => (fields: object, message: string) =>
    void entries.push({ level, message, ...fields });
  return {
    entries,
    log: { info: at('info'), warn: at('warn'), error: at('error') },
    events: () => entries.map(({ event }) => event),
  };
}
