/**
 * By what endpoints report of their load (upstream/load/): in turn, by weights that the control plane works out once a second
 * for all threads. While too few report, by the weights that are written.
 */
import type { LoadTable } from '../../memory/load-table.ts';
import type { Balancer, BalancerContext, BalancerDefinition, Candidate } from '../endpoint.ts';
import { EarliestDeadline } from '../choice/earliest-deadline.ts';

interface Turn<Endpoint> {
  readonly endpoint: Endpoint;
  readonly row: number;
  readonly weight: number;
}

class Adaptive<Endpoint extends Candidate> implements Balancer<Endpoint> {
  readonly #loads: LoadTable;
  readonly #turns: EarliestDeadline<Turn<Endpoint>>;
  #members: readonly Endpoint[] = [];
  #version = 0;

  constructor({ table, random }: BalancerContext) {
    this.#loads = table.loads;
    this.#turns = new EarliestDeadline(random);
  }

  update(endpoints: readonly Endpoint[]): void {
    this.#members = endpoints.filter((endpoint) => endpoint.weight > 0);
    this.#weigh();
  }

  pick(): Endpoint | undefined {
    if (this.#members.length === 0) return undefined;
    if (this.#loads.version !== this.#version) this.#weigh();
    return this.#turns.next().endpoint;
  }

  weightOf({ row, weight }: Endpoint): number {
    return weight * this.#loads.factor(row);
  }

  #weigh(): void {
    this.#version = this.#loads.version;
    this.#turns.update(
      this.#members.map((endpoint) => ({ endpoint, row: endpoint.row, weight: this.weightOf(endpoint) })),
    );
  }
}

export default {
  name: 'adaptive',
  create: <Endpoint extends Candidate>(context: BalancerContext) => new Adaptive<Endpoint>(context),
} satisfies BalancerDefinition;
