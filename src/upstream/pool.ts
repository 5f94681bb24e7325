/**
 * A service as one generation sees it: its endpoints, which of them may be used now, and the balancer that picks. Whether
 * an endpoint may be used is read from the shared table, and only when something there has moved.
 */
import type { Random } from '../clock.ts';
import type { PanicConfig, PassiveHealthConfig, PoolConfig } from '../config/schema.ts';
import { GatewayError } from '../errors.ts';
import { ENDPOINT, type EndpointTable } from '../memory/endpoint-table.ts';
import type { Verdict } from '../memory/sample-table.ts';
import type { Breaker } from './breaker.ts';
import type { EndpointConnections } from './call.ts';
import { chooseCandidates, isAvailable, settled } from './candidates.ts';
import type { Balancer, Candidate, PickRequest } from './endpoint.ts';
import type { LatencyQuantile } from './latency-quantile.ts';
import type { Stickiness } from './sticky/stickiness.ts';
import { heedAgents, isFull } from './load/agent-limits.ts';
import type { LoadReader } from './load/reader.ts';
import type { RetryBudget } from './retry-budget.ts';
import type { Gate } from './saturation/gate.ts';
import { isCompared, verdictsOf } from './verdicts.ts';

export interface Endpoint extends Candidate {
  /** What its agent leaves of `writtenWeight`; all of it where none is asked. */
  weight: number;
  readonly writtenWeight: number;
  readonly backup: boolean;
  readonly connections: EndpointConnections;
  readonly breaker: Breaker | undefined;
  /** Its own limit; undefined: that of the pool. */
  readonly maxInFlight?: number;
}

export interface PoolParts {
  readonly config: PoolConfig;
  readonly endpoints: readonly Endpoint[];
  readonly balancer: Balancer<Endpoint>;
  readonly table: EndpointTable;
  readonly budget: RetryBudget;
  readonly p95: LatencyQuantile;
  readonly random: Random;
  /** Of the pool as a whole. */
  readonly breaker?: Breaker | undefined;
  readonly gate?: Gate | undefined;
  readonly sticky?: Stickiness | undefined;
  /** Where endpoints are weighed by what they report. */
  readonly loads?: LoadReader | undefined;
}

export class Pool {
  readonly name: string;
  readonly endpoints: readonly Endpoint[];
  readonly passive: PassiveHealthConfig | false;
  /** Its endpoints are compared with each other. */
  readonly compares: boolean;
  readonly budget: RetryBudget;
  /** Of the time to the head, where a route hedges. */
  readonly p95: LatencyQuantile;
  readonly breaker: Breaker | undefined;
  /** Undefined: it takes whatever comes. */
  readonly gate: Gate | undefined;
  /** Asked before `pick`, where sessions keep clients at endpoints. */
  readonly sticky: Stickiness | undefined;
  readonly loads: LoadReader | undefined;
  readonly #hasAgents: boolean;
  readonly #verdicts: readonly Verdict[];
  /** What a 503 advises, when nothing is left. */
  readonly #retryAfterSeconds: number;
  readonly #balancer: Balancer<Endpoint>;
  readonly #table: EndpointTable;
  readonly #panic: PanicConfig;
  readonly #random: Random;
  #epoch = -1;
  #candidates: readonly Endpoint[] = [];
  /** Would be candidates, were their breakers closed. */
  #broken: readonly Endpoint[] = [];

  constructor(parts: PoolParts) {
    const { config, endpoints, balancer, table, budget, p95, random, breaker, gate, sticky, loads } = parts;
    this.name = config.name;
    this.endpoints = endpoints;
    this.passive = config.health.passive;
    this.compares = isCompared(config.health.passive);
    this.#verdicts = verdictsOf(config.health.statuses);
    this.budget = budget;
    this.p95 = p95;
    this.breaker = breaker;
    this.gate = gate;
    this.sticky = sticky;
    this.loads = loads;
    this.#hasAgents = config.health.agent !== undefined;
    this.#retryAfterSeconds = Math.max(1, Math.ceil((config.health.active?.interval ?? 5000) / 1000));
    this.#balancer = balancer;
    this.#table = table;
    this.#panic = config.health.panic;
    this.#random = random;
  }

  /** What an answer with this status says of the endpoint that gave it. */
  verdict(status: number): Verdict {
    return this.#verdicts[status] ?? this.#verdicts[599]!;
  }

  /**
   * An endpoint that is not among those tried, while there is one; else any; undefined when there is none at all. One
   * whose breaker waits for a probe comes first: it has the last word on whether it admits the request.
   */
  pick(request: PickRequest, tried: readonly Endpoint[] | undefined): Endpoint | undefined {
    if (this.#table.epoch !== this.#epoch) this.#refresh();
    if (this.#broken.length > 0) {
      const probed = this.#toProbe(tried);
      if (probed !== undefined) return probed;
    }
    const chosen = this.#balancer.pick(request);
    if (chosen !== undefined && !this.#hasRoom(chosen)) return this.#withRoom(tried);
    if (chosen === undefined || tried === undefined || !tried.includes(chosen)) return chosen;
    return this.#untried(tried) ?? chosen;
  }

  /** A breaker has refused what was picked: the next pick looks at all of them again. */
  lookAgain(): void {
    this.#epoch = -1;
  }

  /** Why nothing was picked. */
  get unavailable(): GatewayError {
    if (this.#candidates.some((endpoint) => endpoint.weight > 0 && !this.#hasRoom(endpoint))) {
      const what = `pool '${this.name}': every endpoint has as many requests as its agent lets it have`;
      return new GatewayError('connection_limit_reached', what, { retryAfterSeconds: 1 });
    }
    const broken = this.#broken.length;
    const open = `${broken} of ${this.endpoints.length} breakers ${broken === 1 ? 'is' : 'are'} not closed`;
    const waitMs = Math.min(...this.#broken.map(({ breaker }) => breaker!.waitMs));
    return new GatewayError(
      'destination_unavailable',
      `pool '${this.name}': no endpoint is available${broken === 0 ? '' : `: ${open}`}`,
      { retryAfterSeconds: broken === 0 ? this.#retryAfterSeconds : secondsOf(waitMs) },
    );
  }

  /** Why its breaker has refused. */
  get broken(): GatewayError {
    return new GatewayError('destination_unavailable', `pool '${this.name}': its breaker is not closed`, {
      retryAfterSeconds: secondsOf(this.breaker!.waitMs),
    });
  }

  /** Who may be picked now. */
  get candidates(): readonly Endpoint[] {
    if (this.#table.epoch !== this.#epoch) this.#refresh();
    return this.#candidates;
  }

  /** Of one of the candidates, for decision records: its weight now, and what the balancer compares, if it does. */
  placeOf(endpoint: Endpoint): { readonly weight: number; readonly cost: number | undefined } {
    const weight = this.#balancer.weightOf?.(endpoint) ?? endpoint.weight;
    return { weight, cost: this.#balancer.cost?.(endpoint) };
  }

  /** Whether an endpoint that is not in `tried` could be picked now. */
  hasUntried(tried: readonly Endpoint[]): boolean {
    if (this.#table.epoch !== this.#epoch) this.#refresh();
    return this.#untried(tried) !== undefined;
  }

  /** Its agent lets it have one more. */
  #hasRoom(endpoint: Endpoint): boolean {
    return !this.#hasAgents || !isFull(endpoint, this.#table);
  }

  /** In place of what the balancer chose. */
  #withRoom(tried: readonly Endpoint[] | undefined): Endpoint | undefined {
    const withRoom = this.#candidates.filter((endpoint) => endpoint.weight > 0 && this.#hasRoom(endpoint));
    const untried = withRoom.filter((endpoint) => tried?.includes(endpoint) !== true);
    const among = untried.length > 0 ? untried : withRoom;
    return among[Math.floor(this.#random() * among.length)];
  }

  #untried(tried: readonly Endpoint[]): Endpoint | undefined {
    const count = this.#candidates.length;
    const start = Math.floor(this.#random() * count);
    for (let step = 0; step < count; step++) {
      const endpoint = this.#candidates[(start + step) % count]!;
      if (endpoint.weight > 0 && !tried.includes(endpoint) && this.#hasRoom(endpoint)) return endpoint;
    }
    return undefined;
  }

  #toProbe(tried: readonly Endpoint[] | undefined): Endpoint | undefined {
    for (const endpoint of this.#broken) {
      if (endpoint.weight > 0 && endpoint.breaker!.wantsProbe && tried?.includes(endpoint) !== true) return endpoint;
    }
    return undefined;
  }

  #refresh(): void {
    this.#epoch = this.#table.epoch;
    if (this.#hasAgents) heedAgents(this.endpoints, this.#table);
    const members = settled(this.endpoints, ({ row }) => (this.#table.status(row) & ENDPOINT.joining) !== 0);
    const { candidates, broken } = chooseCandidates(
      members,
      this.#panic,
      ({ row }) => isAvailable(this.#table.status(row)),
      ({ breaker }) => breaker?.isClosed !== false,
    );
    this.#candidates = candidates;
    this.#broken = broken;
    this.#balancer.update(candidates);
  }
}

/** The breaker of nobody waits longer than this tells; the next request may be the probe. */
function secondsOf(waitMs: number): number {
  return Math.max(1, Math.ceil(waitMs / 1000));
}
