/** For how long an answer asks to be left alone before the next try. */
import type { Clock } from '../../src/clock.ts';

const WHOLE = /^\d+$/;

/**
 * RFC 9110 §10.2.3: seconds, or a date. Of gRPC (proposal A6): milliseconds, where anything else says "do not".
 * @returns milliseconds; 0 when it asks for nothing, or for what is none.
 */
export function askedMs(fields: readonly string[], isGrpc: boolean, clock: Clock): number {
  if (isGrpc) {
    const pushback = valueOf(fields, 'grpc-retry-pushback-ms');
    if (pushback === undefined) return 0;
    return WHOLE.test(pushback) ? Number(pushback) : Infinity;
  }
  const value = valueOf(fields, 'retry-after');
  if (value === undefined) return 0;
  if (WHOLE.test(value)) return Number(value) * 1_000;
  // Date.parse reads much that is no date of HTTP.
  const until = value.endsWith('GMT') ? Date.parse(value) : NaN;
  return Number.isNaN(until) ? 0 : Math.max(0, until - clock.wall());
}

function valueOf(fields: readonly string[], name: string): string | undefined {
  for (let at = 0; at < fields.length; at += 2) {
    if (fields[at]!.length === name.length && fields[at]!.toLowerCase() === name) return fields[at + 1];
  }
  return undefined;
}
