/**
 * The time within which 95 of 100 of a pool's answers begin, learnt from each of them and kept in one number that all
 * threads share: an answer that takes longer pushes it up, any other pulls it down by a nineteenth of that, and where the
 * two are in balance is the quantile (stochastic descent on the pinball loss). Steps are factors, so that it is as good for
 * services of a millisecond as for those of a minute. It forgets by itself, and asks of an answer only whether it was later
 * than the estimate: a try that was given up after that needs not be waited for.
 */
import type { BudgetTable } from '../memory/budget-table.ts';

const QUANTILE = 0.95;
/** Of its logarithm. It wavers by about a tenth, and follows a tenfold slow-down within fifty answers. */
const STEP = 0.05;
/** Before that it says nothing. */
const KNOWN_AFTER = 50;
const SHORTEST_MS = 0.01;

export class LatencyQuantile {
  readonly #table: BudgetTable;
  readonly #row: number;

  constructor(table: BudgetTable, row: number) {
    this.#table = table;
    this.#row = row;
  }

  /** @param ms until the head of a good answer, or for how long it was waited for in vain. */
  record(ms: number): void {
    const samples = this.#table.samples(this.#row);
    const before = this.#table.quantileMs(this.#row);
    // The first steps are large, so that it does not matter much where it began.
    const step = Math.max(STEP, 3 / (1 + samples));
    const moved = before * Math.exp(ms > before ? step * QUANTILE : -step * (1 - QUANTILE));
    this.#table.learn(this.#row, Math.max(SHORTEST_MS, samples === 0 ? ms : moved));
  }

  /** Undefined while too little is known. */
  get ms(): number | undefined {
    return knownQuantile(this.#table, this.#row);
  }
}

export function knownQuantile(table: BudgetTable, row: number): number | undefined {
  return table.samples(row) < KNOWN_AFTER ? undefined : table.quantileMs(row);
}
