/** Slots in the order of their coming, in shared memory: a doubly linked list through the slots, and what its members take. */

/** The oldest, the newest, and the pages of all. */
export const QUEUE_WORDS = 3;
const OLDEST = 0;
const NEWEST = 1;
const PAGES = 2;

/** Where a slot keeps its neighbours. */
export interface Links {
  readonly slots: Int32Array;
  readonly words: number;
  readonly older: number;
  readonly newer: number;
}

export class CacheQueue {
  readonly #own: Int32Array;
  readonly #links: Links;

  /** @param own QUEUE_WORDS words, all zero when it is empty. */
  constructor(own: Int32Array, links: Links) {
    this.#own = own;
    this.#links = links;
  }

  /** 0: it is empty. */
  get oldest(): number {
    return this.#own[OLDEST]!;
  }

  get pages(): number {
    return this.#own[PAGES]!;
  }

  add(slot: number, pages: number): void {
    const { slots, older, newer } = this.#links;
    const newest = this.#own[NEWEST]!;
    slots[this.#word(slot, older)] = newest;
    slots[this.#word(slot, newer)] = 0;
    if (newest === 0) this.#own[OLDEST] = slot;
    else slots[this.#word(newest, newer)] = slot;
    this.#own[NEWEST] = slot;
    this.#own[PAGES]! += pages;
  }

  remove(slot: number, pages: number): void {
    const { slots, older, newer } = this.#links;
    const before = slots[this.#word(slot, older)]!;
    const after = slots[this.#word(slot, newer)]!;
    if (before === 0) this.#own[OLDEST] = after;
    else slots[this.#word(before, newer)] = after;
    if (after === 0) this.#own[NEWEST] = before;
    else slots[this.#word(after, older)] = before;
    this.#own[PAGES]! -= pages;
  }

  #word(slot: number, field: number): number {
    return (slot - 1) * this.#links.words + field;
  }
}
