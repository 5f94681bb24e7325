/**
 * The shipped gateway without its sockets: the control plane's registry and health, and data threads with the pools, rules
 * and exchanges that their configuration compiles to. What is not shipped is at its two ends: clients, and servers behind
 * the seam of src/upstream/call.ts.
 */
import type { Logger } from 'pino';
import type { Random } from '../../src/clock.ts';
import type { Config } from '../../src/config/schema.ts';
import { Health } from '../../src/control/health/health.ts';
import type { CreateChecker } from '../../src/control/health/checker.ts';
import { EndpointRegistry } from '../../src/control/endpoint-registry.ts';
import type { CacheStore } from '../../src/cache/store.ts';
import type { Challenges } from '../../src/data/challenges.ts';
import { StoredConsumers } from '../../src/data/consumers.ts';
import type { DataContext } from '../../src/data/context.ts';
import type { Documents } from '../../src/data/documents.ts';
import { Exchange } from '../../src/data/exchange.ts';
import { buildPools, type Generation } from '../../src/data/generation.ts';
import { compileMatcher, type Matcher } from '../../src/data/match/matcher.ts';
import type { GenerationPlan } from '../../src/data/messages.ts';
import { compileRule, type Rule } from '../../src/data/rule.ts';
import { shareConsumers } from '../../src/data/shared-consumers.ts';
import type { TicketSecrets } from '../../src/data/ticket-keys.ts';
import type { OpenTunnels } from '../../src/data/tunnel.ts';
import { GatewayError } from '../../src/errors.ts';
import { countersOf, type AnyPlugin } from '../../src/extension.ts';
import type { Limits } from '../../src/limits/limiter.ts';
import { MemoryLimits } from '../../src/limits/memory-limits.ts';
import { ConcurrencyTable } from '../../src/memory/concurrency-table.ts';
import { CounterTable } from '../../src/memory/counter-table.ts';
import { EndpointTable } from '../../src/memory/endpoint-table.ts';
import { LimitTable } from '../../src/memory/limit-table.ts';
import { MetricTable } from '../../src/memory/metric-table.ts';
import { SessionTable } from '../../src/memory/session-table.ts';
import { UsageTable } from '../../src/memory/usage-table.ts';
import { TimerWheel } from '../../src/timer-wheel.ts';
import { attemptDispatch } from '../../src/upstream/attempt.ts';
import type { BalancerDefinition } from '../../src/upstream/endpoint.ts';
import type { EndpointStore } from '../../src/upstream/endpoint-store.ts';
import { LatencyAverages } from '../../src/upstream/latency.ts';
import { SessionHome } from '../../src/upstream/sticky/session-home.ts';
import {
  addressOf,
  CONNECTION,
  destinationOf,
  headOf,
  messageOf,
  VirtualAnswer,
  type Visit,
} from './virtual-client.ts';
import type { VirtualClock } from './virtual-clock.ts';
import { VirtualConnections } from './virtual-connections.ts';
import type { VirtualServer } from './virtual-server.ts';

/** From a data thread to the control plane. */
const MESSAGE_MS = 0.1;
/** Rows of the tables: more than any scenario has endpoints. */
const ROWS = 64;

export interface GatewayParts {
  readonly config: Config;
  readonly plugins: readonly AnyPlugin[];
  readonly balancers: ReadonlyMap<string, BalancerDefinition>;
  readonly servers: readonly VirtualServer[];
  readonly threads: number;
  readonly clock: VirtualClock;
  readonly random: Random;
  readonly networkRandom: Random;
}

interface Thread {
  readonly context: DataContext;
  readonly matcher: Matcher<Rule>;
}

/** Told once, when the exchange has ended. */
export type Ending = (exchange: Exchange) => void;

export class VirtualGateway {
  readonly #parts: GatewayParts;
  readonly #table: EndpointTable;
  readonly #health: Health;
  readonly #rows: ReadonlyMap<string, number>;
  readonly #connections: VirtualConnections[] = [];
  #threads: readonly Thread[] = [];
  /** Where a pool is sticky. */
  readonly #sessions: SessionHome | undefined;
  /** Exchanges that have not ended. */
  open = 0;

  static async start(parts: GatewayParts): Promise<VirtualGateway> {
    const gateway = new VirtualGateway(parts);
    await gateway.#startThreads();
    return gateway;
  }

  private constructor(parts: GatewayParts) {
    const { clock, random, threads, config } = parts;
    this.#parts = parts;
    this.#table = EndpointTable.allocate(threads, ROWS);
    if (config.pools.some(({ sticky }) => sticky !== undefined)) {
      const parts = { clock, random, log: SILENT as unknown as Logger };
      this.#sessions = new SessionHome(SessionTable.allocate(4096), undefined, parts);
    }
    const registry = new EndpointRegistry(this.#table, clock);
    this.#rows = registry.hold(1, config);
    registry.commit(config, this.#rows);
    const createChecker = this.#createChecker;
    this.#health = new Health({ registry, table: this.#table, clock, random, log: SILENT, createChecker });
    this.#health.update(config);
  }

  /** A client asks; `onEnd` is called once. @returns what the client can do: leave. */
  take(visit: Visit, thread: number, onEnd: Ending): { leave(): void } {
    const { clock } = this.#parts;
    const { context, matcher } = this.#threads[thread]!;
    // Node tells of the end in a turn of its own.
    const answer = new VirtualAnswer(() => clock.after(0, () => this.#end(exchange, onEnd)));
    const exchange = new Exchange(
      context,
      messageOf(visit, answer),
      CONNECTION,
      headOf(visit),
      destinationOf(visit),
      NO_GENERATION,
      clock.now(),
      '',
      addressOf(visit),
    );
    this.open++;
    this.#serve(exchange, matcher);
    return { leave: () => answer.reset() };
  }

  /** Requests that endpoints have, as the shared table counts them. */
  get inFlight(): number {
    let sum = 0;
    for (let row = 0; row < ROWS; row++) sum += this.#table.inFlight(row);
    return sum;
  }

  /** Calls that connections have. */
  get held(): number {
    return this.#connections.reduce((sum, { held }) => sum + held, 0);
  }

  close(): void {
    this.#health.close();
  }

  /** As the intake and a generation do it, without Fastify between the hooks. */
  #serve(exchange: Exchange, matcher: Matcher<Rule>): void {
    const match = matcher.match(exchange.view)!;
    exchange.rule = match.rule;
    try {
      exchange.matched(match);
      match.rule.admit(exchange);
      this.#runHook(exchange, match.rule, 0);
    } catch (error) {
      exchange.fail(asGatewayError(error));
    }
  }

  #runHook(exchange: Exchange, rule: Rule, at: number): void {
    const hook = rule.hooks[at];
    if (hook === undefined) return exchange.forward();
    // It may answer by promises, which have their turn before time goes on.
    this.#parts.clock.oweTurn();
    hook.onRequest!(exchange, undefined as never, (error) => {
      if (error === undefined) this.#runHook(exchange, rule, at + 1);
      else exchange.fail(asGatewayError(error));
    });
  }

  #end(exchange: Exchange, onEnd: Ending): void {
    exchange.end();
    this.open--;
    onEnd(exchange);
  }

  async #startThreads(): Promise<void> {
    const { config, threads } = this.#parts;
    const route = config.routes[0]!;
    const limits = this.#limitBuffers();
    const counters = CounterTable.allocate(threads, 2, countersOf(this.#parts.plugins));
    const metrics = MetricTable.allocate({ threads, routes: 2, endpoints: ROWS });
    const starting = Array.from({ length: threads }, async (_, thread) => {
      const context = this.#contextOf(thread, metrics, counters, limits(thread));
      const pools = buildPools(this.#plan, this.#store, context, []);
      const consumers = context.consumers.of(this.#plan.consumers);
      const innermost = attemptDispatch(context);
      const rule = await compileRule(route, 1, { config, pools, consumers, innermost, context });
      return { context, matcher: compileMatcher([{ rule, match: route.match }]) };
    });
    this.#threads = await Promise.all(starting);
  }

  #contextOf(thread: number, metrics: MetricTable, counters: CounterTable, limits: Limits): DataContext {
    const { clock, random, threads, plugins, balancers } = this.#parts;
    const table = this.#table;
    const tell = (message: () => void) => void clock.after(MESSAGE_MS, message);
    return {
      thread,
      threads,
      clock,
      wheel: new TimerWheel(clock),
      table,
      metrics: metrics.writer(thread),
      latency: new LatencyAverages(table, clock),
      random,
      soon: (run) => void clock.after(0, run),
      log: SILENT as unknown as Logger,
      plugins,
      balancers,
      consumers: new StoredConsumers(),
      documents: undefined as unknown as Documents,
      challenges: undefined as unknown as Challenges,
      limits,
      cache: undefined as unknown as CacheStore,
      counters,
      sessions: this.#sessions as SessionHome,
      tickets: undefined as unknown as TicketSecrets,
      tunnels: undefined as unknown as OpenTunnels,
      decisions: undefined as unknown as DataContext['decisions'],
      recordFailure: () => undefined,
      draining: false,
      suspect: (row, _failures, reason) => tell(() => this.#health.passive.suspect(row, reason)),
      breakerMoved: (row, move) => tell(() => this.#health.breakers.moved(row, move)),
    };
  }

  get #plan(): GenerationPlan {
    const { config } = this.#parts;
    const routeRows = new Map(config.routes.map(({ name }) => [name, 1]));
    return { id: 1, config, consumers: NO_CONSUMERS, endpointRows: this.#rows, routeRows, tlsFiles: [] };
  }

  /** Where a thread finds its connections. */
  get #store(): EndpointStore {
    const { servers, clock, networkRandom: random, threads } = this.#parts;
    const acquire: EndpointStore['acquire'] = ({ connections: settings, balance }, { url }) => {
      const reports = balance === 'adaptive' || (typeof balance === 'object' && 'adaptive' in balance);
      const server = servers.find((each) => each.url === url)!;
      const connections = new VirtualConnections({ server, clock, random, settings, threads, reports });
      this.#connections.push(connections);
      return connections;
    };
    return { acquire, release: () => {} } as unknown as EndpointStore;
  }

  /** Their tables are large: only where a route has limits. */
  #limitBuffers(): (thread: number) => Limits {
    const { clock, threads, config } = this.#parts;
    if (!config.routes.some((route) => 'rateLimit' in route)) return () => undefined as unknown as Limits;
    const buffers = {
      limits: LimitTable.allocate(clock.now(), 4096).buffers,
      concurrency: ConcurrencyTable.allocate(threads, 1024).buffers,
      usage: UsageTable.allocate().shared,
    };
    return (thread) => new MemoryLimits(buffers, thread, clock);
  }

  /** Active checks reach the same servers: one that fails requests has a health page that is fine. */
  readonly #createChecker: CreateChecker = () => ({
    check: ({ url }, signal) =>
      new Promise((resolve) => {
        const { servers, clock } = this.#parts;
        // The probe's own timeout goes on by promises, too.
        signal.addEventListener('abort', () => clock.oweTurn());
        const { state } = servers.find((server) => server.url === url)!;
        if (state === 'silent') return;
        clock.after(1, () => {
          clock.oweTurn();
          resolve({ ok: state === 'up', reason: state === 'up' ? 'status 200' : 'connection refused' });
        });
      }),
    close: () => {},
  });
}

const SILENT = { info: () => {}, warn: () => {}, error: () => {} };
const NO_CONSUMERS = shareConsumers([]);
const NO_GENERATION = undefined as unknown as Generation;

function asGatewayError(error: unknown): GatewayError {
  if (error instanceof GatewayError) return error;
  return new GatewayError('proxy_internal_error', String(error), { cause: error });
}
