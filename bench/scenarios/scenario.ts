/** One question that the bench answers: a table, the budgets that it is held to, and the figures for --json. */
import type { Contestant } from '../contestants/contestant.ts';

export interface Bench {
  /** For files; removed at the end. */
  readonly dir: string;
  readonly origins: readonly number[];
  readonly contestants: readonly Contestant[];
  readonly rounds: number;
  readonly seconds: number;
  readonly quick: boolean;
}

export interface Scenario {
  readonly name: string;
  readonly title: string;
  run(bench: Bench): Promise<Findings>;
}

export interface Findings {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
  readonly budgets: readonly Budget[];
  readonly figures: unknown;
}

/** A promise of the project, against what was found. */
export interface Budget {
  readonly promise: string;
  readonly atMost: number;
  readonly found: number;
}

export const fixed = (value: number, digits = 1) => (Number.isFinite(value) ? value.toFixed(digits) : '–');
export const thousands = (value: number) => (Number.isFinite(value) ? Math.round(value).toLocaleString('en') : '–');
