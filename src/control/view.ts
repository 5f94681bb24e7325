/**
 * What the control plane shows of itself, to the admin server, to metrics and to the command line. Reading it costs the
 * data plane nothing: everything here is either in the control plane's own memory or in the shared tables.
 */
import type { Config } from '../config/schema.ts';
import type { Purge } from '../cache/purge.ts';
import type { CacheTable } from '../memory/cache-table.ts';
import type { EndpointTable } from '../memory/endpoint-table.ts';
import type { CounterSpec, CounterTable } from '../memory/counter-table.ts';
import type { MetricTable } from '../memory/metric-table.ts';
import type { Refusal } from '../memory/place-table.ts';
import type { UsageTable } from '../memory/usage-table.ts';
import type { OpeningCause } from '../upstream/breaker.ts';
import type { EndpointStatus } from '../upstream/reasons.ts';
import type { Word } from './cache-fleet.ts';
import type { Decisions } from './decisions.ts';

/** `starting`: no thread listens yet. `draining`: readiness has failed, what is in flight still finishes. */
export type GatewayStatus = 'starting' | 'ready' | 'draining';

export interface EndpointView {
  readonly url: string;
  /** Its row in the endpoint table and in the endpoint part of the metrics. */
  readonly row: number;
  readonly weight: number;
  readonly priority: number;
  readonly backup: boolean;
  readonly zone?: string | undefined;
  /** While it starts slowly: how much of its weight it has, and for how long it has less than all. */
  readonly slowStart?: { readonly share: number; readonly leftMs: number } | undefined;
  /** While it drains: whether sessions that are stuck to it stay. */
  readonly keepsSessions?: boolean | undefined;
  /** What told of it: `dns orders.internal`; absent when it is written. */
  readonly discoveredBy?: string;
  /** Why it is not healthy enough for traffic; empty when it is. Its breaker may still refuse it. */
  readonly status: readonly EndpointStatus[];
  /** `active: 3/3 connection refused`; empty when it has always been available. */
  readonly reason: string;
  /** When the status last changed, milliseconds since the epoch. */
  readonly since: number;
  /** Over all threads. */
  readonly inFlight: number;
  /** The most that it is given at once; undefined: as many as come. */
  readonly maxInFlight?: number | undefined;
  /** Moving average of its answers; 0 before the first. */
  readonly averageMs: number;
  /** Failures of real requests in a row. */
  readonly failures: number;
  /** Passive ejections since the endpoint is known. */
  readonly ejections: number;
  /** The same, and those that were only logged, by what they were for. */
  readonly ejectionsBy: readonly EjectionCount[];
  /** Absent: it has none. */
  readonly breaker?: BreakerView | undefined;
  /** Absent: it is not weighed by what it reports. */
  readonly load?: LoadView | undefined;
  /** Absent: it has none. */
  readonly agent?: AgentView | undefined;
  /** The last changes of its status and its breaker, the oldest first. */
  readonly history: readonly StatusChange[];
}

export type EjectionCause =
  'consecutive-failures' | 'consecutive-gateway-failures' | 'failure-percentage' | 'success-rate' | 'slow';

export interface EjectionCount {
  readonly cause: EjectionCause;
  /** `log`: it was only said. */
  readonly mode: 'eject' | 'log';
  readonly count: number;
}

/** What an endpoint reports of its load. */
export interface LoadView {
  readonly utilization: number;
  /** Requests and errors each second, as it says; 0: it does not. */
  readonly rate: number;
  readonly errorRate: number;
  /** Since its latest report; undefined: there was none. */
  readonly ageMs: number | undefined;
  /** Neither too old, nor has it only begun to report. */
  readonly isTrusted: boolean;
  /** What its share follows from now. */
  readonly weight: number;
  readonly reports: number;
  /** Reports that could not be read. */
  readonly malformed: number;
}

/** What the agent of an endpoint says. */
export interface AgentView {
  /** Its latest line. */
  readonly said: string;
  /** Of the endpoint's weight. */
  readonly share: number;
  /** 0: any number. */
  readonly maxInFlight: number;
  /** Why it could not be asked the last time; undefined when it could. */
  readonly failure: string | undefined;
  readonly failures: number;
}

export interface BreakerView {
  readonly state: 'closed' | 'open' | 'half-open';
  /** `12 of 20 answers in 10 s failed; open for 10.4 s`; empty before its first move. */
  readonly reason: string;
  /** When it came into its state, milliseconds since the epoch; undefined before its first move. */
  readonly since: number | undefined;
  /** Times that it opened. */
  readonly opened: number;
  /** The same, by what opened it. */
  readonly openedBy: Readonly<Partial<Record<OpeningCause, number>>>;
  /** Requests that now find out whether it may close. */
  readonly probes: number;
}

/** Where a pool finds endpoints. */
export interface DiscoveryView {
  /** `dns orders.internal` */
  readonly source: string;
  /** That it told of, and that serve. */
  readonly endpoints: number;
  /** Why there was no good answer the last time; undefined when there was one. */
  readonly failure: string | undefined;
  /** Since it is followed. */
  readonly failures: number;
  /** Since its last good answer; undefined when there was none. */
  readonly ageMs: number | undefined;
}

export interface StatusChange {
  /** Milliseconds since the epoch. */
  readonly since: number;
  /** Bits of ENDPOINT (memory/endpoint-table.ts); 0 is available. */
  readonly status: number;
  readonly reason: string;
}

/** Endpoints that share a part of a pool's load (upstream/candidates.ts). */
export interface TierView {
  readonly priority: number | 'backup';
  readonly zone?: 'own' | 'others';
  /** 0 … 1 */
  readonly share: number;
}

export interface DrainOptions {
  /** Sessions that are stuck to it stay. */
  readonly keepSessions: boolean;
  /** After this its WebSockets are closed; undefined: they last. */
  readonly timeoutMs: number | undefined;
}

/** What an order to drain, or to undo that, came to. */
export interface DrainResult {
  readonly pool: string;
  readonly endpoint: string;
  readonly draining: boolean;
  readonly keepSessions: boolean;
  /** What it still has, over all threads. */
  readonly inFlight: number;
  /** How many others of its pool are available. */
  readonly others: number;
}

/** What a pool was given beside its requests, over all threads (upstream/retry-budget.ts). */
export interface FurtherTriesView {
  /** That may be tried again, and tries after or beside their first; both of the last ten seconds. */
  readonly requests: number;
  readonly extra: number;
  /** Of these, those whose answer has not begun. */
  readonly underWay: number;
  /** The time within which 95 % of answers begin; undefined while no route with `hedge` has learnt it. */
  readonly p95Ms: number | undefined;
}

export interface PoolView {
  readonly name: string;
  readonly balance: string;
  /** Who serves, the most preferred first; empty: nobody does. */
  readonly tiers: readonly TierView[];
  /** `cookie:aya-orders`: what keeps clients at endpoints; absent: nothing. */
  readonly sticky?: string | undefined;
  /** Too few endpoints are available to trust the verdicts. */
  readonly panic: boolean;
  /** How often the pool went into panic. */
  readonly panics: number;
  readonly available: number;
  /** Absent where all endpoints are written. */
  readonly discovery?: DiscoveryView;
  /** Of the pool as a whole; absent: it has none. */
  readonly breaker?: BreakerView | undefined;
  /** Absent: it takes whatever comes. */
  readonly saturation?: SaturationView | undefined;
  readonly furtherTries?: FurtherTriesView | undefined;
  readonly endpoints: readonly EndpointView[];
}

/** How full a pool is, over all threads; sums are since its start. */
export interface SaturationView {
  readonly inFlight: number;
  /** Of the pool as a whole, now; undefined: its endpoints alone have limits. */
  readonly limit: number | undefined;
  /** Of a limit that adapts: what an answer takes when nothing is in a hurry; 0: not known yet. */
  readonly unhurriedMs?: number;
  readonly waiting: number;
  /** That waited and were served. */
  readonly waited: number;
  readonly waitedMs: number;
  readonly refused: Readonly<Record<Refusal, number>>;
}

export interface RouteView {
  readonly name: string;
  /** `file:line:column` */
  readonly source: string;
  /** Its row in the route part of the metrics. */
  readonly row: number;
}

export interface ThreadView {
  readonly thread: number;
  readonly state: 'starting' | 'up' | 'down';
  /** Times it was started again after it had died. */
  readonly restarts: number;
  /** When it came up or went down, milliseconds since the epoch. */
  readonly since: number;
}

/** A document of another server that the gateway keeps fresh. */
export interface DocumentView {
  readonly url: string;
  /** Counts up with each new text; 0: there was none yet. */
  readonly version: number;
  /** Why the latest fetch failed. */
  readonly failure: string | undefined;
  /** Since it was last fetched; undefined when it never was. */
  readonly ageMs: number | undefined;
  readonly fetches: { readonly ok: number; readonly failed: number };
}

/** What a listener shows to clients. */
export interface CertificateView {
  /** `0.0.0.0:8443`, as it is written. */
  readonly listener: string;
  /** Relative to the directory of gateway.yaml; `acme:api.example.com` for one that was ordered. */
  readonly file: string;
  /** Until it expires; negative when it has. */
  readonly leftMs: number;
}

/** A certificate that is ordered from an authority (ACME). Times are milliseconds since the epoch. */
export interface ManagedCertificateView {
  /** Its first domain. */
  readonly name: string;
  readonly domains: readonly string[];
  readonly directory: string;
  /** `missing`: handshakes for it are refused, where the listener has no other. */
  readonly state: 'missing' | 'ordering' | 'issued';
  readonly validTo: number | undefined;
  readonly renewAt: number | undefined;
  /** In a row. */
  readonly failures: number;
  /** Why the latest order failed, or why none can be placed. */
  readonly failure: string | undefined;
  readonly tryAgainAt: number | undefined;
  /** Of this gateway, since its start. */
  readonly orders: { readonly ok: number; readonly failed: number };
}

export interface ListenerView {
  readonly host: string;
  /** The actual one. */
  readonly port: number;
}

/** What a reload did. */
export interface ReloadResult {
  /** Everything that the files say serves. false: a file is wrong and serves as it last was, or all was refused. */
  readonly ok: boolean;
  /** Errors and warnings, `file:line:column: severity: what is wrong`. */
  readonly problems: readonly string[];
  /** What serves from now on and did not before; one sentence each. Other files' changes apply when one is wrong. */
  readonly changes: readonly string[];
  /** Of the configuration that serves now. */
  readonly revision: string;
}

/** What a purge did. */
export interface PurgeResult {
  /** Stored answers in the memory of this gateway. */
  readonly purged: number;
  /** Whether the store has heard, and with it the others; absent: nothing is shared. */
  readonly fleet?: Word;
}

export interface AdminView {
  readonly status: GatewayStatus;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  /** Of the configuration that serves now. */
  readonly revision: string;
  /** When it was committed, milliseconds since the epoch. */
  readonly revisionSince: number;
  /** Generations that still hold a request somewhere, the current one included. */
  readonly generations: number;
  /** Reloads since the start, by outcome. */
  readonly reloads: { readonly ok: number; readonly refused: number };
  /** Files whose last good version serves because the present one is wrong. */
  readonly staleFiles: readonly string[];
  readonly listeners: readonly ListenerView[];
  /** The decoded configuration that serves now, secrets included: redact before showing it. */
  readonly config: Config;
  /** Values from the environment that must never be shown, wherever they stand in it. */
  readonly secrets: readonly string[];
  readonly endpointTable: EndpointTable;
  readonly metricTable: MetricTable;
  /** What plugins count, and where. */
  readonly counters: readonly CounterSpec[];
  readonly counterTable: CounterTable;
  /** Stored answers. */
  readonly cacheTable: CacheTable;
  /** What limits in shadow have seen. */
  readonly limitUsage: UsageTable;
  /** The label of every route row in use, `__other__` and `__none__` included. */
  readonly routeNames: ReadonlyMap<number, string>;
  readonly decisions: Pick<Decisions, 'list' | 'of' | 'counts'>;
  pools(): readonly PoolView[];
  routes(): readonly RouteView[];
  threads(): readonly ThreadView[];
  documents(): readonly DocumentView[];
  certificates(): readonly CertificateView[];
  managedCertificates(): readonly ManagedCertificateView[];
  /** @throws PurgeRefused */
  purgeCache(purge: Purge): Promise<PurgeResult>;
  /** @throws DrainRefused */
  drain(pool: string, endpoint: string, options: DrainOptions): DrainResult;
  /** @throws DrainRefused */
  undrain(pool: string, endpoint: string): DrainResult;
  reload(reason: string): Promise<ReloadResult>;
}
