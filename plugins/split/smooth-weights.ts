/**
 * Shares by weight, exact over every full round and interleaved within it: 3 to 1 is a a b a, never a a a b. The
 * algorithm is nginx's smooth weighted round robin: each turn everyone gains its weight and the richest pays for all.
 */
export class SmoothWeights {
  readonly #weights: readonly number[];
  readonly #credits: number[];
  readonly #total: number;

  /** At least one must be above zero. */
  constructor(weights: readonly number[]) {
    this.#weights = weights;
    this.#credits = weights.map(() => 0);
    this.#total = weights.reduce((sum, weight) => sum + weight, 0);
  }

  /** The index of the one whose turn it is. */
  next(): number {
    let richest = -1;
    for (let at = 0; at < this.#weights.length; at++) {
      const weight = this.#weights[at] as number;
      if (weight === 0) continue;
      const credit = (this.#credits[at] as number) + weight;
      this.#credits[at] = credit;
      if (richest === -1 || credit > (this.#credits[richest] as number)) richest = at;
    }
    this.#credits[richest] = (this.#credits[richest] as number) - this.#total;
    return richest;
  }
}
