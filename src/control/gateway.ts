/**
 * The gateway as a whole: loads the configuration, starts the data threads, watches health and files, reloads, drains.
 * Everything here runs in the control plane; no client's request ever comes by.
 */
import { availableParallelism } from 'node:os';
import type { Purge } from '../cache/purge.ts';
import { systemClock, systemRandom, type Clock, type Random } from '../clock.ts';
import { formatProblem, isError } from '../config/problem.ts';
import type { Config, GatewayConfig } from '../config/schema.ts';
import type { ConfigWatch } from '../config/watch.ts';
import { scanSources, type SourceDefinitions } from '../discovery/source.ts';
import { countersOf, scanPlugins } from '../extension.ts';
import type { CounterSpec, CounterTable } from '../memory/counter-table.ts';
import type { CacheTable } from '../memory/cache-table.ts';
import type { EndpointTable } from '../memory/endpoint-table.ts';
import type { MetricTable } from '../memory/metric-table.ts';
import type { UsageTable } from '../memory/usage-table.ts';
import type { AdminServer } from './admin/server.ts';
import type { Decisions } from './decisions.ts';
import { ConfigRefused, type ConfigSource, type Loaded } from './config-source.ts';
import { fileSource } from './file-source.ts';
import { LatestOnly } from './latest-only.ts';
import { openLog, type ControlLog } from './log.ts';
import { keepUntilRestart } from './restart-keys.ts';
import { Serving } from './serving.ts';
import { spawnWorker, type SpawnThread } from './thread-line.ts';
import type {
  AdminView,
  CertificateView,
  DocumentView,
  DrainOptions,
  DrainResult,
  GatewayStatus,
  ListenerView,
  ManagedCertificateView,
  PoolView,
  PurgeResult,
  ReloadResult,
  RouteView,
  ThreadView,
} from './view.ts';

export interface GatewayOptions {
  /** Holds `gateway.yaml` and `routes.d/`. */
  readonly dir: string;
  /** For `${NAME}` in the files. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Win over gateway.yaml, also after reloads. */
  readonly overrides?: Partial<GatewayConfig>;
  /** Gets every line of the control plane's log, JSON, instead of standard output. */
  readonly log?: (line: string) => void;
  /** Called when it serves, and after each reload. */
  readonly onSettled?: () => void;
  readonly clock?: Clock;
  readonly random?: Random;
  readonly source?: ConfigSource;
  readonly spawn?: SpawnThread;
}

/** How it ended. */
export interface ExitSummary {
  /** Exchanges that were still going on at the drain deadline. */
  readonly cut: number;
}

/** Resolves when every thread listens. @throws ConfigRefused */
export async function startGateway(options: GatewayOptions): Promise<Gateway> {
  const clock = options.clock ?? systemClock;
  const source = options.source ?? fileSource(options.dir, options.env ?? process.env, clock);
  let gateway: Gateway | undefined;
  let hasChanged = false;
  // Before the first look, so that no edit falls between looking and watching.
  const watch = source.watch(() => {
    hasChanged = true;
    void gateway?.reload('watch');
  });
  try {
    await watch.ready;
    const loaded = await source.load();
    if (loaded.config === undefined) throw new ConfigRefused(loaded.problems);
    const counters = countersOf(await scanPlugins());
    const found = { counters, sources: await scanSources() };
    const starting = new Gateway(options, source, { ...loaded, config: loaded.config }, watch, found);
    await starting.start();
    gateway = starting;
  } catch (error) {
    watch.close();
    throw error;
  }
  if (hasChanged) void gateway.reload('watch');
  return gateway;
}

export class Gateway implements AdminView {
  readonly startedAt: number;
  /** What plugins count. */
  readonly counters: readonly CounterSpec[];
  readonly #overrides: Partial<GatewayConfig>;
  readonly #source: ConfigSource;
  readonly #log: ControlLog;
  readonly #serving: Serving;
  readonly #watch: ConfigWatch;
  readonly #onSettled: () => void;
  readonly #reloading = new LatestOnly((reason: string) => this.#reload(reason));
  readonly #reloads = { ok: 0, refused: 0 };
  /** What the serving configuration was made of. */
  #loaded: Loaded;
  #admin: AdminServer | undefined;
  #closing: Promise<ExitSummary> | undefined;

  constructor(
    options: GatewayOptions,
    source: ConfigSource,
    loaded: Loaded & { readonly config: Config },
    watch: ConfigWatch,
    { counters, sources }: { readonly counters: readonly CounterSpec[]; readonly sources: SourceDefinitions },
  ) {
    const { clock = systemClock, random = systemRandom, spawn = spawnWorker, overrides = {} } = options;
    this.startedAt = clock.wall();
    this.#overrides = overrides;
    this.#source = source;
    this.#watch = watch;
    this.#onSettled = options.onSettled ?? (() => {});
    const { log, writeLines } = openLog(options.log);
    this.#log = log;
    this.#loaded = loaded;
    this.#tell(loaded);
    const config = this.#overridden(loaded.config);
    const threads = threadCount(config.gateway, this.#log);
    this.#serving = new Serving(config, { threads, clock, random, log, writeLines, spawn, counters, sources });
    this.counters = counters;
  }

  /** Once, by startGateway. */
  async start(): Promise<void> {
    // Beside each other: the admin server answers "starting" while the threads compile.
    const [server, threads] = await Promise.allSettled([this.#startAdmin(), this.#serving.start()]);
    if (server.status === 'fulfilled') this.#admin = server.value;
    for (const part of [server, threads]) {
      if (part.status === 'fulfilled') continue;
      await this.#end();
      throw part.reason;
    }
    const fields = {
      event: 'ready',
      listeners: this.listeners,
      admin: this.adminAddress,
      threads: this.threads().length,
    };
    this.#log.info({ ...fields, revision: this.revision }, 'ready');
    this.#onSettled();
  }

  /** Loaded here, while the threads compile on other processors. */
  async #startAdmin(): Promise<AdminServer> {
    const { startAdmin } = await import('./admin/server.ts');
    return startAdmin(this, { ...this.config.gateway.admin, log: this.#log });
  }

  // --- what it shows ---

  get status(): GatewayStatus {
    if (this.#closing !== undefined) return 'draining';
    return this.threads().some(({ state }) => state === 'up') ? 'ready' : 'starting';
  }

  get config(): Config {
    return this.#serving.config;
  }

  get revision(): string {
    return this.config.revision;
  }

  get revisionSince(): number {
    return this.#serving.since;
  }

  get staleFiles(): readonly string[] {
    return this.#loaded.staleFiles;
  }

  get secrets(): readonly string[] {
    return this.#loaded.secrets;
  }

  get generations(): number {
    return this.#serving.generations;
  }

  get reloads(): { readonly ok: number; readonly refused: number } {
    return this.#reloads;
  }

  get listeners(): readonly ListenerView[] {
    return this.#serving.listeners.map(({ host, port }) => ({ host, port }));
  }

  /** Actual ports, in the order of `listen`. */
  get ports(): readonly number[] {
    return this.listeners.map(({ port }) => port);
  }

  get adminAddress(): string {
    return this.#admin!.address;
  }

  get adminPort(): number {
    return this.#admin!.port;
  }

  get endpointTable(): EndpointTable {
    return this.#serving.endpointTable;
  }

  get metricTable(): MetricTable {
    return this.#serving.metricTable;
  }

  get counterTable(): CounterTable {
    return this.#serving.counterTable;
  }

  get cacheTable(): CacheTable {
    return this.#serving.cacheTable;
  }

  purgeCache(purge: Purge): Promise<PurgeResult> {
    return this.#serving.purgeCache(purge);
  }

  drain(pool: string, endpoint: string, options: DrainOptions): DrainResult {
    return this.#serving.drains.drain(pool, endpoint, options);
  }

  undrain(pool: string, endpoint: string): DrainResult {
    return this.#serving.drains.undrain(pool, endpoint);
  }

  get limitUsage(): UsageTable {
    return this.#serving.limitTables.usage;
  }

  get routeNames(): ReadonlyMap<number, string> {
    return this.#serving.routeNames;
  }

  get decisions(): Decisions {
    return this.#serving.decisions;
  }

  pools(): readonly PoolView[] {
    return this.#serving.pools;
  }

  routes(): readonly RouteView[] {
    return this.#serving.routes;
  }

  threads(): readonly ThreadView[] {
    return this.#serving.threads;
  }

  certificates(): readonly CertificateView[] {
    return this.#serving.certificates;
  }

  managedCertificates(): readonly ManagedCertificateView[] {
    return this.#serving.managedCertificates;
  }

  documents(): readonly DocumentView[] {
    return this.#serving.documents;
  }

  // --- reload ---

  /** Brings all threads to what the files say now, or none. Never rejects; of those that wait, one runs for all. */
  reload(reason: string): Promise<ReloadResult> {
    return this.#reloading.run(reason);
  }

  async #reload(reason: string): Promise<ReloadResult> {
    try {
      this.#refuseWhenClosing();
      return await this.#reloadNow(reason);
    } catch (error) {
      return this.#refuse(reason, [error instanceof Error ? error.message : String(error)]);
    }
  }

  async #reloadNow(reason: string): Promise<ReloadResult> {
    const loaded = await this.#source.load(this.#loaded);
    const problems = loaded.problems.map(formatProblem);
    if (loaded.config === undefined) return this.#refuse(reason, problems);
    const { config, kept } = this.#servable(loaded.config);
    const changes = this.#source.diff(this.config, config);
    // With the same revision a file may have become wrong, or right again, but what serves is what serves.
    if (config.revision !== this.revision) await this.#serving.swap(config, () => this.#refuseWhenClosing());
    this.#loaded = loaded;

    this.#tell(loaded);
    for (const key of kept) {
      this.#log.warn({ event: 'restart_needed', key }, `'${key}' has changed and keeps its old value until a restart`);
    }
    const ok = !loaded.problems.some(isError);
    this.#reloads[ok ? 'ok' : 'refused'] += 1;
    const fields = { event: 'reloaded', reason, revision: this.revision, changes, staleFiles: this.staleFiles };
    this.#log.info(fields, `reloaded, ${changes.length} changes`);
    this.#onSettled();
    return { ok, problems, changes, revision: this.revision };
  }

  #refuse(reason: string, problems: readonly string[]): ReloadResult {
    this.#reloads.refused += 1;
    this.#log.error(
      { event: 'reload_refused', reason, problems },
      'reload refused; the configuration before serves on',
    );
    return { ok: false, problems, changes: [], revision: this.revision };
  }

  #refuseWhenClosing(): void {
    if (this.#closing !== undefined) throw new Error('the gateway is shutting down');
  }

  #servable(loaded: Config): { readonly config: Config; readonly kept: readonly string[] } {
    const next = this.#overridden(loaded);
    const { gateway, kept } = keepUntilRestart(this.config.gateway, next.gateway);
    return { config: { ...next, gateway }, kept };
  }

  #overridden(config: Config): Config {
    return { ...config, gateway: { ...config.gateway, ...this.#overrides } };
  }

  /** Warnings, and errors of quarantined files. */
  #tell({ problems }: Loaded): void {
    for (const problem of problems) {
      const { file, line, column } = problem;
      const event = isError(problem) ? 'file_quarantined' : 'config_warning';
      this.#log.warn({ event, file, line, column }, formatProblem(problem));
    }
  }

  // --- the end ---

  /** As SIGTERM: readiness fails at once, what is in flight finishes, then everything closes. */
  close(): Promise<ExitSummary> {
    this.#closing ??= this.#drain();
    return this.#closing;
  }

  /** As a second signal: nothing is waited for any longer. */
  async terminate(): Promise<ExitSummary> {
    const closing = this.close();
    await this.#serving.close();
    return closing;
  }

  async #drain(): Promise<ExitSummary> {
    const { delay, timeout } = this.config.gateway.drain;
    this.#watch.close();
    this.#log.info({ event: 'draining', delayMs: delay, timeoutMs: timeout }, 'draining');
    const cut = await this.#serving.drain();
    await this.#end();
    this.#log.info({ event: 'stopped', cut }, cut === 0 ? 'stopped' : `stopped, ${cut} exchanges were cut`);
    return { cut };
  }

  /** The admin server goes last: until then it can be asked how it stands. */
  async #end(): Promise<void> {
    await this.#serving.close();
    await this.#admin?.close();
  }
}

/** Several threads on one port need reusePort to share it fairly, which Linux alone does. */
function threadCount({ threads }: GatewayConfig, log: ControlLog): number {
  const wanted = threads === 'auto' ? availableParallelism() : threads;
  if (process.platform === 'linux' || wanted === 1) return wanted;
  if (threads !== 'auto') {
    const fields = { event: 'threads_reduced', wanted, platform: process.platform };
    log.warn(fields, `one data thread instead of ${wanted}: ${process.platform} cannot share a port between threads`);
  }
  return 1;
}
