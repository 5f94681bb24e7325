/** Timeouts of a route that undo each other. */
import type { Document } from './document.ts';
import type { Problem } from './problem.ts';
import type { TimeoutConfig } from './schema.ts';

export function checkTimeouts({ head, total, perTry }: TimeoutConfig, document: Document, at: string): Problem[] {
  if (perTry === undefined) return [];
  const whole = Math.min(head, total ?? Infinity);
  if (perTry <= whole) return [];
  const bound = whole < head ? 'total' : 'head';
  const message = `timeout.perTry is longer than timeout.${bound}, which ends all tries after ${whole} ms`;
  return [document.error(document.valueAt(`${at}/perTry`), message, `lower perTry, or raise ${bound}`)];
}
