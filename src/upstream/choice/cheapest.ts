/**
 * Picks the cheaper endpoint: of all while there are eight or fewer, else of two different ones drawn by weight, which
 * is nearly as good at a constant price (Mitzenmacher 2001). In a small pool it is not: with two endpoints a plain draw of
 * two would take the busier one a quarter of the time, and of five that differ in what they can do, a tenth of the draws
 * has only the two worst to choose from. Of equals, the one with the lower recent rate for its weight;
 * so an idle pool is shared out by weight. Where that is equal too, chance.
 */
import type { Random } from '../../clock.ts';
import type { Candidate } from '../endpoint.ts';
import { AliasTable } from './alias-table.ts';
import { RecentPicks } from './recent-picks.ts';

const FULL_SCAN_UP_TO = 8;
/** One endpoint may own nearly all the weight: after so many draws of it the second one is any other. */
const REDRAWS = 4;

export interface Price<Endpoint> {
  cost(endpoint: Endpoint): number;
}

export class Cheapest<Endpoint extends Candidate> {
  readonly #price: Price<Endpoint>;
  readonly #random: Random;
  /** Costs that differ by less than this share are equal: noise is no reason to prefer. */
  readonly #tolerance: number;
  readonly #recent = new RecentPicks();
  readonly #alias = new AliasTable();
  #endpoints: readonly Endpoint[] = [];

  constructor(price: Price<Endpoint>, random: Random, tolerance: number) {
    this.#price = price;
    this.#random = random;
    this.#tolerance = tolerance;
  }

  get endpoints(): readonly Endpoint[] {
    return this.#endpoints;
  }

  update(endpoints: readonly Endpoint[]): void {
    this.#endpoints = endpoints.filter((endpoint) => endpoint.weight > 0);
    this.#recent.update(this.#endpoints);
    if (this.#endpoints.length > FULL_SCAN_UP_TO) this.#alias.build(this.#endpoints.map((endpoint) => endpoint.weight));
  }

  pick(): Endpoint | undefined {
    const count = this.#endpoints.length;
    if (count === 0) return undefined;
    const index = count === 1 ? 0 : count <= FULL_SCAN_UP_TO ? this.#ofAll() : this.#ofTwo();
    this.#recent.count(index);
    return this.#endpoints[index];
  }

  #ofTwo(): number {
    const first = this.#alias.draw(this.#random);
    const second = this.#drawOther(first);
    return this.#better(second, this.#cost(second), first, this.#cost(first)) ? second : first;
  }

  #drawOther(first: number): number {
    for (let draw = 0; draw < REDRAWS; draw++) {
      const other = this.#alias.draw(this.#random);
      if (other !== first) return other;
    }
    const count = this.#endpoints.length;
    return (first + 1 + Math.floor(this.#random() * (count - 1))) % count;
  }

  #ofAll(): number {
    const count = this.#endpoints.length;
    // A random start makes chance decide between those that are equal in everything.
    const start = Math.floor(this.#random() * count);
    let best = start;
    let bestCost = this.#cost(start);
    for (let step = 1; step < count; step++) {
      const index = (start + step) % count;
      const cost = this.#cost(index);
      if (!this.#better(index, cost, best, bestCost)) continue;
      best = index;
      bestCost = cost;
    }
    return best;
  }

  #cost(index: number): number {
    return this.#price.cost(this.#endpoints[index]!);
  }

  #better(index: number, cost: number, than: number, thanCost: number): boolean {
    const margin = Math.max(cost, thanCost) * this.#tolerance;
    if (Math.abs(cost - thanCost) > margin) return cost < thanCost;
    return this.#recent.load(index) < this.#recent.load(than);
  }
}
