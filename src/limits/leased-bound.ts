/**
 * What leases cost in exactness. A unit is charged in the store before it is handed out, so no interval sees more requests
 * than were charged in it, but for those charged before it began and handed out in it: what was leased ahead at that
 * moment. The store gives no lease beyond `leaseCap`, summed over all threads of all gateways. So in every interval
 *
 *     allowed ≤ allowed by the exact limit + floor(min(max, burst) / 100)
 *
 * however many gateways and threads ask: at most 1 % of what may come at once, and nothing where that is below 100, where
 * each request that is allowed is one round trip. What a gateway holds and does not use is missing elsewhere, by the same
 * bound, until it is given back or the lease has ended.
 */
import type { LimitSpec } from './limiter.ts';

const AHEAD = 1 / 100;
const LONGEST_LEASE_MS = 1_000;

/**
 * A lease that is not renewed ends after this. Half a window at most: what comes back must still be counted in the window
 * from which it is taken, or it would be taken from another caller's count.
 */
export function leaseMs({ windowMs }: LimitSpec): number {
  return Math.min(LONGEST_LEASE_MS, windowMs / 2);
}

/** Units that all holders together may have ahead. */
export function leaseCap({ max, burst }: LimitSpec): number {
  return Math.floor(Math.min(max, burst) * AHEAD);
}

/** What of the limit can be taken at once: a request that costs more never passes. */
export function capacity({ algorithm, max, burst }: LimitSpec): number {
  return algorithm === 'gcra' ? burst : max;
}
