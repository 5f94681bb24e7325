/**
 * Whose trouble it is. An ejection says that an endpoint is worse than its peers. When most of them fail as well, it says
 * nothing: what they share is broken, or all have too much to do, and without it the others have more.
 */
import type { EndpointTable } from '../../memory/endpoint-table.ts';
import type { RegisteredEndpoint } from '../endpoint-registry.ts';

/** A peer that fails less often than this part of what the endpoint does is better than it. */
const ALIKE = 0.5;

/**
 * By the last answers of each.
 * @param peers those that could take its load. @returns in words what it shares with them; undefined: its trouble is its own.
 */
export function sharedTrouble(
  table: EndpointTable,
  endpoint: RegisteredEndpoint,
  peers: readonly RegisteredEndpoint[],
): string | undefined {
  const own = table.failedLately(endpoint.row);
  if (own === 0) return undefined;
  const alike = peers.filter(({ row }) => table.failedLately(row) >= ALIKE * own).length;
  // Half of them are not enough: two bad ones of three are two bad ones.
  if (alike * 2 <= peers.length) return undefined;
  return alike === 1 ? 'its only peer fails as well' : `${alike} of its ${peers.length} peers fail as well`;
}
