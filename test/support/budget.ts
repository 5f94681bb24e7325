/** Budgets and counters of a pool, as plugins are given them. */
import type { Clock } from '../../src/clock.ts';
import type { Counter } from '../../src/memory/counter-table.ts';
import { EndpointTable } from '../../src/memory/endpoint-table.ts';
import { RetryBudget } from '../../src/upstream/retry-budget.ts';

/** @param active tries that the pool has open; by default so many that only the last ten seconds bound the budget. */
export function budgetOf(
  clock: Clock,
  { table = EndpointTable.allocate(1, 1), thread = 0, active = (): number => 1_000_000 } = {},
): RetryBudget {
  return new RetryBudget({ clock, table: table.budgets, row: 0, thread, active });
}

/** What a plugin counts, by `name value`. */
export class Counted {
  readonly #counts = new Map<string, number>();

  readonly counter = (name: string, value: string): Counter => {
    const key = `${name} ${value}`;
    const add = (amount: number) => void this.#counts.set(key, this.of(name, value) + amount);
    return { increment: () => add(1), add };
  };

  of(name: string, value: string): number {
    return this.#counts.get(`${name} ${value}`) ?? 0;
  }

  /** Whatever was counted at all, by its value. */
  get values(): Readonly<Record<string, number>> {
    return Object.fromEntries([...this.#counts].map(([key, count]) => [key.split(' ')[1]!, count]));
  }
}
