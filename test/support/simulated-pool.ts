/**
 * A pool in simulated time: requests arrive at random (a Poisson stream), a real balancer picks over a real endpoint
 * table, and each endpoint answers after a time of its own, serving any number at once or a few while others queue.
 */
import { seededRandom, type Random } from '../../src/clock.ts';
import { EndpointTable } from '../../src/memory/endpoint-table.ts';
import { LatencyAverages } from '../../src/upstream/latency.ts';
import type { Balancer, BalancerDefinition, Candidate } from '../../src/upstream/endpoint.ts';
import { FakeClock } from './fake-clock.ts';
import { candidates, requestOf } from './picking.ts';

export interface SimulatedEndpoint {
  readonly weight?: number;
  /** Mean service time; single times are exponential around it. */
  meanMs: number;
  /** Answers with an error, at once. */
  failing?: boolean;
  /** Serves so many at a time, others wait in line. Default: any number. */
  readonly workers?: number;
}

interface Line {
  readonly waiting: (() => void)[];
  busy: number;
}

export class SimulatedPool {
  readonly clock = new FakeClock();
  readonly #random: Random;
  readonly #endpoints: readonly SimulatedEndpoint[];
  readonly #lines: Line[];
  readonly #table: EndpointTable;
  readonly #averages: LatencyAverages;
  readonly #balancer: Balancer;
  #arrived = 0;
  #counts: number[] = [];
  #latencies: number[] = [];

  constructor(definition: BalancerDefinition, endpoints: readonly SimulatedEndpoint[], seed: number) {
    this.#random = seededRandom(seed);
    this.#endpoints = endpoints;
    this.#lines = endpoints.map(() => ({ waiting: [], busy: 0 }));
    this.#table = EndpointTable.allocate(1, 64);
    this.#averages = new LatencyAverages(this.#table, this.clock);
    this.#balancer = definition.create<Candidate>({ table: this.#table, clock: this.clock, random: this.#random });
    this.#balancer.update(candidates(...endpoints.map((endpoint) => endpoint.weight ?? 1)));
    this.forget();
  }

  /** Starts counting anew. */
  forget(): void {
    this.#counts = this.#endpoints.map(() => 0);
    this.#latencies = [];
  }

  run(forMs: number, perSecond: number): this {
    const until = this.clock.now() + forMs;
    for (;;) {
      const gapMs = (-Math.log(1 - this.#random()) * 1_000) / perSecond;
      if (this.clock.now() + gapMs > until) break;
      this.clock.advance(gapMs);
      this.#arrive();
    }
    this.clock.advance(until - this.clock.now());
    return this;
  }

  get shares(): number[] {
    const total = this.#counts.reduce((sum, count) => sum + count, 0);
    return this.#counts.map((count) => count / total);
  }

  get counts(): readonly number[] {
    return this.#counts;
  }

  percentile(share: number): number {
    const sorted = this.#latencies.toSorted((a, b) => a - b);
    return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]!;
  }

  #arrive(): void {
    const row = this.#balancer.pick(requestOf(this.#arrived++))!.row;
    this.#counts[row]! += 1;
    this.#table.begin(row, 0);
    const line = this.#lines[row]!;
    const arrivedAt = this.clock.now();
    const serve = () => this.#serve(row, arrivedAt);
    if (line.busy < (this.#endpoints[row]!.workers ?? Infinity)) serve();
    else line.waiting.push(serve);
  }

  #serve(row: number, arrivedAt: number): void {
    const endpoint = this.#endpoints[row]!;
    const line = this.#lines[row]!;
    line.busy++;
    const serviceMs = endpoint.failing === true ? 1 : -Math.log(1 - this.#random()) * endpoint.meanMs;
    this.clock.after(serviceMs, () => {
      const tookMs = this.clock.now() - arrivedAt;
      this.#latencies.push(tookMs);
      this.#averages.record(row, tookMs, endpoint.failing === true);
      this.#table.end(row, 0);
      line.busy--;
      line.waiting.shift()?.();
    });
  }
}
