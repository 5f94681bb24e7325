/** `aya check`: everything that is wrong with a configuration, without starting it. For editors, hooks and CI. */
import { load } from '../config/load.ts';
import { isError } from '../config/problem.ts';
import type { Config } from '../config/schema.ts';
import { listProblems } from './configuration.ts';
import { counted, EXIT, json, type Outcome } from './outcome.ts';
import { green, red } from './style.ts';

export interface CheckOptions {
  /** Warnings count too. */
  readonly strict?: boolean;
  readonly json?: boolean;
}

export async function check(dir: string, options: CheckOptions = {}): Promise<Outcome> {
  const { config, problems } = await load(dir, { env: process.env });
  const errors = problems.filter(isError).length;
  const warnings = problems.length - errors;
  const ok = errors === 0 && (options.strict !== true || warnings === 0);
  const exitCode = ok ? EXIT.done : EXIT.failed;
  if (options.json === true) {
    return { out: json({ ok, errors, warnings, revision: config?.revision ?? null, problems }), exitCode };
  }
  const found = problems.length === 0 ? [] : [counted(errors, 'error'), counted(warnings, 'warning')];
  const size = config === undefined ? [] : sizeOf(config);
  const summary = `${ok ? green('ok') : red('not ok')}: ${[...found, ...size].join(', ')}`;
  return { out: [...(problems.length === 0 ? [] : [listProblems(dir, problems)]), summary].join('\n'), exitCode };
}

function sizeOf({ routes, pools, consumers }: Config): string[] {
  const endpoints = pools.reduce((sum, pool) => sum + pool.endpoints.length, 0);
  const callers = consumers.length === 0 ? [] : [counted(consumers.length, 'consumer')];
  return [counted(routes.length, 'route'), counted(pools.length, 'pool'), counted(endpoints, 'endpoint'), ...callers];
}
