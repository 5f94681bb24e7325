/**
 * Who was picked how often of late, for breaking ties: each pick counts a little more than the one before, which is the
 * same as letting the old ones fade, without touching them (forward decay, Cormode et al. 2009). Fades by picks and not
 * by time, since it is only compared within one pool.
 */

/** A pick has faded to a third after this many further ones, or after four rounds of the weights if that is more. */
const MIN_MEMORY = 64;
const MAX_MEMORY = 16_384;
/** Far below where float64 would overflow. */
const RESCALE_ABOVE = 1e100;

export interface Counted {
  readonly row: number;
  readonly weight: number;
}

export class RecentPicks {
  #members: readonly Counted[] = [];
  /** Faded picks divided by weight, by index. */
  #load = new Float64Array(0);
  #increment = 1;
  #growth = 1;

  /** @param members all weights above zero. Who is new starts at the average, so that it is not flooded to catch up. */
  update(members: readonly Counted[]): void {
    const known = new Map(this.#members.map((member, at) => [member.row, this.#load[at]!]));
    const kept = members.map((member) => known.get(member.row)).filter((load) => load !== undefined);
    const average = kept.length === 0 ? 0 : kept.reduce((sum, load) => sum + load, 0) / kept.length;

    const weights = members.map((member) => member.weight);
    const round = weights.reduce((sum, weight) => sum + weight, 0) / weights.reduce((a, b) => Math.min(a, b), Infinity);
    this.#growth = 1 + 1 / Math.min(MAX_MEMORY, Math.max(MIN_MEMORY, 4 * round));
    this.#load = Float64Array.from(members, (member) => known.get(member.row) ?? average);
    this.#members = members;
  }

  /** Recent picks for its weight; only for comparing. */
  load(index: number): number {
    return this.#load[index]!;
  }

  count(index: number): void {
    this.#load[index]! += this.#increment / this.#members[index]!.weight;
    this.#increment *= this.#growth;
    if (this.#increment > RESCALE_ABOVE) this.#rescale();
  }

  #rescale(): void {
    for (let index = 0; index < this.#load.length; index++) this.#load[index]! /= this.#increment;
    this.#increment = 1;
  }
}
