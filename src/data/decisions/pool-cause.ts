/** How a request came to the pool that it was sent to. */
import type { Pool } from '../../upstream/pool.ts';
import type { Exchange } from '../exchange.ts';

/** The pool is the route's own; a split chose it; another stands in for the route's own. */
export type PoolCause = 'route' | 'split' | 'fallback';

/** Undefined where no pool is asked: a hook has refused the request, or has answered it. */
export function poolOf({ upstream }: Exchange): Pool | undefined {
  return (upstream as Exchange['upstream'] | undefined)?.pool as Pool | undefined;
}

export function poolCause({ rule, upstream }: Exchange, pool: Pool): PoolCause {
  if (upstream.fallback !== undefined) return 'fallback';
  if (rule.pool === undefined) return 'split';
  return rule.pool === pool ? 'route' : 'fallback';
}
