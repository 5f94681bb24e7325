/** At random, in proportion to weight: no state to share and nothing to learn. */
import type { BalancerContext, BalancerDefinition, Candidate } from '../endpoint.ts';
import { WeightedRandom } from '../choice/weighted-random.ts';

export default {
  name: 'random',
  create: <Endpoint extends Candidate>(context: BalancerContext) => new WeightedRandom<Endpoint>(context.random),
} satisfies BalancerDefinition;
