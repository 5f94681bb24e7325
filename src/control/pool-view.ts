/** What `/pools`, the metrics and `aya explain` show of each endpoint: put together from the registry and the tables. */
import type { Clock } from '../clock.ts';
import type { EndpointTable } from '../memory/endpoint-table.ts';
import { ENDPOINT } from '../memory/endpoint-table.ts';
import { breakerWord, statusWords } from '../upstream/reasons.ts';
import type { PoolConfig } from '../config/schema.ts';
import { BACKUP, chooseCandidates, choiceRules } from '../upstream/candidates.ts';
import { warmthAt } from '../upstream/slow-start.ts';
import { describeBalance } from '../upstream/balance.ts';
import { describeSticky } from '../upstream/sticky/describe.ts';
import type { Discovery } from './discovery.ts';
import type { EndpointRegistry, RegisteredEndpoint } from './endpoint-registry.ts';
import type { Health } from './health/health.ts';
import { spentOf } from '../upstream/retry-budget.ts';
import { knownQuantile } from '../upstream/latency-quantile.ts';
import type { EndpointView, FurtherTriesView, PoolView, SaturationView, TierView } from './view.ts';

export interface PoolViewParts {
  readonly clock: Clock;
  readonly registry: EndpointRegistry;
  readonly table: EndpointTable;
  readonly health: Health;
  readonly discovery: Discovery;
  /** The gateway's own. */
  readonly zone: string | undefined;
}

export function viewPool(pool: PoolConfig, parts: PoolViewParts): PoolView {
  const endpoints = (parts.registry.pools.get(pool.name) ?? []).map((endpoint) => viewEndpoint(endpoint, parts));
  const discovery = parts.discovery.viewOf(pool);
  return {
    name: pool.name,
    tiers: tiersOf(pool, endpoints, parts),
    balance: describeBalance(pool.balance),
    sticky: pool.sticky && describeSticky(pool.sticky),
    panic: parts.health.panic.isOn(pool.name),
    panics: parts.health.panic.count(pool.name),
    available: endpoints.filter(isAvailable).length,
    ...(discovery && { discovery }),
    breaker: parts.health.breakers.ofPool(pool),
    saturation: viewSaturation(pool, parts),
    furtherTries: furtherTriesOf(pool, parts),
    endpoints,
  };
}

function furtherTriesOf({ name }: PoolConfig, { registry, table, clock }: PoolViewParts): FurtherTriesView | undefined {
  const row = registry.rowOfPool(name);
  if (row === undefined) return undefined;
  return { ...spentOf(table.budgets, row, clock.now()), p95Ms: knownQuantile(table.budgets, row) };
}

/** Whether the balancer may choose it. */
export function isAvailable({ status, breaker }: Pick<EndpointView, 'status' | 'breaker'>): boolean {
  return status.length === 0 && (breaker === undefined || breaker.state === 'closed');
}

function viewSaturation({ name, maxInFlight }: PoolConfig, parts: PoolViewParts): SaturationView | undefined {
  const row = maxInFlight && parts.registry.rowOfPool(name);
  if (row === undefined) return undefined;
  const { limit, baseMs, ...sums } = parts.table.places.sums(row);
  const adaptive = maxInFlight?.adaptive;
  return {
    inFlight: parts.table.inFlight(row),
    limit: adaptive === undefined ? maxInFlight?.max : Math.floor(limit) || adaptive.min,
    ...(adaptive && { unhurriedMs: baseMs }),
    ...sums,
  };
}

/** Every reason to pass it over now: the words of `/pools`, metrics and decision records. */
export function againstNow({ status, breaker }: Pick<EndpointView, 'status' | 'breaker'>): readonly string[] {
  return breaker === undefined || breaker.state === 'closed' ? status : [...status, breakerWord(breaker.state)];
}

/** By the rule that the data threads choose by. */
function tiersOf(pool: PoolConfig, endpoints: readonly EndpointView[], { table, zone }: PoolViewParts): TierView[] {
  const { tiers } = chooseCandidates(endpoints, choiceRules(pool, zone), ({ row, breaker, slowStart, agent }) => ({
    status: table.status(row),
    isClosed: breaker === undefined || breaker.state === 'closed',
    part: (slowStart?.share ?? 1) * (agent?.share ?? 1),
  }));
  return tiers.map(({ priority, members: _, ...tier }) => ({
    ...tier,
    priority: priority === BACKUP ? 'backup' : priority,
  }));
}

function slowStartOf({ pool, row }: RegisteredEndpoint, { table, clock }: PoolViewParts): EndpointView['slowStart'] {
  const { slowStart } = pool;
  if (slowStart === undefined) return undefined;
  const now = clock.now();
  const startedAt = table.startedAt(row);
  const share = warmthAt(slowStart, startedAt, now);
  return share < 1 ? { share, leftMs: startedAt + slowStart.for - now } : undefined;
}

function viewEndpoint(endpoint: RegisteredEndpoint, parts: PoolViewParts): EndpointView {
  const { table, health } = parts;
  const { row, url, config, history, knownSince } = endpoint;
  const status = table.status(row);
  const last = history.at(-1);
  return {
    url,
    row,
    weight: config.weight,
    priority: config.priority,
    backup: config.backup,
    zone: config.zone,
    slowStart: slowStartOf(endpoint, parts),
    keepsSessions: (status & ENDPOINT.draining) === 0 ? undefined : (status & ENDPOINT.keepsSessions) !== 0,
    ...(config.discoveredBy !== undefined && { discoveredBy: config.discoveredBy }),
    status: statusWords(status),
    reason: last?.reason ?? '',
    since: last?.since ?? knownSince,
    inFlight: table.inFlight(row),
    maxInFlight: config.maxInFlight ?? endpoint.pool.maxInFlight?.perEndpoint,
    averageMs: table.averageMs(row),
    failures: table.failures(row),
    ejections: health.passive.ejections(endpoint),
    ejectionsBy: health.passive.ejectionsBy(endpoint),
    breaker: health.breakers.ofEndpoint(endpoint),
    load: health.loads.viewOf(endpoint),
    agent: health.agents.viewOf(endpoint),
    history,
  };
}
