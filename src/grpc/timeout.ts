/** The `grpc-timeout` field: how long the caller is going to wait. */

const UNIT_MS: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 1e-3, n: 1e-6 };

/** @returns milliseconds; NaN when it is none: one to eight digits and a unit. */
export function parseGrpcTimeout(text: string): number {
  return /^\d{1,8}[HMSmun]$/.test(text) ? Number(text.slice(0, -1)) * UNIT_MS[text.at(-1)!]! : NaN;
}

/** In the finest unit down to a millisecond that holds it. */
export function formatGrpcTimeout(ms: number): string {
  const whole = Math.max(1, Math.ceil(ms));
  return whole < 1e8 ? `${whole}m` : `${Math.min(Math.ceil(whole / 1000), 99_999_999)}S`;
}
