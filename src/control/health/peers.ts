/**
 * Whose trouble it is. An ejection says that an endpoint is worse than its peers. When most of them fail as well, it says
 * nothing: what they share is broken, or all have too much to do, and without it the others have more.
 */

/** A peer that fails less often than this part of what the endpoint does is better than it. */
const ALIKE = 0.5;

/**
 * @param own failures in the last answers of an endpoint. @param peers the same of those that would have its load.
 * @returns in words what it shares with them; undefined: its trouble is its own.
 */
export function sharedTrouble(own: number, peers: readonly number[]): string | undefined {
  if (own === 0) return undefined;
  const alike = peers.filter((failures) => failures >= ALIKE * own).length;
  // Half of them are not enough: two bad ones of three are two bad ones.
  if (alike * 2 <= peers.length) return undefined;
  return peers.length === 1 ? 'its only peer fails as well' : `${alike} of its ${peers.length} peers fail as well`;
}
