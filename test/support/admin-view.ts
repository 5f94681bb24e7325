/** A control plane's view in a test: two pools, three endpoints, two routes, and a metric table to fill. */
import type { Config } from '../../src/config/schema.ts';
import type { AdminView, BreakerView, EndpointView, ManagedCertificateView, PoolView } from '../../src/control/view.ts';
import { CacheTable } from '../../src/memory/cache-table.ts';
import { CounterTable, type CounterSpec } from '../../src/memory/counter-table.ts';
import { EndpointTable } from '../../src/memory/endpoint-table.ts';
import { MetricTable, OUTCOME } from '../../src/memory/metric-table.ts';
import { UsageTable } from '../../src/memory/usage-table.ts';
import { PRIORITIES } from '../../src/priority.ts';

export const ROUTE_ROWS = { other: 0, none: 1, users: 2, orders: 3 } as const;
export const ENDPOINT_ROWS = { users1: 0, users2: 1, orders1: 2 } as const;

const NOON = Date.UTC(2026, 0, 1, 12);

export function endpointView(url: string, row: number, changes: Partial<EndpointView> = {}): EndpointView {
  const healthy = { status: [], reason: '', since: NOON, history: [] };
  const counts = { inFlight: 0, averageMs: 0, failures: 0, ejections: 0, ejectionsBy: [] };
  return { url, row, weight: 1, priority: 0, backup: false, ...healthy, ...counts, ...changes };
}

export function adminView(changes: Partial<AdminView> = {}): AdminView {
  const { maxRoutes, maxEndpoints } = { maxRoutes: 1000, maxEndpoints: 1000 };
  const ejected = endpointView('http://127.0.0.1:7102', ENDPOINT_ROWS.users2, {
    status: ['unhealthy', 'ejected'],
    reason: 'passive: 5 failures in a row, connection refused',
    ejections: 2,
    failures: 5,
    history: [{ since: NOON, status: 3, reason: 'passive: 5 failures in a row, connection refused' }],
  });
  return {
    status: 'ready',
    startedAt: NOON,
    revision: 'c0ffee',
    revisionSince: NOON,
    generations: 1,
    reloads: { ok: 3, refused: 1 },
    staleFiles: [],
    listeners: [{ host: '127.0.0.1', port: 8080 }],
    config: {
      gateway: { metrics: { maxRoutes, maxEndpoints }, store: 'memory', groups: {}, rateLimits: {} } as unknown,
      routes: [],
      consumers: [],
    } as unknown as Config,
    secrets: [],
    endpointTable: EndpointTable.allocate(2, 16),
    counters: [],
    counterTable: CounterTable.allocate(2, 16, []),
    cacheTable: CacheTable.allocate(1024 ** 2, 64 * 1024),
    drain: () => {
      throw new Error('nothing to drain here');
    },
    undrain: () => {
      throw new Error('nothing to drain here');
    },
    purgeCache: () => Promise.resolve({ purged: 0 }),
    limitUsage: UsageTable.allocate(),
    metricTable: MetricTable.allocate({ threads: 2, routes: 16, endpoints: 16 }),
    routeNames: new Map([
      [ROUTE_ROWS.other, '__other__'],
      [ROUTE_ROWS.none, '__none__'],
      [ROUTE_ROWS.users, 'users'],
      [ROUTE_ROWS.orders, 'orders'],
    ]),
    pools: () => [
      {
        name: 'users',
        balance: 'least-connections',
        tiers: [{ priority: 0, share: 1 }],
        panic: false,
        panics: 0,
        available: 1,
        endpoints: [
          endpointView('http://127.0.0.1:7101', ENDPOINT_ROWS.users1, { inFlight: 4, averageMs: 12.3456 }),
          ejected,
        ],
      },
      {
        name: 'orders',
        balance: 'round-robin',
        tiers: [{ priority: 0, share: 1 }],
        panic: true,
        panics: 7,
        available: 1,
        endpoints: [endpointView('http://127.0.0.1:7201', ENDPOINT_ROWS.orders1)],
      },
    ],
    routes: () => [
      { name: 'users', source: 'users.yaml:9:5', row: ROUTE_ROWS.users },
      { name: 'orders', source: 'orders.yaml:9:5', row: ROUTE_ROWS.orders },
    ],
    threads: () => [
      { thread: 0, state: 'up', restarts: 0, since: NOON },
      { thread: 1, state: 'up', restarts: 2, since: NOON },
    ],
    decisions: {
      list: () => [],
      of: () => undefined,
      counts: { recorded: { asked: 1, sampled: 2, failed: 3 }, dropped: 4 },
    },
    managedCertificates: () => [],
    certificates: () => [{ listener: '0.0.0.0:8443', file: 'certs/api.pem', leftMs: 86_400_000 }],
    documents: () => [
      {
        url: 'https://id.example.com/keys?tenant=acme',
        version: 2,
        failure: undefined,
        ageMs: 90_000,
        fetches: { ok: 4, failed: 1 },
      },
    ],
    reload: () => Promise.resolve({ ok: true, problems: [], changes: [], revision: 'c0ffee' }),
    ...changes,
  };
}

/** Something in every cell that a metric shows. */
export function fill(table: MetricTable): void {
  for (const thread of [0, 1]) {
    const writer = table.writer(thread);
    for (const route of Object.values(ROUTE_ROWS)) {
      for (const status of [0, 200, 299, 404, 503]) writer.request(route, status, route * 40, 1000, 2000);
      writer.error(route, thread);
      writer.retry(route);
    }
    for (const endpoint of Object.values(ENDPOINT_ROWS)) {
      for (const outcome of [OUTCOME.failure, 2, 5, OUTCOME.cancelled]) writer.attempt(endpoint, outcome, 25);
      writer.upstreamOpened(endpoint);
    }
    writer.downstreamOpened();
    writer.inFlight(1);
    writer.loopDelay(1, 20, 300);
    writer.heap(50e6, 4e9);
    writer.generation(4);
  }
}

/** One of which every metric has something to tell. */
export function eventfulView(counters: readonly CounterSpec[]): AdminView {
  const counterTable = CounterTable.allocate(2, 16, counters);
  for (const { name, values } of counters) {
    for (const value of values) counterTable.counter(0, ROUTE_ROWS.users, name, value).increment();
  }
  const view = adminView({ counters, counterTable, staleFiles: ['orders.yaml'] });
  const [, ejected] = view.pools()[0]!.endpoints;
  const busy = endpointView('http://127.0.0.1:7101', ENDPOINT_ROWS.users1, {
    inFlight: 4,
    averageMs: 12.3456,
    status: ['draining'],
    slowStart: { share: 0.4, leftMs: 9_000 },
    ejectionsBy: [{ cause: 'slow', mode: 'eject', count: 2 }],
    breaker: OPEN,
    load: { ...LOAD, reports: 7, malformed: 1 },
    agent: { said: '75%', share: 0.75, maxInFlight: 0, failure: undefined, failures: 3 },
  });
  const pool: PoolView = {
    ...view.pools()[0]!,
    endpoints: [busy, ejected!],
    breaker: OPEN,
    discovery: { source: 'dns users.internal', endpoints: 2, failure: 'SERVFAIL', failures: 2, ageMs: 4_000 },
    furtherTries: { requests: 100, extra: 3, underWay: 1, p95Ms: 80 },
    saturation: { inFlight: 4, limit: 4, waiting: 2, waited: 9, waitedMs: 450, refused: REFUSED },
  };
  fill(view.metricTable);
  for (const [thread, state] of view.threads().entries()) {
    const writer = view.metricTable.writer(thread);
    writer.grpc(ROUTE_ROWS.users, thread);
    writer.shedding(0.5);
    for (const priority of PRIORITIES.keys()) writer.shed(priority);
    writer.upgradeOpened();
    writer.storeUp(state.state === 'up');
    writer.storeAsked(true);
    writer.limitLeased();
  }
  const config = { ...view.config, gateway: { ...view.config.gateway, store: { url: 'redis://127.0.0.1' } } };
  return {
    ...view,
    config: config as unknown as Config,
    pools: () => [pool, ...view.pools().slice(1)],
    managedCertificates: () => [ORDERED],
  };
}

const OPEN: BreakerView = {
  state: 'open',
  reason: '12 of 20 answers in 10 s failed; open for 10.4 s',
  since: NOON,
  opened: 1,
  openedBy: { 'failure-share': 1 },
  probes: 0,
};
const LOAD = { utilization: 0.6, rate: 40, errorRate: 0, ageMs: 500, isTrusted: true, weight: 1.2 };
const REFUSED = { full: 1, late: 2, overloaded: 3, displaced: 4 };
const ORDERED: ManagedCertificateView = {
  name: 'api.example.com',
  domains: ['api.example.com'],
  directory: 'https://ca.example.com/directory',
  state: 'missing',
  validTo: undefined,
  renewAt: undefined,
  failures: 3,
  failure: 'no authorization for api.example.com',
  tryAgainAt: NOON,
  orders: { ok: 0, failed: 3 },
};
