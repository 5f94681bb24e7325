/**
 * What a command that has ended leaves behind. Commands return it instead of writing, so that data goes to standard output
 * and everything else to standard error in one place.
 */

export const EXIT = {
  done: 0,
  failed: 1,
  usage: 2,
  /** `plan --exit-code`: something would change. */
  changes: 3,
} as const;

export interface Outcome {
  /** Data, for standard output; without a final line end. */
  readonly out?: string;
  /** For a person, on standard error. */
  readonly err?: string;
  readonly exitCode: (typeof EXIT)[keyof typeof EXIT];
}

/** Sets the exit code instead of exiting: what a pipe has not taken yet would be lost. */
export function tell({ out, err, exitCode }: Outcome): void {
  if (out !== undefined) process.stdout.write(`${out}\n`);
  if (err !== undefined) process.stderr.write(`${err}\n`);
  process.exitCode = exitCode;
}

export const json = (data: unknown) => JSON.stringify(data, null, 2);

/** `1 route`, `2 routes`. */
export const counted = (count: number, noun: string) => `${count} ${noun}${count === 1 ? '' : 's'}`;
