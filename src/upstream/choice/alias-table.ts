/**
 * Draws an index with a chance in proportion to its weight, in constant time: Vose's alias method. Every column holds
 * the chance to stay and the index to go to otherwise.
 */
import type { Random } from '../../clock.ts';

export class AliasTable {
  #stay = new Float64Array(0);
  #alias = new Uint32Array(0);

  /** @param weights all above zero. */
  build(weights: readonly number[]): void {
    const count = weights.length;
    const mean = weights.reduce((sum, weight) => sum + weight, 0) / count;
    const share = Float64Array.from(weights, (weight) => weight / mean);
    const stay = new Float64Array(count).fill(1);
    const alias = Uint32Array.from(share, (_, index) => index);

    const small: number[] = [];
    const large: number[] = [];
    share.forEach((value, index) => (value < 1 ? small : large).push(index));
    while (small.length > 0 && large.length > 0) {
      const poor = small.pop()!;
      const rich = large.pop()!;
      stay[poor] = share[poor]!;
      alias[poor] = rich;
      share[rich]! += share[poor]! - 1;
      (share[rich]! < 1 ? small : large).push(rich);
    }
    this.#stay = stay;
    this.#alias = alias;
  }

  /** The table must not be empty. */
  draw(random: Random): number {
    const point = random() * this.#stay.length;
    const column = Math.floor(point);
    return point - column < this.#stay[column]! ? column : this.#alias[column]!;
  }
}
