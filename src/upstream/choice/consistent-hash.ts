/** The balancer behind hash, ip-hash and url-hash: the same key goes to the same endpoint; without a key, chance decides. */
import type { Balancer, BalancerContext, Candidate, PickRequest } from '../endpoint.ts';
import { compileHashKey, type HashKey } from './hash-key.ts';
import { Maglev } from './maglev.ts';
import { WeightedRandom } from './weighted-random.ts';

export class ConsistentHash<Endpoint extends Candidate> implements Balancer<Endpoint> {
  readonly key: HashKey;
  readonly #maglev = new Maglev<Endpoint>();
  readonly #keyless: WeightedRandom<Endpoint>;

  constructor(source: string, context: BalancerContext) {
    this.key = compileHashKey(source);
    this.#keyless = new WeightedRandom(context.random);
  }

  update(endpoints: readonly Endpoint[]): void {
    this.#maglev.update(endpoints);
    this.#keyless.update(endpoints);
  }

  pick(request: PickRequest): Endpoint | undefined {
    const hash = this.key(request);
    return hash === undefined ? this.#keyless.pick() : this.#maglev.pick(hash);
  }
}
