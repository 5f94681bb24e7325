/**
 * One data thread: it is told what to compile, when to serve it, where to listen and when to stop, and it answers. It
 * runs in a worker thread; everything it needs from outside comes through `ThreadData` and the line.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import pino, { type Logger } from 'pino';
import { systemClock, systemRandom, type Clock, type Random } from '../clock.ts';
import { countersOf, scanPlugins, type AnyPlugin } from '../extension.ts';
import { leaseFromRedis, type RedisLeases } from '../limits/leased-redis.ts';
import { MemoryLimits } from '../limits/memory-limits.ts';
import { FleetCache } from '../cache/fleet-cache.ts';
import { CacheStore } from '../cache/store.ts';
import { CacheTable } from '../memory/cache-table.ts';
import { ConnectionTable } from '../memory/connection-table.ts';
import { CounterTable } from '../memory/counter-table.ts';
import { EndpointTable } from '../memory/endpoint-table.ts';
import { ERROR_TYPES, MetricTable } from '../memory/metric-table.ts';
import { PRIORITIES } from '../priority.ts';
import { SessionTable } from '../memory/session-table.ts';
import { TimerWheel } from '../timer-wheel.ts';
import { scanBalancers } from '../upstream/balance.ts';
import type { BalancerDefinition } from '../upstream/endpoint.ts';
import { EndpointStore } from '../upstream/endpoint-store.ts';
import { LatencyAverages } from '../upstream/latency.ts';
import { SessionHome } from '../upstream/sticky/session-home.ts';
import { AccessLog } from './access-log.ts';
import { Challenges } from './challenges.ts';
import { StoredConsumers } from './consumers.ts';
import type { DataContext } from './context.ts';
import { DecisionRecorder } from './decisions/recorder.ts';
import { Documents } from './documents.ts';
import type { Exchange } from './exchange.ts';
import { buildGeneration, type Generation } from './generation.ts';
import { Listener, type ListenerHost } from './listener.ts';
import type { FromThread, GenerationPlan, Line, ListenerConfig, ThreadData, ToThread } from './messages.ts';
import { Overload } from './overload.ts';
import { PLUGIN_ORDER } from './phases.ts';
import type { Rule } from './rule.ts';
import { TicketSecrets } from './ticket-keys.ts';
import { FAREWELL_MS, OpenTunnels } from './tunnel.ts';

/** The row of requests that no route matched; see control/route-registry.ts. */
const NO_ROUTE_ROW = 1;
const DRAIN_LOOK_EVERY_MS = 50;

export interface DataPlaneParts {
  readonly clock?: Clock;
  readonly random?: Random;
  readonly log?: Logger;
}

/** @returns once it listens to the line. */
export async function createDataPlane(
  data: ThreadData,
  line: Line<FromThread, ToThread>,
  parts: DataPlaneParts = {},
): Promise<void> {
  const installed = await scanPlugins();
  new DataPlane(data, line, inPathOrder(installed), await scanBalancers(), parts);
}

/** @throws when a plugin has no position in phases.ts. */
function inPathOrder(plugins: readonly AnyPlugin[]): readonly AnyPlugin[] {
  const stranger = plugins.find((plugin) => !PLUGIN_ORDER.includes(plugin.name));
  if (stranger !== undefined) throw new Error(`plugin '${stranger.name}' has no position in src/data/phases.ts`);
  return [...plugins].sort((a, b) => PLUGIN_ORDER.indexOf(a.name) - PLUGIN_ORDER.indexOf(b.name));
}

class DataPlane implements ListenerHost {
  readonly context: DataContext;
  readonly connections: ConnectionTable;
  readonly overload: Overload;
  readonly noRoute: Rule;
  readonly #line: Line<FromThread, ToThread>;
  readonly #store: EndpointStore;
  readonly #leases: RedisLeases | undefined;
  readonly #fleet: FleetCache | undefined;
  readonly #heartbeats: Int32Array;
  readonly #prepared = new Map<number, Generation>();
  readonly #live = new Set<Generation>();
  #current: Generation | undefined;
  #listeners: Listener[] = [];
  #accessLog: AccessLog | undefined;

  constructor(
    data: ThreadData,
    line: Line<FromThread, ToThread>,
    plugins: readonly AnyPlugin[],
    balancers: ReadonlyMap<string, BalancerDefinition>,
    parts: DataPlaneParts,
  ) {
    const clock = parts.clock ?? systemClock;
    const { thread, threads } = data;
    const table = new EndpointTable(data.endpoints);
    const metrics = new MetricTable(data.metrics).writer(thread);
    const wheel = new TimerWheel(clock);
    this.#line = line;
    this.#heartbeats = new Int32Array(data.heartbeats);
    this.connections = new ConnectionTable(data.connections, threads);
    this.connections.resetThread(thread);
    const random = parts.random ?? systemRandom;
    const log = parts.log ?? pino({ base: { thread } });
    const local = new MemoryLimits(data.limits, thread, clock);
    this.#leases = data.store && leaseFromRedis(data.store, local, { clock, random, wheel, metrics, log });
    const cacheTable = new CacheTable(data.cache);
    this.#fleet = data.answerStore && new FleetCache(data.answerStore, { table: cacheTable, clock, random, log });
    void this.#fleet?.start();
    const decisions = new DecisionRecorder({
      table,
      clock,
      random,
      thread,
      send: (batch) => line.send({ kind: 'decisions', batch }),
    });
    this.context = {
      thread,
      threads,
      clock,
      wheel,
      table,
      metrics,
      latency: new LatencyAverages(table, clock),
      random,
      soon: process.nextTick,
      log,
      plugins,
      balancers,
      consumers: new StoredConsumers(),
      documents: new Documents((url) => line.send({ kind: 'refresh', url }), clock),
      challenges: new Challenges(),
      limits: this.#leases?.limits ?? local,
      cache: new CacheStore(cacheTable, thread, this.#fleet),
      sessions: new SessionHome(new SessionTable(data.sessions), data.store, { clock, random, log }),
      counters: new CounterTable(data.counters, countersOf(plugins)),
      tickets: new TicketSecrets(data.ticketSecrets),
      decisions,
      tunnels: new OpenTunnels(metrics),
      draining: false,
      suspect: (row, failures, reason) => line.send({ kind: 'suspect', row, failures, reason }),
      breakerMoved: (row, move) => line.send({ kind: 'breaker', row, move }),
      recordFailure: (exchange) => decisions.recordFailure(exchange),
    };
    this.#store = new EndpointStore({ threads, clock, wheel, metrics });
    this.noRoute = noRouteRule();
    const onLook = () => Atomics.add(this.#heartbeats, thread, 1);
    this.overload = new Overload({ clock, random, metrics, log, onLook });
    line.onMessage((message) => void this.#receive(message));
  }

  get current(): Generation {
    return this.#current!;
  }

  onEnd(exchange: Exchange): void {
    const { metrics, clock } = this.context;
    const { rule, error, tunnel, grpc } = exchange;
    const durationMs = clock.now() - exchange.startedAt;
    // How long a tunnel lives says nothing about speed.
    const answeredMs = tunnel === undefined ? durationMs : tunnel.openedAt - exchange.startedAt;
    metrics.request(rule.row, exchange.status, answeredMs, exchange.bytesIn, exchange.bytesOut);
    if (grpc !== undefined) metrics.grpc(rule.row, grpc.outcome(error, exchange.clientLeft));
    if (error !== undefined) metrics.error(rule.row, ERROR_TYPES.indexOf(error.type));
    for (let retry = 0; retry < exchange.retries; retry++) metrics.retry(rule.row);
    this.#accessLog?.write(exchange, durationMs);
    this.context.decisions.end(exchange, durationMs);
  }

  async #receive(message: ToThread): Promise<void> {
    switch (message.kind) {
      case 'prepare':
        return this.#prepare(message.plan);
      case 'commit':
        return this.#commit(message.id);
      case 'discard':
        return this.#discard(message.id);
      case 'document':
        return this.context.documents.receive(message.document);
      case 'consumers':
        return this.context.consumers.replace(message.consumers);
      case 'challenges':
        return this.context.challenges.replace(message.pending);
      case 'tickets':
        return this.context.tickets.replace(message.secrets);
      case 'leave':
        return void this.context.tunnels.leaveEndpoint(message.row);
      case 'listen':
        return this.#listen(message.listeners, message.reusePort);
      case 'drain':
        return this.#drain(message.delayMs, message.timeoutMs);
    }
  }

  async #prepare(plan: GenerationPlan): Promise<void> {
    try {
      await this.#leases?.settled;
      const generation: Generation = await buildGeneration(plan, this.#store, this.context, () => {
        this.#live.delete(generation);
        // While the control plane still knows whose its rows are.
        this.context.decisions.flush();
        this.#line.send({ kind: 'released', id: plan.id });
      });
      this.#live.add(generation);
      this.#prepared.set(plan.id, generation);
      this.#line.send({ kind: 'prepared', id: plan.id });
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#line.send({ kind: 'refused', id: plan.id, reason });
    }
  }

  #commit(id: number): void {
    const next = this.#prepared.get(id);
    if (next === undefined) return;
    this.#prepared.delete(id);
    const before = this.#current;
    const { accessLog, shed } = next.settings;
    if (JSON.stringify(accessLog) !== JSON.stringify(before?.settings.accessLog)) this.#openAccessLog(next);
    this.overload.configure(shed);
    this.context.decisions.configure(next.settings.explain);
    this.#current = next;
    this.context.metrics.generation(id);
    before?.retire();
  }

  #openAccessLog({ settings: { accessLog }, dir }: Generation): void {
    void this.#accessLog?.close();
    this.#accessLog = accessLog.enabled
      ? new AccessLog(accessLog, dir, this.context.clock, this.context.random)
      : undefined;
  }

  #discard(id: number): void {
    this.#prepared.get(id)?.retire();
    this.#prepared.delete(id);
  }

  async #listen(listeners: readonly ListenerConfig[], reusePort: boolean): Promise<void> {
    this.#listeners = listeners.map((config, index) => new Listener(this, config, index));
    try {
      const ports = await Promise.all(this.#listeners.map((listener) => listener.listen(reusePort)));
      this.#line.send({ kind: 'listening', ports });
    } catch (error) {
      // Nothing to serve on: the control plane hears why, from the thread's end.
      throw new Error(`cannot listen: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
    }
  }

  /** From now on answers end their connections; after the delay no new ones are taken; after the timeout what is left is cut. */
  #drain(delayMs: number, timeoutMs: number): void {
    const { clock } = this.context;
    this.context.draining = true;
    clock.after(delayMs, () => {
      for (const listener of this.#listeners) listener.stop();
      let deadline = clock.now() + timeoutMs;
      let isFarewell = false;
      const looking = clock.every(DRAIN_LOOK_EVERY_MS, () => {
        if (this.#inFlight > 0 && clock.now() < deadline) return;
        if (!isFarewell && this.context.tunnels.leave() > 0) {
          isFarewell = true;
          // Those who do not answer are reset at the first of the two, and so not cut here.
          deadline = clock.now() + 2 * FAREWELL_MS;
          return;
        }
        looking.cancel();
        const cut = this.#listeners.reduce((sum, listener) => sum + listener.cut(), 0);
        void this.#finish(cut);
      });
    });
  }

  async #finish(cut: number): Promise<void> {
    // The sockets that were cut have yet to tell their exchanges, which have yet to be logged.
    await nextTurn();
    await this.#accessLog?.close();
    this.#accessLog = undefined;
    await this.#leases?.close();
    await this.#fleet?.close();
    this.context.decisions.flush();
    await this.context.sessions.close();
    this.#line.send({ kind: 'drained', cut });
  }

  get #inFlight(): number {
    let sum = 0;
    for (const generation of this.#live) sum += generation.inFlight;
    return sum;
  }
}

/** Stands for the route of requests that have none, so that they too are counted, logged and bounded. */
function noRouteRule(): Rule {
  return {
    name: '__none__',
    row: NO_ROUTE_ROW,
    pool: undefined,
    grpc: false,
    allowsEncodedSlashes: false,
    maxBodyBytes: 0,
    admit: () => {},
    headMs: 1000,
    totalMs: 0,
    perTryMs: 0,
    idleMs: 60_000,
    streamIdleMs: 60_000,
    websocket: false,
    priority: PRIORITIES.indexOf('normal'),
    sample: 0,
    hooks: [],
    endings: [],
    edits: [],
    answersPreflights: false,
    dispatch: () => {},
  };
}
