/**
 * Gives each key of a generation a row of a shared table: the same key keeps its row for as long as any generation that
 * any thread still serves from knows it, and a row that fell free rests for a turn of the event loop before another key
 * may get it, so that nothing that runs in this one can take the new owner for the old.
 */
import type { Clock } from '../clock.ts';

interface Row {
  readonly row: number;
  readonly holders: Set<number>;
}

export class RowAllocator {
  readonly #first: number;
  readonly #capacity: number;
  readonly #clock: Clock;
  readonly #rows = new Map<string, Row>();
  /** Rows from here on were never used. */
  #unused: number;
  readonly #free: number[] = [];

  /** Gives out rows `first` … `capacity - 1`. */
  constructor(capacity: number, clock: Clock, first = 0) {
    this.#first = first;
    this.#capacity = capacity;
    this.#clock = clock;
    this.#unused = first;
  }

  get available(): number {
    return this.#capacity - this.#unused + this.#free.length;
  }

  get capacity(): number {
    return this.#capacity - this.#first;
  }

  has(key: string): boolean {
    return this.#rows.has(key);
  }

  /** @returns the key's row and whether it is new to the key; undefined when all are taken. */
  hold(generation: number, key: string): { readonly row: number; readonly isNew: boolean } | undefined {
    const known = this.#rows.get(key);
    if (known !== undefined) {
      known.holders.add(generation);
      return { row: known.row, isNew: false };
    }
    const row = this.#free.shift() ?? (this.#unused < this.#capacity ? this.#unused++ : undefined);
    if (row === undefined) return undefined;
    this.#rows.set(key, { row, holders: new Set([generation]) });
    return { row, isNew: true };
  }

  /** Takes a generation's hold from all its rows. @param onFree is told the rows that nobody holds any more. */
  release(generation: number, onFree: (row: number) => void = () => {}): void {
    for (const [key, { row, holders }] of this.#rows) {
      if (!holders.delete(generation) || holders.size > 0) continue;
      this.#rows.delete(key);
      onFree(row);
      this.#clock.after(0, () => this.#free.push(row));
    }
  }
}
