import { expect, it } from 'vitest';
import { balancerContract } from '../../../test/support/balancer-contract.ts';
import { candidates, pickContext, sharesOf } from '../../../test/support/picking.ts';
import type { Candidate } from '../endpoint.ts';
import adaptive from './adaptive.ts';

balancerContract(adaptive);

it('follows the weights in the table from the next pick on, and keeps its turns', () => {
  const context = pickContext(1);
  const balancer = adaptive.create<Candidate>(context);
  balancer.update(candidates(1, 1, 2));
  expect(sharesOf(balancer, 3, 400)).toEqual([0.25, 0.25, 0.5]);
  context.table.loads.setFactor(0, 2);
  context.table.loads.setFactor(2, 0.5);
  expect(sharesOf(balancer, 3, 400)).toEqual([0.5, 0.25, 0.25]);
  balancer.update(candidates(1, 1));
  expect(sharesOf(balancer, 2, 300)[0]).toBeCloseTo(2 / 3, 2);
});
