/**
 * In turn, each as often as its weight says. Equal weights rotate in constant time; unequal ones are interleaved as
 * evenly as nginx's smooth weighted round-robin does.
 */
import type { Balancer, BalancerContext, BalancerDefinition, Candidate } from '../endpoint.ts';
import { EarliestDeadline } from '../choice/earliest-deadline.ts';

class RoundRobin<Endpoint extends Candidate> implements Balancer<Endpoint> {
  readonly #turns: EarliestDeadline<Endpoint>;
  /** All in the set, when their weights are equal; then the turns are not used. */
  #rotation: readonly Endpoint[] = [];
  /** Starts anywhere, so that threads and gateways do not move in step. */
  #cursor: number;
  #empty = true;

  constructor(context: BalancerContext) {
    this.#turns = new EarliestDeadline(context.random);
    this.#cursor = Math.floor(context.random() * 0x10000);
  }

  update(endpoints: readonly Endpoint[]): void {
    const members = endpoints.filter((endpoint) => endpoint.weight > 0);
    const equal = members.every((endpoint) => endpoint.weight === members[0]!.weight);
    this.#empty = members.length === 0;
    this.#rotation = equal ? members : [];
    this.#turns.update(equal ? [] : members);
  }

  pick(): Endpoint | undefined {
    if (this.#empty) return undefined;
    if (this.#rotation.length === 0) return this.#turns.next();
    this.#cursor = (this.#cursor + 1) % this.#rotation.length;
    return this.#rotation[this.#cursor];
  }
}

export default {
  name: 'round-robin',
  create: <Endpoint extends Candidate>(context: BalancerContext) => new RoundRobin<Endpoint>(context),
} satisfies BalancerDefinition;
