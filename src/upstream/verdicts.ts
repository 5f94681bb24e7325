/** What the statuses of a pool's answers say, compiled: one look per answer. */
import type { PassiveHealthConfig, StatusesConfig } from '../config/schema.ts';
import { VERDICT, type Verdict } from '../memory/sample-table.ts';

/** By status, 0 … 599. What is under `ignore` is ignored, also where `fail` has it too. */
export function verdictsOf({ fail, ignore }: StatusesConfig): readonly Verdict[] {
  const has = (ranges: StatusesConfig['fail'], status: number) =>
    ranges.some(([first, last]) => first <= status && status <= last);
  return Array.from({ length: 600 }, (_, status) => {
    if (has(ignore, status)) return VERDICT.ignored;
    return has(fail, status) ? VERDICT.failed : VERDICT.ok;
  });
}

/** Whether a pool's endpoints are compared with each other, so that each answer has to be counted for it. */
export function isCompared(passive: PassiveHealthConfig | false): passive is PassiveHealthConfig {
  if (passive === false) return false;
  const { failurePercentage, successRate, slow } = passive;
  return failurePercentage !== undefined || successRate !== undefined || slow !== undefined;
}
