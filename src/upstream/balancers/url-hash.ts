/** By path and query, so that each endpoint's own cache holds its part of the whole. */
import type { BalancerContext, BalancerDefinition, Candidate } from '../endpoint.ts';
import { ConsistentHash } from '../choice/consistent-hash.ts';

export default {
  name: 'url-hash',
  create: <Endpoint extends Candidate>(context: BalancerContext) => new ConsistentHash<Endpoint>('url', context),
} satisfies BalancerDefinition;
