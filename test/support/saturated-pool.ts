/**
 * A pool with a limit in simulated time: the shipped gate, pool and attempts over endpoints that work on so many requests
 * at once and let the others wait with them, as services do. Clients come one by one or at random, each with its patience.
 */
import { seededRandom, type Random, type Timer } from '../../src/clock.ts';
import type { EndpointConfig, MaxInFlightConfig, QueueConfig } from '../../src/config/schema.ts';
import type { Control, Dispatch, ResponseHandler, UpstreamRequest } from '../../src/data/dispatch.ts';
import type { Exchange } from '../../src/data/exchange.ts';
import { GatewayError } from '../../src/errors.ts';
import { EndpointTable } from '../../src/memory/endpoint-table.ts';
import { MetricTable } from '../../src/memory/metric-table.ts';
import type { PlaceSums } from '../../src/memory/place-table.ts';
import { PRIORITIES, type Priority } from '../../src/priority.ts';
import { TimerWheel } from '../../src/timer-wheel.ts';
import { attemptDispatch } from '../../src/upstream/attempt.ts';
import leastConnections from '../../src/upstream/balancers/least-connections.ts';
import type { Call, EndpointConnections } from '../../src/upstream/call.ts';
import { LatencyAverages } from '../../src/upstream/latency.ts';
import { LatencyQuantile } from '../../src/upstream/latency-quantile.ts';
import { Pool, type Endpoint } from '../../src/upstream/pool.ts';
import { RetryBudget } from '../../src/upstream/retry-budget.ts';
import { Gate } from '../../src/upstream/saturation/gate.ts';
import { poolConfig } from './config.ts';
import { FakeClock } from './fake-clock.ts';
import { requestOf } from './picking.ts';

export const QUEUE: QueueConfig = { max: 500, timeout: 1_000, target: 20, interval: 100 };

const POOL_ROW = 10;

/** What a service can do. */
export interface Worker {
  /** Works on so many at once. */
  workers: number;
  serviceMs: number;
}

export interface SaturatedOptions {
  /** Undefined: the pool has no limit. */
  readonly maxInFlight?: Partial<MaxInFlightConfig> | undefined;
  readonly endpoints?: readonly (Partial<EndpointConfig> & Partial<Worker>)[];
  readonly threads?: number;
  readonly seed?: number;
  /** Service times are exponential around their mean instead of all the same. */
  readonly varied?: boolean;
}

export interface Asked {
  readonly consumer?: string;
  readonly address?: string;
  /** Of its route. */
  readonly priority?: Priority;
  /** Of its consumer. */
  readonly ownPriority?: Priority;
  /** When its client leaves. Default: never. */
  readonly patienceMs?: number;
  /** Of the exchange. */
  readonly headMs?: number;
  readonly thread?: number;
  readonly tried?: Endpoint[];
}

/** Of one request. */
export class Visit implements ResponseHandler {
  readonly request: UpstreamRequest;
  readonly askedAt: number;
  outcome: 'under way' | 'served' | 'refused' | 'left' = 'under way';
  tookMs = 0;
  error: GatewayError | undefined;
  /** Its client’s. */
  patience: Timer | undefined;
  #control: Control | undefined;
  readonly #now: () => number;

  constructor(request: UpstreamRequest, now: () => number) {
    this.request = request;
    this.#now = now;
    this.askedAt = now();
  }

  leave(): void {
    if (this.outcome !== 'under way') return;
    this.outcome = 'left';
    this.#control?.abort(new GatewayError('connection_terminated', 'the client left'));
  }

  onStart(control: Control): void {
    this.#control = control;
  }

  onInformation(): void {}
  onHead(): void {}
  onData(): void {}

  onEnd(): void {
    this.#over('served');
  }

  onError(error: GatewayError): void {
    this.error = error;
    this.#over('refused');
  }

  #over(outcome: 'served' | 'refused'): void {
    if (this.outcome !== 'under way') return;
    this.outcome = outcome;
    this.patience?.cancel();
    this.tookMs = this.#now() - this.askedAt;
  }
}

export class SaturatedPool {
  readonly clock = new FakeClock();
  readonly table: EndpointTable;
  readonly services: Service[];
  readonly visits: Visit[] = [];
  readonly pools: Pool[];
  readonly #dispatches: Dispatch[];
  readonly #random: Random;

  constructor(options: SaturatedOptions = {}) {
    const { endpoints = [{}], threads = 1, seed = 1, varied = false } = options;
    const { clock } = this;
    this.#random = seededRandom(seed);
    this.table = EndpointTable.allocate(threads, 16);
    const exponential = (meanMs: number) => (varied ? -Math.log(1 - this.#random()) * meanMs : meanMs);
    this.services = endpoints.map(
      ({ workers = 1, serviceMs = 10 }) => new Service(clock, { workers, serviceMs }, exponential),
    );
    const config = poolConfig(endpoints.map((endpoint, at) => ({ ...endpoint, url: `http://10.0.0.${at}:80` })));
    const limit = options.maxInFlight && { queue: QUEUE, ...options.maxInFlight };
    const metrics = MetricTable.allocate({ threads, routes: 4, endpoints: 16 });
    const wheel = new TimerWheel(clock);
    const latency = new LatencyAverages(this.table, clock);
    const ofThread = Array.from({ length: threads }, (_, thread) => {
      const shared = { thread, threads, clock, wheel, table: this.table };
      const gate =
        limit &&
        new Gate({
          ...shared,
          name: 'orders',
          row: POOL_ROW,
          endpoints: config.endpoints,
          config: limit,
          soon: (run) => void clock.after(0, run),
        });
      const pool = new Pool({
        config,
        endpoints: config.endpoints.map((endpoint, row) => ({
          ...endpoint,
          row,
          writtenWeight: endpoint.weight,
          connections: this.services[row]!,
          breaker: undefined,
        })),
        createBalancer: () => leastConnections.create({ table: this.table, clock, random: this.#random }),
        clock,
        table: this.table,
        budget: new RetryBudget({ clock, table: this.table.budgets, row: POOL_ROW, thread, active: () => 0 }),
        p95: new LatencyQuantile(this.table.budgets, POOL_ROW),
        random: this.#random,
        gate,
      });
      const dispatch = attemptDispatch({
        ...shared,
        latency,
        metrics: metrics.writer(thread),
        suspect() {},
        breakerMoved() {},
        recordFailure: () => undefined,
      });
      return { pool, dispatch };
    });
    this.pools = ofThread.map(({ pool }) => pool);
    this.#dispatches = ofThread.map(({ dispatch }) => dispatch);
  }

  ask(asked: Asked = {}): Visit {
    const { clock } = this;
    const { consumer = '', priority = 'normal', headMs = 15_000, thread = 0, patienceMs } = asked;
    const number = this.visits.length;
    const endsAt = clock.now() + headMs;
    const exchange = {
      ...requestOf(number),
      consumer,
      clientAddress: asked.address ?? '192.0.2.1',
      rule: { priority: PRIORITIES.indexOf(priority) },
      principal: asked.ownPriority && { consumer: { priority: asked.ownPriority } },
      retries: 0,
      upstreamMs: 0,
      remainingMs: () => endsAt - clock.now(),
    };
    const request: UpstreamRequest = {
      exchange: exchange as unknown as Exchange,
      method: 'GET',
      target: '/',
      fields: ['host', 'example.com'],
      body: null,
      contentLength: undefined,
      maxBodyBytes: Infinity,
      perTryMs: 0,
      pool: this.pools[thread]!,
      tried: asked.tried,
      endpoint: undefined,
    };
    const visit = new Visit(request, clock.now);
    this.visits.push(visit);
    this.#dispatches[thread]!(request, visit);
    if (patienceMs !== undefined && visit.outcome === 'under way') {
      visit.patience = clock.after(patienceMs, () => visit.leave());
    }
    return visit;
  }

  /** Clients at random (a Poisson stream), each as `next` says. */
  crowd(forMs: number, perSecond: number, next: (random: Random) => Asked = () => ({})): this {
    const until = this.clock.now() + forMs;
    for (;;) {
      const gapMs = (-Math.log(1 - this.#random()) * 1_000) / perSecond;
      if (this.clock.now() + gapMs > until) break;
      this.clock.advance(gapMs);
      this.ask(next(this.#random));
    }
    this.clock.advance(until - this.clock.now());
    return this;
  }

  get inFlight(): number {
    return this.table.inFlight(POOL_ROW);
  }

  get sums(): PlaceSums {
    return this.table.places.sums(POOL_ROW);
  }

  /** Served since a moment, within their patience. */
  servedSince(at: number, withinMs = Infinity): number {
    return this.visits.filter(
      ({ outcome, askedAt, tookMs }) => outcome === 'served' && askedAt >= at && tookMs <= withinMs,
    ).length;
  }
}

/** Works on what it is given, first come first served; one whose caller has left is not begun. */
class Service implements EndpointConnections {
  readonly skill: Worker;
  /** The most that it has had at once, waiting ones included. */
  most = 0;
  readonly #clock: FakeClock;
  readonly #exponential: (meanMs: number) => number;
  readonly #waiting: Call[] = [];
  #busy = 0;

  constructor(clock: FakeClock, skill: Worker, exponential: (meanMs: number) => number) {
    this.#clock = clock;
    this.skill = skill;
    this.#exponential = exponential;
  }

  get has(): number {
    return this.#busy + this.#waiting.length;
  }

  start(call: Call): void {
    this.#waiting.push(call);
    this.most = Math.max(this.most, this.has);
    this.#work();
  }

  forget(call: Call): void {
    const at = this.#waiting.indexOf(call);
    if (at !== -1) this.#waiting.splice(at, 1);
  }

  configure(): void {}
  retire(): void {}
  revive(): void {}

  #work(): void {
    while (this.#busy < this.skill.workers && this.#waiting.length > 0) {
      const call = this.#waiting.shift()!;
      this.#busy++;
      // What a client leaves behind is worked on to its end all the same.
      this.#clock.after(this.#exponential(this.skill.serviceMs), () => {
        this.#busy--;
        call.onHead(200, []);
        call.onComplete(undefined);
        this.#work();
      });
    }
  }
}
