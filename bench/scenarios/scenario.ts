/** One question that the bench answers: a table, the budgets that it is held to, and the figures for --json. */
import type { Contestant } from '../contestants/contestant.ts';
import type { Result } from '../race.ts';

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

/** @returns what a request costs the contestant of that name, in µs; NaN when it was not there. */
export const costs = (results: readonly Result[]) => (name: string) =>
  results.find((result) => result.name === name)?.cpuUs.best ?? NaN;

/** A table of what a request costs each contestant. @param base µs that all are compared with, under the name `title`. */
export function compared(results: readonly Result[], title: string, base: number): Pick<Findings, 'columns' | 'rows'> {
  const row = ({ name, version, absent, cpuUs, perSecond, p50Ms, p99Ms, failures }: Result) =>
    absent === undefined
      ? [
          `${name} ${version}`,
          fixed(cpuUs.best),
          fixed(cpuUs.median),
          `${fixed(cpuUs.best / base, 2)} ×`,
          thousands(perSecond),
          fixed(p50Ms, 2),
          fixed(p99Ms, 2),
          String(failures),
        ]
      : [name, absent, '', '', '', '', '', ''];
  return {
    columns: ['', 'µs CPU/request, best', 'median', title, 'requests/s', 'p50 ms', 'p99 ms', 'failures'],
    rows: results.map(row),
  };
}
