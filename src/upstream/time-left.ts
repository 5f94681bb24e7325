/**
 * How an upstream learns for how long its answer is waited for, told anew with each try because time has passed: in
 * `x-request-deadline` where the route has `deadline`, in `grpc-timeout` where the caller of gRPC has sent one.
 */
import type { Clock } from '../clock.ts';
import type { UpstreamRequest } from '../data/dispatch.ts';
import type { GatewayError } from '../errors.ts';
import { formatGrpcTimeout } from '../grpc/timeout.ts';

export const DEADLINE_FIELD = 'x-request-deadline';

/** @returns why there is no try any more: the deadline has passed. */
export function tellTimeLeft(request: UpstreamRequest, clock: Clock, now: number): GatewayError | undefined {
  const { exchange, fields, tellsDeadline } = request;
  const { grpc, times } = exchange;
  const leftMs = times.leftMs(exchange, now);
  if (leftMs <= 0) return times.overdue(exchange, now);
  if (grpc !== undefined && grpc.timeoutMs !== Infinity) {
    setField(fields, 'grpc-timeout', formatGrpcTimeout(Math.floor(leftMs)));
  }
  if (tellsDeadline !== undefined && tellsDeadline !== 'none') {
    const tellMs = Math.min(leftMs, headLeftMs(request, now));
    if (tellMs !== Infinity) setField(fields, DEADLINE_FIELD, writeDeadline(tellMs, tellsDeadline, clock));
  }
  return undefined;
}

/** While a body streams nobody knows when the endpoint has all of it: what the head may take begins only then. */
function headLeftMs({ exchange, body, perTryMs }: UpstreamRequest, now: number): number {
  if (body !== null && !Buffer.isBuffer(body)) return Infinity;
  const remainingMs = exchange.times.remainingMs(exchange, now);
  return perTryMs > 0 ? Math.min(perTryMs, remainingMs) : remainingMs;
}

function writeDeadline(leftMs: number, form: 'relative' | 'absolute', clock: Clock): string {
  const whole = Math.max(0, Math.floor(leftMs));
  return form === 'relative' ? `${whole}ms` : String(Math.floor(clock.wall()) + whole);
}

/** In place of what was told with the try before. */
function setField(fields: string[], name: string, value: string): void {
  for (let at = 0; at < fields.length; at += 2) {
    if (fields[at]!.length === name.length && fields[at]!.toLowerCase() === name) {
      fields[at + 1] = value;
      return;
    }
  }
  fields.push(name, value);
}
