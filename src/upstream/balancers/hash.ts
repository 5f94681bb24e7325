/** By what the config names: `balance: { hash: header:x-user }`. A request without it goes anywhere. */
import type { BalancerContext, BalancerDefinition, Candidate } from '../endpoint.ts';
import { ConsistentHash } from '../choice/consistent-hash.ts';

export default {
  name: 'hash',
  create<Endpoint extends Candidate>(context: BalancerContext) {
    if (context.hash === undefined) throw new Error('balance: hash needs a source, such as { hash: header:x-user }');
    return new ConsistentHash<Endpoint>(context.hash, context);
  },
} satisfies BalancerDefinition;
