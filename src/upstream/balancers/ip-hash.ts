/** By the client's address: IPv4 whole, IPv6 by its /64 (see choice/address-hash.ts). */
import type { BalancerContext, BalancerDefinition, Candidate } from '../endpoint.ts';
import { ConsistentHash } from '../choice/consistent-hash.ts';

export default {
  name: 'ip-hash',
  create: <Endpoint extends Candidate>(context: BalancerContext) => new ConsistentHash<Endpoint>('ip', context),
} satisfies BalancerDefinition;
