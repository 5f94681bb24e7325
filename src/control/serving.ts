/**
 * What serves: the threads, the shared tables, who has which row, and the health of the endpoints. They always follow one
 * configuration together; `swap` brings all of them to the next one, or none.
 */
import type { Clock, Random } from '../clock.ts';
import type { Config } from '../config/schema.ts';
import type { GenerationPlan, ListenerConfig } from '../data/messages.ts';
import { ConnectionTable } from '../memory/connection-table.ts';
import { EndpointTable } from '../memory/endpoint-table.ts';
import { MetricTable } from '../memory/metric-table.ts';
import { EndpointRegistry } from './endpoint-registry.ts';
import { Health } from './health/health.ts';
import type { ControlLog } from './log.ts';
import { viewPool } from './pool-view.ts';
import { RouteRegistry } from './route-registry.ts';
import { Supervisor } from './supervisor.ts';
import type { SpawnThread } from './thread-line.ts';
import type { PoolView, RouteView, ThreadView } from './view.ts';

export interface ServingParts {
  readonly threads: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: ControlLog;
  readonly spawn: SpawnThread;
}

export class Serving {
  readonly endpointTable: EndpointTable;
  readonly metricTable: MetricTable;
  readonly #clock: Clock;
  readonly #endpoints: EndpointRegistry;
  readonly #routes: RouteRegistry;
  readonly #health: Health;
  readonly #supervisor: Supervisor;
  #lastId = 0;
  #plan: GenerationPlan;
  #since: number;

  /** @param config the first to serve, from `start` on. */
  constructor(config: Config, { threads, clock, random, log, spawn }: ServingParts) {
    const { maxRoutes } = config.gateway.metrics;
    const table = EndpointTable.allocate(threads);
    const metrics = MetricTable.allocate({
      threads,
      routes: RouteRegistry.rowsFor(maxRoutes),
      endpoints: table.capacity,
    });
    this.endpointTable = table;
    this.metricTable = metrics;
    this.#clock = clock;
    this.#endpoints = new EndpointRegistry(table, clock, (row) => metrics.resetEndpoint(row));
    this.#routes = new RouteRegistry(maxRoutes, clock, (row) => metrics.resetRoute(row));
    this.#health = new Health({ registry: this.#endpoints, table, clock, random, log });
    this.#supervisor = new Supervisor({
      threads,
      endpoints: table,
      metrics,
      connections: ConnectionTable.allocate(threads),
      spawn,
      clock,
      log,
      onSuspect: (row, reason) => this.#health.passive.suspect(row, reason),
      onReleased: (generation) => this.#release(generation),
    });
    this.#plan = this.#planFor(config);
    this.#since = clock.wall();
  }

  /** Resolves when every thread listens; rejects when one cannot. */
  async start(): Promise<void> {
    // Probes begin while the threads compile, so that the first request already meets some verdicts.
    this.#follow(this.#plan);
    await this.#supervisor.start(this.#plan, this.config.gateway.listen);
  }

  /** Rejects when there are not enough rows, when a thread refuses, or when `mayCommit` no longer holds at the end. */
  async swap(config: Config, mayCommit: () => void): Promise<void> {
    const plan = this.#planFor(config);
    try {
      await this.#supervisor.prepareAll(plan);
      mayCommit();
    } catch (error) {
      this.#supervisor.discardAll(plan.id);
      this.#release(plan.id);
      throw error;
    }
    this.#supervisor.commitAll(plan);
    this.#follow(plan);
  }

  /** @returns how many exchanges were cut at the deadline. */
  drain(): Promise<number> {
    const { delay, timeout } = this.config.gateway.drain;
    return this.#supervisor.drainAll(delay, timeout);
  }

  /** Ends all threads at once. */
  async close(): Promise<void> {
    this.#health.close();
    await this.#supervisor.close();
  }

  get config(): Config {
    return this.#plan.config;
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
    const parts = { registry: this.#endpoints, table: this.endpointTable, health: this.#health };
    return this.config.pools.map((pool) => viewPool(pool, parts));
  }

  #planFor(config: Config): GenerationPlan {
    const id = ++this.#lastId;
    const endpointRows = this.#endpoints.hold(id, config);
    return { id, config, endpointRows, routeRows: this.#routes.hold(id, config.routes) };
  }

  #follow(plan: GenerationPlan): void {
    this.#plan = plan;
    this.#since = this.#clock.wall();
    this.#endpoints.commit(plan.config, plan.endpointRows);
    this.#health.update(plan.config);
  }

  #release(generation: number): void {
    this.#endpoints.release(generation);
    this.#routes.release(generation);
  }
}
