/** The configuration of a directory, as the commands read it: with this process's environment, and refused when wrong. */
import { join } from 'node:path';
import { load, type LoadResult } from '../config/load.ts';
import { formatProblem, isError, type Problem } from '../config/problem.ts';
import type { Config } from '../config/schema.ts';
import { counted } from './outcome.ts';
import { red, yellow } from './style.ts';

/** @throws with all errors in its message. Warnings are left to `check`. */
export async function loadConfig(dir: string): Promise<Config> {
  return (await loadGood(dir)).config;
}

/** With what must not be shown of it. */
export async function loadGood(dir: string): Promise<LoadResult & { readonly config: Config }> {
  const { config, ...loaded } = await load(dir, { env: process.env });
  if (config === undefined) throw new Error(refusal(dir, loaded.problems));
  return { ...loaded, config };
}

export function refusal(dir: string, problems: readonly Problem[]): string {
  const errors = problems.filter(isError);
  return `the configuration is wrong: ${counted(errors.length, 'error')}\n${listProblems(dir, errors)}`;
}

/** One line each, with the file as it is called from here. */
export function listProblems(dir: string, problems: readonly Problem[]): string {
  const line = (problem: Problem) => formatProblem({ ...problem, file: join(dir, problem.file) });
  return problems.map((problem) => coloured(line(problem), problem)).join('\n');
}

function coloured(line: string, { severity }: Problem): string {
  return line.replace(`: ${severity}: `, `: ${severity === 'error' ? red(severity) : yellow(severity)}: `);
}
