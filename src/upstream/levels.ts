/**
 * How the load of a pool is shared out over its levels (`priority`), as Envoy does it: a level is full while it has enough
 * available for its overprovisioning, and what it cannot take spills to the next, a little at a time. No cliff.
 */

export interface LevelHealth {
  /** Weight that can serve now. */
  readonly capacity: number;
  /** Weight of all that belong to it. */
  readonly total: number;
}

/** Of each level 0 … 1: how much of the whole load it could take by itself. */
export function healthOf({ capacity, total }: LevelHealth, overprovisioning: number): number {
  return total > 0 ? Math.min(1, (overprovisioning * capacity) / total) : 0;
}

export interface Shares {
  /** By level; their sum is 1, or 0 where no level can take anything. */
  readonly shares: readonly number[];
  /** By level: whether the levels before it leave it anything. */
  readonly reached: readonly boolean[];
  /** Together they can take the whole load, so no verdict needs to be doubted. */
  readonly suffices: boolean;
}

/** @param levels the most preferred first. */
export function shareOut(levels: readonly LevelHealth[], overprovisioning: number): Shares {
  const health = levels.map((level) => healthOf(level, overprovisioning));
  const together = health.reduce((sum, part) => sum + part, 0);
  if (together < 1) {
    // Nobody can take what is left over, so that all are asked for more than they should be, in proportion.
    const shares = health.map((part) => (together > 0 ? part / together : 0));
    return { shares, reached: levels.map(() => true), suffices: false };
  }
  let left = 1;
  const reached: boolean[] = [];
  const shares = health.map((part) => {
    reached.push(left > 0);
    const share = Math.min(part, left);
    left -= share;
    return share;
  });
  return { shares, reached, suffices: true };
}

/**
 * How much of a level's load stays in the gateway's own zone: Envoy's zone-aware routing, with the same slack as between
 * levels. Nobody tells a gateway how many others there are, so they are taken to be spread evenly over the zones: the zone
 * is then due `1 / zones` of the load, and its endpoints may have `overprovisioning` times what they would have if zones
 * were ignored.
 */
export function localShare(local: number, all: number, zones: number, overprovisioning: number): number {
  return local > 0 ? Math.min(1, (overprovisioning * zones * local) / all) : 0;
}
