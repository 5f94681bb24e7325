/**
 * Keeps further tries, retries and hedges alike, from drowning a pool that is already in trouble. One budget per pool, over
 * all threads and routes, with two sides that the same share bounds:
 *
 * - of the requests of the last ten seconds (Finagle, Linkerd, GEP-3388), so that a service that fails fast is not asked
 *   more than 1.2 times as often, however few requests are ever open at once; 1.1 times where all of them fail;
 * - of the requests that are open now (Envoy's retry_budget), so that what was saved in good times is not spent in one burst
 *   on a service that hangs.
 */
import type { Clock } from '../clock.ts';
import type { BudgetTable, Spent } from '../memory/budget-table.ts';

const SECOND_MS = 1_000;

/**
 * What a pool may always be given within the window, so that a single request on a quiet gateway has its further tries. It
 * bounds the extra load to 0.3 a second; above 1.5 requests a second the share of 20 % allows more, and then it rules.
 */
const MINIMUM = 3;

/** The same for those under way at once, as Envoy's min_retry_concurrency. */
const MINIMUM_AT_ONCE = 3;

/** `spent`: of the last ten seconds' share nothing is left. `crowded`: as many as may be are under way. */
export type BudgetAnswer = 'granted' | 'spent' | 'crowded';

export interface RetryBudgetOptions {
  readonly clock: Clock;
  readonly table: BudgetTable;
  /** The pool's. */
  readonly row: number;
  readonly thread: number;
  /** Tries that the pool's endpoints have now, from all threads. Only asked for when a further one is wanted. */
  readonly active: () => number;
}

export class RetryBudget {
  readonly #options: RetryBudgetOptions;
  readonly #spent = { requests: 0, extra: 0 };

  constructor(options: RetryBudgetOptions) {
    this.#options = options;
  }

  /** Once per request, however often it is tried. @param startedAt on the clock's scale; saves a look at it. */
  recordRequest(startedAt: number): void {
    const { table, row, thread } = this.#options;
    table.addRequest(row, thread, secondOf(startedAt));
  }

  /**
   * Takes a further try from the budget. Who is granted one has to `leave`. Threads that ask in the same microsecond may
   * together be granted one more than there is.
   * @param share 1 or more means without limit, 0 means none.
   */
  ask(share: number): BudgetAnswer {
    const { clock, table, row, thread, active } = this.#options;
    const second = secondOf(clock.now());
    if (share < 1) {
      table.spent(row, second, this.#spent);
      const allowed = share === 0 ? 0 : Math.max(MINIMUM, share * this.#spent.requests);
      if (this.#spent.extra + 1 > allowed) return 'spent';
      if (table.underWay(row) + 1 > Math.max(MINIMUM_AT_ONCE, share * active())) return 'crowded';
    }
    table.beginExtra(row, thread, second);
    return 'granted';
  }

  /** The further try is over, or its answer has begun. */
  leave(): void {
    const { table, row, thread } = this.#options;
    table.endExtra(row, thread);
  }

  /** It has failed as the one before it did, and is charged again: where further tries do not help, half as many are made. */
  leaveFailed(): void {
    const { clock, table, row, thread } = this.#options;
    table.endExtra(row, thread);
    table.chargeExtra(row, thread, secondOf(clock.now()));
  }
}

/** For operators. */
export function spentOf(table: BudgetTable, row: number, now: number): Spent & { underWay: number } {
  const spent = { requests: 0, extra: 0 };
  table.spent(row, secondOf(now), spent);
  return { ...spent, underWay: table.underWay(row) };
}

function secondOf(at: number): number {
  return Math.floor(at / SECOND_MS);
}
