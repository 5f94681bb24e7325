/** What the admin server shows, from the control plane's view: times as people read them, no row numbers, no secrets. */
import { VERSION } from '../../version.ts';
import { againstNow } from '../pool-view.ts';
import type {
  AdminView,
  BreakerView,
  DiscoveryView,
  EndpointView,
  FurtherTriesView,
  LoadView,
  PoolView,
  SaturationView,
} from '../view.ts';

export function statusPage(view: AdminView): object {
  return {
    status: view.status,
    version: VERSION,
    node: process.versions.node,
    pid: process.pid,
    startedAt: time(view.startedAt),
    uptimeSeconds: Math.round(process.uptime()),
    revision: view.revision,
    revisionSince: time(view.revisionSince),
    staleFiles: view.staleFiles,
    reloads: view.reloads,
    generations: view.generations,
    listeners: view.listeners,
    threads: view.threads().map((thread) => ({ ...thread, since: time(thread.since) })),
  };
}

/** Whether the balancer in front may send clients here. */
export function readyPage({ status }: AdminView): { readonly status: string; readonly reason?: string } {
  if (status === 'ready') return { status };
  const reason = status === 'starting' ? 'no listener is open yet' : 'the gateway is shutting down';
  return { status, reason };
}

export function poolsPage(view: AdminView): object {
  return { pools: view.pools().map(poolOf) };
}

function poolOf({ name, balance, sticky, panic, panics, available, endpoints, ...rest }: PoolView): object {
  const { tiers, discovery, breaker, saturation, furtherTries } = rest;
  return {
    name,
    balance,
    ...(sticky !== undefined && { sticky }),
    available,
    of: endpoints.length,
    tiers: tiers.map((tier) => ({ ...tier, share: rounded(tier.share) })),
    panic,
    panics,
    ...(discovery && { discovery: discoveryOf(discovery) }),
    ...(breaker && { breaker: breakerOf(breaker) }),
    ...(saturation && { saturation: saturationOf(saturation) }),
    ...(furtherTries && { furtherTries: furtherTriesOf(furtherTries) }),
    endpoints: endpoints.map(endpointOf),
  };
}

function saturationOf({ waitedMs, unhurriedMs, ...sums }: SaturationView): object {
  const rounded = (ms: number) => Math.round(ms * 100) / 100;
  return {
    ...sums,
    waitedMs: rounded(waitedMs),
    ...(unhurriedMs !== undefined && { unhurriedMs: rounded(unhurriedMs) }),
  };
}

function discoveryOf({ source, endpoints, failure, failures, ageMs }: DiscoveryView): object {
  return { source, endpoints, failure, failures, ageSeconds: ageMs === undefined ? null : Math.round(ageMs / 1000) };
}

function furtherTriesOf({ p95Ms, ...spent }: FurtherTriesView): object {
  return { ...spent, ...(p95Ms !== undefined && { p95Ms: Math.round(p95Ms * 100) / 100 }) };
}

function endpointOf({ url, status, reason, since, inFlight, averageMs, ...rest }: EndpointView): object {
  const { maxInFlight, weight, priority, backup, zone, slowStart, keepsSessions } = rest;
  const { discoveredBy, failures, ejections, ejectionsBy, breaker, load, agent, history } = rest;
  const against = againstNow({ status, breaker });
  return {
    url,
    state: against.length === 0 ? 'available' : against.join(', '),
    reason,
    since: time(since),
    inFlight,
    maxInFlight,
    averageMs: Math.round(averageMs * 100) / 100,
    weight,
    priority,
    backup,
    zone,
    ...(slowStart && {
      slowStart: { share: rounded(slowStart.share), leftSeconds: Math.ceil(slowStart.leftMs / 1000) },
    }),
    keepsSessions,
    discoveredBy,
    failures,
    ejections,
    ejectionsBy,
    ...(breaker && { breaker: breakerOf(breaker) }),
    ...(load && { load: loadOf(load) }),
    ...(agent && { agent }),
    history: history.map((change) => ({ since: time(change.since), reason: change.reason })),
  };
}

function breakerOf({ since, ...breaker }: BreakerView): object {
  return { ...breaker, ...(since !== undefined && { since: time(since) }) };
}

function loadOf({ ageMs, isTrusted, weight, ...load }: LoadView): object {
  const ageSeconds = ageMs === undefined ? null : Math.round(ageMs / 1000);
  return { ...load, ageSeconds, trusted: isTrusted, weight: Math.round(weight * 1000) / 1000 };
}

export function routesPage(view: AdminView): object {
  const { metricTable } = view;
  return {
    routes: view.routes().map(({ name, source, row }) => ({ name, source, requests: metricTable.route(row).requests })),
  };
}

/** Shares, to a thousandth. */
const rounded = (share: number) => Math.round(share * 1000) / 1000;

const time = (wallMs: number) => new Date(wallMs).toISOString();
