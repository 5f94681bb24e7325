/**
 * The endpoint that would answer soonest: its average latency (upstream/latency.ts; errors count as slow answers) times
 * the requests it would then have, for its weight. Two rules keep every endpoint in use: latencies within a fifth are
 * equal, so that one of several identical endpoints is not left for being a hair slower; and an idle endpoint is
 * gradually forgiven, so that one that was slow or failing is probed again and again.
 */
import type { Clock } from '../../clock.ts';
import type { EndpointTable } from '../../memory/endpoint-table.ts';
import type { Balancer, BalancerContext, BalancerDefinition, Candidate, PickRequest } from '../endpoint.ts';
import { Cheapest, type Price } from '../choice/cheapest.ts';
import { LATENCY_DECAY_MS } from '../latency.ts';

const TOLERANCE = 0.2;
const MEDIAN_EVERY_MS = 1_000;
/**
 * Forgiveness goes to this share of the pool's median and not to the median itself, which an endpoint would approach
 * for ever without once being the cheaper one. One that was r times slower than the rest is probed after about
 * 10 s × ln(2r - 1): half a minute for ten times, one minute for two hundred times.
 */
const FORGIVEN_SHARE = 0.5;

class LeastResponseTime<Endpoint extends Candidate> implements Balancer<Endpoint>, Price<Endpoint> {
  readonly #table: EndpointTable;
  readonly #clock: Clock;
  readonly #cheapest: Cheapest<Endpoint>;
  #meanWeight = 1;
  /** Of the pool's averages; what a new endpoint is taken for. */
  #medianMs = 1;
  #medianAt = -Infinity;
  #averages = new Float64Array(0);
  #now = 0;

  constructor(context: BalancerContext) {
    this.#table = context.table;
    this.#clock = context.clock;
    this.#cheapest = new Cheapest(this, context.random, TOLERANCE);
  }

  update(endpoints: readonly Endpoint[]): void {
    this.#cheapest.update(endpoints);
    const members = this.#cheapest.endpoints;
    this.#meanWeight = members.reduce((sum, endpoint) => sum + endpoint.weight, 0) / members.length;
    this.#averages = new Float64Array(members.length);
    this.#medianAt = -Infinity;
  }

  pick(_request: PickRequest, now = this.#clock.now()): Endpoint | undefined {
    this.#now = now;
    if (this.#now - this.#medianAt >= MEDIAN_EVERY_MS) this.#takeMedian();
    return this.#cheapest.pick();
  }

  /**
   * Only what is in flight is divided by the weight, not the request to come: else an idle pool would send everything
   * to its heaviest endpoint. Ties in an idle pool are broken by weight.
   */
  cost(endpoint: Endpoint): number {
    const inFlight = this.#table.inFlight(endpoint.row);
    const latency = this.#latency(endpoint.row, inFlight);
    return latency * (1 + (inFlight * this.#meanWeight) / endpoint.weight);
  }

  #latency(row: number, inFlight: number): number {
    const average = this.#table.averageMs(row);
    if (average === 0) return this.#medianMs;
    const forgiven = this.#medianMs * FORGIVEN_SHARE;
    // Not while it has a request: the probe must tell before others follow it.
    if (average <= forgiven || inFlight > 0) return average;
    const idleMs = this.#now - this.#table.averageAt(row);
    return forgiven + (average - forgiven) * Math.exp(-idleMs / LATENCY_DECAY_MS);
  }

  #takeMedian(): void {
    this.#medianAt = this.#now;
    let known = 0;
    for (const endpoint of this.#cheapest.endpoints) {
      const average = this.#table.averageMs(endpoint.row);
      if (average > 0) this.#averages[known++] = average;
    }
    if (known > 0) this.#medianMs = this.#averages.subarray(0, known).sort()[(known - 1) >> 1]!;
  }
}

export default {
  name: 'least-response-time',
  create: <Endpoint extends Candidate>(context: BalancerContext) => new LeastResponseTime<Endpoint>(context),
} satisfies BalancerDefinition;
