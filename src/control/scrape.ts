/**
 * Every metric of the gateway: its name, what it means, and where its value lies. Nothing here is counted; a scrape adds
 * up what the threads have counted in shared memory and asks no thread anything. docs and dashboards follow these names.
 *
 * Cardinality is bounded by `metrics.maxRoutes` and `metrics.maxEndpoints`: what lies beyond shares `__other__`.
 */
import { allLimits } from '../limits/written.ts';
import { DURATION_BUCKETS, type EndpointSums, type RouteSums, type ThreadSample } from '../memory/metric-table.ts';
import { VERSION } from '../version.ts';
import { MetricsPage, type Labels } from './metrics-page.ts';
import { isAvailable } from './pool-view.ts';
import { OTHER_ROUTES } from './route-registry.ts';
import { breakers } from './scrape-breakers.ts';
import { decisions } from './scrape-decisions.ts';
import { furtherTries } from './scrape-further-tries.ts';
import { discovery } from './scrape-discovery.ts';
import { failover } from './scrape-failover.ts';
import { loads } from './scrape-loads.ts';
import { overload } from './scrape-overload.ts';
import { saturation } from './scrape-saturation.ts';
import { ownProcess } from './scrape-process.ts';
import { trust } from './scrape-trust.ts';
import type { AdminView, EndpointView, PoolView, ThreadView } from './view.ts';

/** What a scrape needs to see. */
export type ScrapeView = Pick<
  AdminView,
  | 'startedAt'
  | 'revision'
  | 'revisionSince'
  | 'generations'
  | 'reloads'
  | 'staleFiles'
  | 'config'
  | 'metricTable'
  | 'counters'
  | 'decisions'
  | 'counterTable'
  | 'cacheTable'
  | 'limitUsage'
  | 'routeNames'
  | 'pools'
  | 'threads'
  | 'documents'
  | 'certificates'
  | 'managedCertificates'
>;

export interface Scrape {
  readonly contentType: string;
  render(): Promise<string>;
}

const OTHER = OTHER_ROUTES.name;
const OTHER_ENDPOINTS = { pool: OTHER, endpoint: OTHER };

interface MeasuredEndpoint {
  readonly labels: Labels;
  readonly view: EndpointView;
  readonly sums: EndpointSums;
}

interface Moment {
  readonly routes: readonly { readonly route: string; readonly sums: RouteSums }[];
  readonly pools: readonly { readonly label: string; readonly view: PoolView }[];
  readonly endpoints: readonly MeasuredEndpoint[];
  readonly threads: readonly ThreadView[];
  readonly samples: readonly ThreadSample[];
}

export function createScrape(view: ScrapeView): Scrape {
  const page = new MetricsPage();
  let moment: Moment;
  const now = () => moment;
  traffic(page, now);
  upstreams(page, now);
  breakers(page, now);
  failover(page, now);
  saturation(page, now);
  decisions(page, view, now);
  loads(page, now);
  furtherTries(page, now);
  discovery(page, view);
  concerns(page, view);
  cache(page, view);
  shadows(page, view);
  configuration(page, view);
  trust(page, view);
  threads(page, now);
  overload(page, now);
  store(page, view, now);
  ownProcess(page, view);
  return {
    contentType: page.contentType,
    render() {
      moment = look(view);
      return page.render();
    },
  };
}

/** Reads the shared memory once for all metrics. */
function look(view: ScrapeView): Moment {
  const { metricTable: table, config } = view;
  // Rows are given out from the lowest and kept through reloads, so the same endpoints stay within the bound.
  const isNamed = ({ row }: EndpointView) => row < config.gateway.metrics.maxEndpoints;
  const pools = view.pools();
  return {
    routes: [...view.routeNames].map(([row, route]) => ({ route, sums: table.route(row) })),
    pools: pools.map((pool) => ({ label: pool.endpoints.some(isNamed) ? pool.name : OTHER, view: pool })),
    endpoints: pools.flatMap((pool) =>
      pool.endpoints.map((endpoint) => ({
        labels: isNamed(endpoint) ? { pool: pool.name, endpoint: endpoint.url } : OTHER_ENDPOINTS,
        view: endpoint,
        sums: table.endpoint(endpoint.row),
      })),
    ),
    threads: view.threads(),
    samples: table.threads(),
  };
}

function traffic(page: MetricsPage, now: () => Moment): void {
  page.counter(
    'aya_requests_total',
    'Requests that are over, by status code; 499: the client left before an answer.',
    ['route', 'code'],
    (add) => {
      for (const { route, sums } of now().routes) for (const [code, count] of sums.codes) add({ route, code }, count);
    },
  );
  page.counter('aya_grpc_calls_total', 'Calls of gRPC, by their status.', ['route', 'code'], (add) => {
    for (const { route, sums } of now().routes) for (const [code, count] of sums.grpc) add({ route, code }, count);
  });
  page.histogram(
    'aya_request_duration_seconds',
    'From the head of a request to the end of its answer.',
    DURATION_BUCKETS,
    (add) => {
      for (const { route, sums } of now().routes) {
        if (sums.requests > 0) add({ route }, { buckets: sums.buckets, sum: sums.durationSeconds });
      }
    },
  );
  page.counter('aya_request_bytes_total', 'Bytes of request bodies from clients.', ['route'], (add) => {
    for (const { route, sums } of now().routes) add({ route }, sums.bytesIn);
  });
  page.counter('aya_response_bytes_total', 'Bytes of response bodies to clients.', ['route'], (add) => {
    for (const { route, sums } of now().routes) add({ route }, sums.bytesOut);
  });
  page.counter(
    'aya_errors_total',
    'Answers that the gateway made itself, by RFC 9209 error type.',
    ['route', 'type'],
    (add) => {
      for (const { route, sums } of now().routes) for (const [type, count] of sums.errors) add({ route, type }, count);
    },
  );
  page.gauge('aya_requests_in_flight', 'Requests whose answer is not over.', [], (add) => {
    for (const { inFlight } of now().samples) add({}, inFlight);
  });
  page.gauge(
    'aya_connections',
    'Open connections with clients (downstream) and endpoints (upstream).',
    ['side'],
    (add) => {
      for (const { downstreamNow, upstreamNow } of now().samples) {
        add({ side: 'downstream' }, downstreamNow);
        add({ side: 'upstream' }, upstreamNow);
      }
    },
  );
  page.counter('aya_connections_opened_total', 'Connections ever opened, by side.', ['side'], (add) => {
    for (const { downstreamOpened, upstreamOpened } of now().samples) {
      add({ side: 'downstream' }, downstreamOpened);
      add({ side: 'upstream' }, upstreamOpened);
    }
  });
  page.gauge('aya_upgrades_active', 'Connections that have left HTTP: open WebSockets.', [], (add) => {
    for (const { upgradesNow } of now().samples) add({}, upgradesNow);
  });
  page.counter('aya_upgrades_total', 'Connections that ever left HTTP.', [], (add) => {
    for (const { upgradesOpened } of now().samples) add({}, upgradesOpened);
  });
}

/** What plugins count. */
function concerns(page: MetricsPage, { counters, counterTable, routeNames }: ScrapeView): void {
  for (const { name, help, label, values } of counters) {
    page.counter(name, help, ['route', label], (add) => {
      for (const [row, route] of routeNames) {
        for (const value of values) add({ route, [label]: value }, counterTable.read(row, name, value));
      }
    });
  }
}

function cache(page: MetricsPage, { cacheTable }: ScrapeView): void {
  page.gauge('aya_cache_entries', 'Stored answers.', [], (add) => add({}, cacheTable.stats.entries));
  page.gauge('aya_cache_bytes', 'Memory of stored answers, by whether it is used.', ['state'], (add) => {
    const { bytes, capacity } = cacheTable.stats;
    add({ state: 'used' }, bytes);
    add({ state: 'free' }, capacity - bytes);
  });
  page.counter('aya_cache_evictions_total', 'Stored answers that went to make room.', [], (add) =>
    add({}, cacheTable.stats.evictions),
  );
}

function shadows(page: MetricsPage, view: ScrapeView): void {
  page.gauge(
    'aya_rate_limit_recommended',
    'Of a limit in shadow: what would have left 99.9 % of callers alone, in each of their windows.',
    ['limit'],
    (add) => {
      const names = allLimits(view.config).flatMap(({ limits }) =>
        limits.filter(({ config }) => config.shadow).map(({ identity }) => identity),
      );
      for (const limit of new Set(names)) {
        const seen = view.limitUsage.view(limit);
        if (seen !== undefined) add({ limit }, seen.recommended);
      }
    },
  );
}

function upstreams(page: MetricsPage, now: () => Moment): void {
  const ENDPOINT = ['pool', 'endpoint'];
  page.counter(
    'aya_upstream_attempts_total',
    'Tries at an endpoint, by how they ended: a status class, failure or cancelled.',
    [...ENDPOINT, 'outcome'],
    (add) => {
      for (const { labels, sums } of now().endpoints) {
        for (const [outcome, count] of sums.outcomes) add({ ...labels, outcome }, count);
      }
    },
  );
  page.summary('aya_upstream_duration_seconds', 'How long tries at an endpoint took.', (add) => {
    for (const { labels, sum, count } of durations(now().endpoints)) if (count > 0) add(labels, { sum, count });
  });
  page.gauge('aya_upstream_connections', 'Open connections with an endpoint.', ENDPOINT, (add) => {
    for (const { labels, sums } of now().endpoints) add(labels, sums.connections);
  });
  page.counter('aya_upstream_connections_opened_total', 'Connections ever opened to an endpoint.', ENDPOINT, (add) => {
    for (const { labels, sums } of now().endpoints) add(labels, sums.connectionsOpened);
  });
  page.gauge('aya_endpoint_available', '1 while the endpoint may be picked.', ENDPOINT, (add) => {
    for (const { labels, view } of now().endpoints) add(labels, isAvailable(view) ? 1 : 0);
  });
  page.gauge('aya_endpoint_in_flight', 'Requests that the endpoint has now.', ENDPOINT, (add) => {
    for (const { labels, view } of now().endpoints) add(labels, view.inFlight);
  });
  page.gauge(
    'aya_endpoint_latency_seconds',
    'Moving average of the time to the head of an answer, as the balancer sees it.',
    ENDPOINT,
    (add) => {
      for (const { labels, view } of now().endpoints) {
        // A sum of averages means nothing: endpoints that share `__other__` have none.
        if (labels !== OTHER_ENDPOINTS && view.averageMs > 0) add(labels, view.averageMs / 1000);
      }
    },
  );
  page.counter('aya_ejections_total', 'Times that real traffic had an endpoint ejected.', ENDPOINT, (add) => {
    for (const { labels, view } of now().endpoints) add(labels, view.ejections);
  });
}

/** One of each series: the endpoints that share `__other__` are one. */
function durations(endpoints: readonly MeasuredEndpoint[]): { labels: Labels; sum: number; count: number }[] {
  const others = { labels: OTHER_ENDPOINTS, sum: 0, count: 0 };
  const found: { labels: Labels; sum: number; count: number }[] = [others];
  for (const { labels, sums } of endpoints) {
    if (labels !== OTHER_ENDPOINTS) {
      found.push({ labels, sum: sums.durationSeconds, count: sums.attempts });
      continue;
    }
    others.sum += sums.durationSeconds;
    others.count += sums.attempts;
  }
  return found;
}

function configuration(page: MetricsPage, view: ScrapeView): void {
  page.gauge('aya_build_info', 'Always 1: which gateway this is.', ['version', 'node'], (add) => {
    add({ version: VERSION, node: process.versions.node }, 1);
  });
  page.gauge(
    'aya_config_revision_info',
    'Always 1: the revision of the configuration that serves.',
    ['revision'],
    (add) => {
      add({ revision: view.revision }, 1);
    },
  );
  page.gauge('aya_config_committed_timestamp_seconds', 'When that revision began to serve.', [], (add) => {
    add({}, view.revisionSince / 1000);
  });
  page.gauge(
    'aya_config_file_stale',
    '1 for each file whose last good version serves because the present one is wrong.',
    ['file'],
    (add) => {
      for (const file of view.staleFiles) add({ file }, 1);
    },
  );
  page.counter('aya_reloads_total', 'Reloads since the start, by result.', ['result'], (add) => {
    add({ result: 'ok' }, view.reloads.ok);
    add({ result: 'refused' }, view.reloads.refused);
  });
  page.gauge('aya_generations', 'Configurations that still hold a request, the serving one included.', [], (add) => {
    add({}, view.generations);
  });
}

function threads(page: MetricsPage, now: () => Moment): void {
  const perThread = (add: (labels: Labels, sample: ThreadSample) => void) =>
    now().samples.forEach((sample, thread) => add({ thread: String(thread) }, sample));

  page.gauge('aya_threads', 'Data threads, by state.', ['state'], (add) => {
    for (const { state } of now().threads) add({ state }, 1);
  });
  page.counter(
    'aya_thread_restarts_total',
    'Times that a data thread was started again after it had died.',
    [],
    (add) => {
      for (const { restarts } of now().threads) add({}, restarts);
    },
  );
  page.gauge(
    'aya_thread_generation',
    'The number of the configuration that a thread serves: equal, but for moments.',
    ['thread'],
    (add) => {
      perThread((labels, { generation }) => add(labels, generation));
    },
  );
  page.gauge('aya_thread_heap_used_bytes', 'JavaScript heap in use.', ['thread'], (add) => {
    perThread((labels, { heapUsedBytes }) => add(labels, heapUsedBytes));
  });
  page.gauge('aya_thread_heap_limit_bytes', 'JavaScript heap at which the thread would die.', ['thread'], (add) => {
    perThread((labels, { heapLimitBytes }) => add(labels, heapLimitBytes));
  });
  page.summary(
    'aya_event_loop_delay_seconds',
    'How late the event loop of a thread was, over its last period; 1 is the longest.',
    (add) => {
      perThread((labels, { loopDelayP50Ms, loopDelayP99Ms, loopDelayMaxMs }) =>
        add(labels, {
          quantiles: { 0.5: loopDelayP50Ms / 1000, 0.99: loopDelayP99Ms / 1000, 1: loopDelayMaxMs / 1000 },
        }),
      );
    },
  );
}

/** Limits that several gateways share. */
function store(page: MetricsPage, view: ScrapeView, now: () => Moment): void {
  page.gauge('aya_store_up', '1 while a thread can reach the store of shared limits.', ['thread'], (add) => {
    if (view.config.gateway.store === 'memory') return;
    now().samples.forEach(({ storeDown }, thread) => add({ thread: String(thread) }, 1 - storeDown));
  });
  page.counter('aya_store_round_trips_total', 'Questions to the store, by result.', ['result'], (add) => {
    for (const { storeAnswered, storeFailed } of now().samples) {
      add({ result: 'ok' }, storeAnswered);
      add({ result: 'failed' }, storeFailed);
    }
  });
  page.counter(
    'aya_shared_limit_decisions_total',
    'Decisions of shared limits: from a lease or a refusal that was known, by a round trip, or without the store.',
    ['from'],
    (add) => {
      for (const { limitLeased, limitAsked, limitFailedOver } of now().samples) {
        add({ from: 'lease' }, limitLeased);
        add({ from: 'store' }, limitAsked);
        add({ from: 'failure-mode' }, limitFailedOver);
      }
    },
  );
}
