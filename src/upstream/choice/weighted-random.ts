/** One of a set, with a chance in proportion to its weight. */
import type { Random } from '../../clock.ts';
import { AliasTable } from './alias-table.ts';

export class WeightedRandom<Member extends { readonly weight: number }> {
  readonly #random: Random;
  readonly #alias = new AliasTable();
  #members: readonly Member[] = [];

  constructor(random: Random) {
    this.#random = random;
  }

  update(members: readonly Member[]): void {
    this.#members = members.filter((member) => member.weight > 0);
    if (this.#members.length > 0) this.#alias.build(this.#members.map((member) => member.weight));
  }

  pick(): Member | undefined {
    return this.#members.length === 0 ? undefined : this.#members[this.#alias.draw(this.#random)];
  }
}
