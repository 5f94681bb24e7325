/**
 * Slow start: an endpoint that joins or comes back has little of its weight at first, so that its caches, pools and
 * compilers are warm before it has its whole share. Envoy's formula:
 *
 *     weight × max(min, (t / for) ^ (1 / aggression))
 */
import type { SlowStartConfig } from '../config/schema.ts';

/** Steps in which a weight grows: each costs the balancer an update. */
const STEPS = 50;
const SHORTEST_STEP_MS = 100;

/**
 * How much of its weight an endpoint has now: 0 … 1.
 * @param startedAt of the endpoint table; 0: it did not start beside others.
 */
export function warmthAt({ for: windowMs, aggression, min }: SlowStartConfig, startedAt: number, now: number): number {
  const elapsed = now - startedAt;
  if (startedAt === 0 || elapsed >= windowMs) return 1;
  return Math.max(min, (Math.max(0, elapsed) / windowMs) ** (1 / aggression));
}

/** How often weights have to be looked at while one grows. */
export function stepMs({ for: windowMs }: SlowStartConfig): number {
  return Math.max(SHORTEST_STEP_MS, windowMs / STEPS);
}
