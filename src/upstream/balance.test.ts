import { describe, expect, it } from 'vitest';
import { balancerContract } from '../../test/support/balancer-contract.ts';
import { candidates, pickContext, requestOf } from '../../test/support/picking.ts';
import { balancerNames, createBalancer, scanBalancers } from './balance.ts';

const definitions = await scanBalancers();

for (const definition of definitions.values()) {
  balancerContract(definition, definition.name === 'hash' ? 'header:x-user' : undefined);
}

describe('the folder of balancers', () => {
  it('is found whole, each by the name of its file', () => {
    expect([...definitions.keys()]).toEqual([
      'adaptive',
      'hash',
      'ip-hash',
      'least-connections',
      'least-response-time',
      'random',
      'round-robin',
      'url-hash',
    ]);
  });

  it('offers every word but hash, which needs a source', () => {
    expect(balancerNames(definitions)).not.toContain('hash');
    expect(balancerNames(definitions)).toHaveLength(definitions.size - 1);
    expect(() => createBalancer(definitions, 'hash', pickContext())).toThrow('needs a source');
  });

  it('makes what a pool names', () => {
    const balancer = createBalancer(definitions, { hash: 'header:x-user' }, pickContext());
    balancer.update(candidates(1, 1, 1));
    expect(balancer.pick(requestOf(7))).toBe(balancer.pick(requestOf(7)));
    expect(() => createBalancer(definitions, 'best-effort', pickContext())).toThrow("'best-effort'");
    expect(() => createBalancer(definitions, { hash: 'moon:full' }, pickContext())).toThrow("'moon:full'");
  });
});
