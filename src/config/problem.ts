/** Something wrong in the configuration: where, what, and what to write instead. */

export interface Position {
  /** From 1. */
  readonly line: number;
  /** From 1. */
  readonly column: number;
}

export interface Problem extends Position {
  /** An error refuses the file; a warning is only told. */
  readonly severity: 'error' | 'warning';
  /** Relative to the configuration's directory. */
  readonly file: string;
  /** A lower-case sentence with the thing in it; never a value that came from the environment. */
  readonly message: string;
  /** What the writer probably meant. */
  readonly hint?: string;
}

/** `routes.d/orders.yaml:12:7: error: unknown key 'timout' — did you mean 'timeout'?` */
export function formatProblem({ file, line, column, severity, message, hint }: Problem): string {
  const tail = hint === undefined ? '' : ` — ${hint}`;
  return `${file}:${line}:${column}: ${severity}: ${message}${tail}`;
}

export const isError = (problem: Problem): boolean => problem.severity === 'error';

/** In reading order. */
export function sortProblems(problems: readonly Problem[]): Problem[] {
  return [...problems].sort(
    (a, b) => compare(a.file, b.file) || a.line - b.line || a.column - b.column || compare(a.severity, b.severity),
  );
}

export const START: Position = { line: 1, column: 1 };

const compare = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);
