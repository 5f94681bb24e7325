/**
 * A service as one generation sees it: its endpoints, which of them may be used now, and the balancer that picks. Whether
 * an endpoint may be used is read from the shared table, and only when something there has moved.
 */
import type { Clock, Random } from '../clock.ts';
import type { PassiveHealthConfig, PoolConfig, SlowStartConfig } from '../config/schema.ts';
import { GatewayError } from '../errors.ts';
import type { EndpointTable } from '../memory/endpoint-table.ts';
import type { Verdict } from '../memory/sample-table.ts';
import type { Breaker } from './breaker.ts';
import type { EndpointConnections } from './call.ts';
import { chooseCandidates, choiceRules, type ChoiceRules, type Member } from './candidates.ts';
import type { Balancer, Candidate, PickRequest } from './endpoint.ts';
import type { LatencyQuantile } from './latency-quantile.ts';
import type { Stickiness } from './sticky/stickiness.ts';
import { heedAgents, isFull } from './load/agent-limits.ts';
import type { LoadReader } from './load/reader.ts';
import type { RetryBudget } from './retry-budget.ts';
import type { Gate } from './saturation/gate.ts';
import { stepMs, warmthAt } from './slow-start.ts';
import { Tiers, type Seat } from './tiers.ts';
import { isCompared, verdictsOf } from './verdicts.ts';

export interface Endpoint extends Candidate, Member {
  /** What its agent leaves of `writtenWeight`; all of it where none is asked. */
  weight: number;
  readonly writtenWeight: number;
  readonly connections: EndpointConnections;
  readonly breaker: Breaker | undefined;
  /** Its own limit; undefined: that of the pool. */
  readonly maxInFlight?: number;
}

export interface PoolParts {
  readonly config: PoolConfig;
  readonly endpoints: readonly Endpoint[];
  /** One for each tier. */
  readonly createBalancer: () => Balancer<Seat<Endpoint>>;
  readonly table: EndpointTable;
  /** Where the gateway is; undefined where that does not matter. */
  readonly zone?: string | undefined;
  readonly clock: Clock;
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
  readonly #tiers: Tiers<Endpoint>;
  readonly #table: EndpointTable;
  readonly #rules: ChoiceRules;
  readonly #slowStart: SlowStartConfig | undefined;
  readonly #clock: Clock;
  readonly #random: Random;
  #epoch = -1;
  /** One of them starts slowly: weights have grown by then. */
  #isWarming = false;
  #grownAt = 0;
  #candidates: readonly Endpoint[] = [];
  /** Those that may be picked, then those that a further try may resort to; the most preferred first. */
  #groups: readonly (readonly Endpoint[])[] = [];
  /** Would be candidates, were their breakers closed. */
  #broken: readonly Endpoint[] = [];

  constructor(parts: PoolParts) {
    const { config, endpoints, createBalancer, table, zone, clock, budget, p95, random } = parts;
    const { breaker, gate, sticky, loads } = parts;
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
    this.#tiers = new Tiers(createBalancer, random);
    this.#table = table;
    this.#rules = choiceRules(config, zone);
    this.#slowStart = config.slowStart;
    this.#clock = clock;
    this.#random = random;
  }

  /** What an answer with this status says of the endpoint that gave it. */
  verdict(status: number): Verdict {
    return this.#verdicts[status] ?? this.#verdicts[599]!;
  }

  /**
   * An endpoint that is not among those tried, while there is one, also where it has no share of the load; else any;
   * undefined when there is none at all. One whose breaker waits for a probe comes first: it has the last word on whether
   * it admits the request.
   */
  pick(request: PickRequest, tried: readonly Endpoint[] | undefined, now?: number): Endpoint | undefined {
    if (this.#isOutdated) this.#refresh();
    if (this.#broken.length > 0) {
      const probed = this.#toProbe(tried);
      if (probed !== undefined) return probed;
    }
    const chosen = this.#tiers.pick(request, now);
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
    if (this.#groups.flat().some((endpoint) => endpoint.weight > 0 && !this.#hasRoom(endpoint))) {
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
    if (this.#isOutdated) this.#refresh();
    return this.#candidates;
  }

  /** Of one of the candidates, for decision records: its weight now, and what the balancer compares, if it does. */
  placeOf(endpoint: Endpoint): { readonly weight: number; readonly cost: number | undefined } {
    return this.#tiers.placeOf(endpoint);
  }

  /** Some of its endpoints start slowly. */
  get isWarming(): boolean {
    return this.#isWarming;
  }

  /**
   * Whether an endpoint that is not in `tried` could be picked now.
   * @param among `candidates`: what is asked for comes on top, and is no reason to ask those that have no share of the load.
   */
  hasUntried(tried: readonly Endpoint[], among: 'all' | 'candidates' = 'all'): boolean {
    if (this.#isOutdated) this.#refresh();
    const endpoint = this.#untried(tried);
    return endpoint !== undefined && (among === 'all' || this.#candidates.includes(endpoint));
  }

  /** Its agent lets it have one more. */
  #hasRoom(endpoint: Endpoint): boolean {
    return !this.#hasAgents || !isFull(endpoint, this.#table);
  }

  /** In place of what the balancer chose: one of those that are preferred most and have room, untried before tried. */
  #withRoom(tried: readonly Endpoint[] | undefined): Endpoint | undefined {
    return this.#untried(tried ?? []) ?? (tried === undefined ? undefined : this.#untried([]));
  }

  #untried(tried: readonly Endpoint[]): Endpoint | undefined {
    for (const group of this.#groups) {
      const start = Math.floor(this.#random() * group.length);
      for (let step = 0; step < group.length; step++) {
        const endpoint = group[(start + step) % group.length]!;
        if (endpoint.weight > 0 && !tried.includes(endpoint) && this.#hasRoom(endpoint)) return endpoint;
      }
    }
    return undefined;
  }

  #toProbe(tried: readonly Endpoint[] | undefined): Endpoint | undefined {
    for (const endpoint of this.#broken) {
      if (endpoint.weight > 0 && endpoint.breaker!.wantsProbe && tried?.includes(endpoint) !== true) return endpoint;
    }
    return undefined;
  }

  get #isOutdated(): boolean {
    return this.#table.epoch !== this.#epoch || (this.#isWarming && this.#clock.now() >= this.#grownAt);
  }

  #refresh(): void {
    const table = this.#table;
    this.#epoch = table.epoch;
    if (this.#hasAgents) heedAgents(this.endpoints, table);
    const now = this.#slowStart === undefined ? 0 : this.#clock.now();
    const warmthOf = ({ row }: Endpoint) =>
      this.#slowStart === undefined ? 1 : warmthAt(this.#slowStart, table.startedAt(row), now);
    const { tiers, candidates, broken, reserve } = chooseCandidates(this.endpoints, this.#rules, (endpoint) => ({
      status: table.status(endpoint.row),
      isClosed: endpoint.breaker?.isClosed !== false,
      part: warmthOf(endpoint) * (this.#hasAgents ? table.loads.share(endpoint.row) : 1),
    }));
    this.#candidates = candidates;
    this.#groups = [...tiers.map(({ members }) => members), ...reserve];
    this.#broken = broken;
    this.#tiers.update(tiers, warmthOf);
    if (this.#slowStart === undefined) return;
    this.#isWarming = this.endpoints.some((endpoint) => warmthOf(endpoint) < 1);
    this.#grownAt = now + stepMs(this.#slowStart);
  }
}

/** The breaker of nobody waits longer than this tells; the next request may be the probe. */
function secondsOf(waitMs: number): number {
  return Math.max(1, Math.ceil(waitMs / 1000));
}
