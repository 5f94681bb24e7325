/**
 * What serves: the threads, the shared tables, who has which row, and the health of the endpoints. They always follow one
 * configuration together; `swap` brings all of them to the next one, or none.
 */
import type { Clock, Random } from '../clock.ts';
import type { Config } from '../config/schema.ts';
import { checkedTlsFiles, withIssued, type TlsFiles } from '../config/tls-files.ts';
import type { GenerationPlan, ListenerConfig, ToThread } from '../data/messages.ts';
import { shareConsumers } from '../data/shared-consumers.ts';
import { LimitTables } from '../limits/memory-limits.ts';
import { ConnectionTable } from '../memory/connection-table.ts';
import { CacheTable } from '../memory/cache-table.ts';
import { EndpointTable } from '../memory/endpoint-table.ts';
import { CounterTable, type CounterSpec } from '../memory/counter-table.ts';
import { SessionTable } from '../memory/session-table.ts';
import { MetricTable } from '../memory/metric-table.ts';
import { AcmeFollower } from './acme/acme.ts';
import { purgeJudge, type Purge } from '../cache/purge.ts';
import type { SourceDefinitions } from '../discovery/source.ts';
import { CacheFleet } from './cache-fleet.ts';
import { viewCertificates } from './certificates.ts';
import { Decisions } from './decisions.ts';
import { Discovery } from './discovery.ts';
import { withSecret } from './made-up-secret.ts';
import { DocumentFollower } from './documents.ts';
import { answerStoreOptions, redisOptions } from '../store/options.ts';
import { Drains } from './drains.ts';
import { EndpointRegistry } from './endpoint-registry.ts';
import { Health } from './health/health.ts';
import type { ControlLog, WriteLines } from './log.ts';
import { viewPool } from './pool-view.ts';
import { RouteRegistry } from './route-registry.ts';
import { StoredConsumerFollower } from './stored-consumers.ts';
import { Supervisor } from './supervisor.ts';
import type { SpawnThread } from './thread-line.ts';
import type {
  CertificateView,
  DocumentView,
  ManagedCertificateView,
  PoolView,
  PurgeResult,
  RouteView,
  ThreadView,
} from './view.ts';

export interface ServingParts {
  readonly threads: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: ControlLog;
  readonly writeLines: WriteLines;
  readonly spawn: SpawnThread;
  /** What plugins count. */
  readonly counters: readonly CounterSpec[];
  /** Where pools may find endpoints. */
  readonly sources: SourceDefinitions;
}

export class Serving {
  readonly endpointTable: EndpointTable;
  readonly metricTable: MetricTable;
  readonly counterTable: CounterTable;
  readonly limitTables: LimitTables;
  readonly cacheTable: CacheTable;
  readonly drains: Drains;
  readonly decisions: Decisions;
  readonly #clock: Clock;
  readonly #endpoints: EndpointRegistry;
  readonly #routes: RouteRegistry;
  readonly #health: Health;
  readonly #documents: DocumentFollower;
  readonly #consumers: StoredConsumerFollower;
  readonly #acme: AcmeFollower;
  readonly #discovery: Discovery;
  readonly #supervisor: Supervisor;
  readonly #cacheFleet: CacheFleet | undefined;
  #lastId = 0;
  #plan: GenerationPlan;
  #config: Config;
  #since: number;
  /** What the files of its listeners held. */
  #tlsFiles: readonly (TlsFiles | undefined)[];
  #swapping: Promise<void> = Promise.resolve();

  /** @param config the first to serve, from `start` on. */
  constructor(config: Config, { threads, clock, random, log, writeLines, spawn, counters, sources }: ServingParts) {
    const { maxRoutes } = config.gateway.metrics;
    const table = EndpointTable.allocate(threads);
    const routes = RouteRegistry.rowsFor(maxRoutes);
    const metrics = MetricTable.allocate({ threads, routes, endpoints: table.capacity });
    const counterTable = CounterTable.allocate(threads, routes, counters);
    this.endpointTable = table;
    this.metricTable = metrics;
    this.counterTable = counterTable;
    this.limitTables = LimitTables.allocate(threads, clock.now());
    this.cacheTable = CacheTable.allocate(config.gateway.cache.memory, config.gateway.cache.maxEntry);
    this.#clock = clock;
    this.#endpoints = new EndpointRegistry(table, clock, (row) => metrics.resetEndpoint(row));
    this.#routes = new RouteRegistry(maxRoutes, clock, (row) => {
      metrics.resetRoute(row);
      counterTable.resetRoute(row);
    });
    this.#health = new Health({ registry: this.#endpoints, table, clock, random, log });
    this.drains = new Drains({
      registry: this.#endpoints,
      table,
      clock,
      leave: (row) => this.#supervisor.tellAll({ kind: 'leave', row }),
    });
    this.decisions = new Decisions({ registry: this.#endpoints, health: this.#health }, writeLines, clock);
    this.#documents = new DocumentFollower({
      clock,
      random,
      log,
      publish: (document) => this.#supervisor.tellAll({ kind: 'document', document }),
    });
    this.#consumers = new StoredConsumerFollower({
      clock,
      random,
      log,
      publish: (consumers) => this.#supervisor.tellAll({ kind: 'consumers', consumers }),
    });
    this.#acme = new AcmeFollower({
      clock,
      random,
      log,
      store: redisOptions(config.gateway.store),
      publish: (pending) => this.#supervisor.tellAll({ kind: 'challenges', pending }),
      install: () => this.#swapAfter(() => this.#install()),
    });
    this.#discovery = new Discovery({
      definitions: sources,
      clock,
      random,
      log,
      install: () => this.#swapAfter(() => this.#install()),
    });
    const answerStore = answerStoreOptions(config.gateway);
    this.#cacheFleet = answerStore && new CacheFleet(answerStore, { table: this.cacheTable, clock, random, log });
    this.#supervisor = new Supervisor({
      threads,
      endpoints: table,
      metrics,
      counters: counterTable,
      limits: this.limitTables,
      cache: this.cacheTable,
      sessions: SessionTable.allocate(),
      store: redisOptions(config.gateway.store),
      answerStore,
      connections: ConnectionTable.allocate(threads),
      spawn,
      clock,
      log,
      onSuspect: (row, reason) => this.#health.passive.suspect(row, reason),
      onBreaker: (row, move) => this.#health.breakers.moved(row, move),
      onDecisions: (...told) => this.decisions.receive(...told),
      onRefresh: (url) => this.#documents.refresh(url),
      greeting: () => this.#greeting(),
      onReleased: (generation) => this.#release(generation),
    });
    this.#config = config;
    this.#tlsFiles = this.#readTlsFiles(config, []);
    this.#plan = this.#planFor(config, this.#tlsFiles);
    this.#since = clock.wall();
  }

  /** Resolves when every thread listens; rejects when one cannot. */
  start(): Promise<void> {
    return this.#swapAfter(() => this.#start());
  }

  async #start(): Promise<void> {
    await this.#discovery.begin(this.#config);
    if (this.#discovery.complete(this.#config) !== this.#config) {
      const { id } = this.#plan;
      this.#plan = this.#planFor(this.#config, this.#tlsFiles);
      this.#release(id);
    }
    // Probes begin while the threads compile, so that the first request already meets some verdicts.
    this.#follow(this.#plan, this.#config);
    // Before anybody is served: those of the store are no strangers.
    await this.#consumers.start(redisOptions(this.config.gateway.store));
    await this.#acme.start(this.#config);
    this.#plan = { ...this.#plan, tlsFiles: this.#withIssued(this.#config, this.#tlsFiles) };
    await this.#cacheFleet?.start();
    await this.#supervisor.start(this.#plan, this.config.gateway.listen);
    this.#acme.run();
  }

  /** Rejects when there are not enough rows, when a thread refuses, or when `mayCommit` no longer holds at the end. */
  async swap(config: Config, mayCommit: () => void): Promise<void> {
    await this.#discovery.begin(config);
    const swapped = this.#swapAfter(async () => {
      const tlsFiles = this.#readTlsFiles(config, this.#tlsFiles);
      const plan = await this.#commitPlan(config, tlsFiles, mayCommit);
      this.#tlsFiles = tlsFiles;
      this.#since = this.#clock.wall();
      this.#follow(plan, config);
      void this.#acme.follow(config);
    });
    await swapped.finally(() => this.#discovery.follow(this.#config));
  }

  /** The same configuration, with the certificates and endpoints that are there now. */
  async #install(): Promise<void> {
    this.#plan = await this.#commitPlan(this.#config, this.#tlsFiles, () => {});
    this.#endpoints.commit(this.#plan.config, this.#plan.endpointRows);
    this.#health.update(this.#plan.config);
  }

  /** One after the other. */
  #swapAfter(swap: () => Promise<void>): Promise<void> {
    const swapped = this.#swapping.then(swap);
    this.#swapping = swapped.catch(() => {});
    return swapped;
  }

  async #commitPlan(
    config: Config,
    tlsFiles: readonly (TlsFiles | undefined)[],
    mayCommit: () => void,
  ): Promise<GenerationPlan> {
    const plan = this.#planFor(config, tlsFiles);
    try {
      await this.#supervisor.prepareAll(plan);
      mayCommit();
    } catch (error) {
      this.#supervisor.discardAll(plan.id);
      this.#release(plan.id);
      throw error;
    }
    this.#supervisor.commitAll(plan);
    return plan;
  }

  /** @returns how many exchanges were cut at the deadline. */
  async drain(): Promise<number> {
    void this.#acme.close();
    this.#discovery.close();
    const { delay, timeout } = this.config.gateway.drain;
    return this.#supervisor.drainAll(delay, timeout);
  }

  /** Ends all threads at once. */
  async close(): Promise<void> {
    this.#health.close();
    this.drains.close();
    this.#documents.close();
    this.#discovery.close();
    this.#consumers.close();
    await this.#acme.close();
    this.#cacheFleet?.close();
    await this.#supervisor.close();
  }

  /** Here, and in the gateways that share the store. @throws PurgeRefused */
  async purgeCache(purge: Purge): Promise<PurgeResult> {
    const judge = purgeJudge(purge);
    // Told first: what the store says from here on is not believed before it has heard.
    const fleet = this.#cacheFleet?.purge(purge);
    const purged = this.cacheTable.purge(judge);
    return fleet === undefined ? { purged } : { purged, fleet: await fleet };
  }

  get config(): Config {
    return this.#config;
  }

  /** When the configuration was committed, milliseconds since the epoch. */
  get since(): number {
    return this.#since;
  }

  /** With the actual ports, once they are open. */
  get listeners(): readonly ListenerConfig[] {
    return this.#supervisor.listeners;
  }

  get generations(): number {
    return this.#supervisor.generations;
  }

  get threads(): readonly ThreadView[] {
    return this.#supervisor.threads;
  }

  get routeNames(): ReadonlyMap<number, string> {
    return this.#routes.names;
  }

  get routes(): readonly RouteView[] {
    const { config, routeRows } = this.#plan;
    return config.routes.map(({ name, source }) => ({ name, source, row: routeRows.get(name)! }));
  }

  get pools(): readonly PoolView[] {
    const parts = {
      clock: this.#clock,
      registry: this.#endpoints,
      table: this.endpointTable,
      health: this.#health,
      discovery: this.#discovery,
      zone: this.config.gateway.zone,
    };
    return this.config.pools.map((pool) => viewPool(pool, parts));
  }

  get certificates(): readonly CertificateView[] {
    return viewCertificates(this.config, this.#plan.tlsFiles, this.#clock.wall());
  }

  get managedCertificates(): readonly ManagedCertificateView[] {
    return this.#acme.views;
  }

  get documents(): readonly DocumentView[] {
    return this.#documents.views;
  }

  /** What a thread must know from its start on. */
  #greeting(): ToThread[] {
    const documents = this.#documents.all.map((document): ToThread => ({ kind: 'document', document }));
    const consumers = this.#consumers.current;
    const { pending } = this.#acme;
    return [
      ...documents,
      ...(consumers === undefined ? [] : [{ kind: 'consumers', consumers } as const]),
      ...(pending.size === 0 ? [] : [{ kind: 'challenges', pending } as const]),
    ];
  }

  #readTlsFiles({ gateway }: Config, held: readonly (TlsFiles | undefined)[]): readonly (TlsFiles | undefined)[] {
    return gateway.listen.map((listener, at) => checkedTlsFiles(listener, held[at]));
  }

  #withIssued({ gateway }: Config, files: readonly (TlsFiles | undefined)[]): readonly (TlsFiles | undefined)[] {
    return files.map((held, at) => {
      const issued = this.#acme.issuedFor(gateway.listen[at]!);
      return held === undefined || issued === undefined ? held : withIssued(held, issued);
    });
  }

  #planFor(config: Config, tlsFiles: readonly (TlsFiles | undefined)[]): GenerationPlan {
    const id = ++this.#lastId;
    const complete = this.#discovery.complete(config);
    const endpointRows = this.#endpoints.hold(id, complete);
    return {
      id,
      config: { ...withSecret(complete), consumers: [] },
      consumers: shareConsumers(config.consumers),
      endpointRows,
      routeRows: this.#routes.hold(id, config.routes),
      tlsFiles: this.#withIssued(config, tlsFiles),
    };
  }

  #follow(plan: GenerationPlan, config: Config): void {
    this.#plan = plan;
    this.#config = config;
    this.decisions.keep(config.gateway.explain.failures);
    this.#endpoints.commit(plan.config, plan.endpointRows);
    this.#health.update(plan.config);
    this.#documents.follow(plan.config.documents);
  }

  #release(generation: number): void {
    this.#endpoints.release(generation);
    this.#routes.release(generation);
  }
}
