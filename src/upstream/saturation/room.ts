/** Who serves instead of an endpoint that has as much as it takes. */
import type { EndpointTable } from '../../memory/endpoint-table.ts';
import type { Endpoint } from '../pool.ts';

/** Of those with room the one with the least to do for its weight, untried ones first; undefined when there is none. */
export function leastBusy(
  candidates: readonly Endpoint[],
  tried: readonly Endpoint[] | undefined,
  hasRoom: (endpoint: Endpoint) => boolean,
  table: EndpointTable,
): Endpoint | undefined {
  let best: Endpoint | undefined;
  let isBestTried = true;
  let least = Infinity;
  for (const endpoint of candidates) {
    if (endpoint.weight === 0 || !hasRoom(endpoint)) continue;
    const isTried = tried?.includes(endpoint) === true;
    if (isTried && !isBestTried) continue;
    const load = (table.inFlight(endpoint.row) + 1) / endpoint.weight;
    if (isTried === isBestTried && load >= least) continue;
    best = endpoint;
    isBestTried = isTried;
    least = load;
  }
  return best;
}
