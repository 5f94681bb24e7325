/**
 * The endpoint with the fewest requests in flight for its weight, over all threads. What it cannot see is a slow
 * endpoint in an idle pool, where nobody has anything in flight: see least-response-time for that.
 */
import type { EndpointTable } from '../../memory/endpoint-table.ts';
import type { Balancer, BalancerContext, BalancerDefinition, Candidate } from '../endpoint.ts';
import { Cheapest, type Price } from '../choice/cheapest.ts';

class LeastConnections<Endpoint extends Candidate> implements Balancer<Endpoint>, Price<Endpoint> {
  readonly #table: EndpointTable;
  readonly #cheapest: Cheapest<Endpoint>;

  constructor(context: BalancerContext) {
    this.#table = context.table;
    this.#cheapest = new Cheapest(this, context.random, 0);
  }

  update(endpoints: readonly Endpoint[]): void {
    this.#cheapest.update(endpoints);
  }

  pick(): Endpoint | undefined {
    return this.#cheapest.pick();
  }

  cost(endpoint: Endpoint): number {
    return this.#table.inFlight(endpoint.row) / endpoint.weight;
  }
}

export default {
  name: 'least-connections',
  create: <Endpoint extends Candidate>(context: BalancerContext) => new LeastConnections<Endpoint>(context),
} satisfies BalancerDefinition;
