/**
 * How reports become weights: Envoy's client-side weighted round robin (gRPC A58). Who serves more for the same load, with
 * fewer errors, can do more: weight = rate ÷ (utilization + error share × penalty). Where endpoints do not say how many
 * requests they have, what this gateway has of them is taken; for the shares of a pool only the proportion counts.
 */
import type { AdaptiveConfig, BalanceConfig } from '../../config/schema.ts';
import type { ReportedLoad } from '../../memory/load-table.ts';

export const ADAPTIVE_DEFAULTS: AdaptiveConfig = {
  blackout: 10_000,
  expiration: 180_000,
  update: 1_000,
  errorPenalty: 1,
  metrics: [],
};

/** undefined: the pool is balanced by something else. */
export function adaptiveOf(balance: BalanceConfig): AdaptiveConfig | undefined {
  if (balance === 'adaptive') return ADAPTIVE_DEFAULTS;
  return typeof balance === 'object' && 'adaptive' in balance ? balance.adaptive : undefined;
}

export interface Weighed {
  /** As it is written. */
  readonly weight: number;
  /** What it reports; undefined when that is not to be trusted: too old, or it has only begun. */
  readonly load: ReportedLoad | undefined;
  /** What this gateway has of it: requests and failures each second. */
  readonly measured: { readonly rate: number; readonly errorRate: number };
}

/** However much better it says that it does, no endpoint has more of the others' share, nor less. */
const MOST = 10;

/** By what each weight is to be multiplied; 1 for all while fewer than two tell. */
export function factorsOf(members: readonly Weighed[], { errorPenalty }: AdaptiveConfig): number[] {
  const serving = members.filter(({ weight }) => weight > 0);
  // All rates of a pool are of one kind, else what all clients send would be held against what one of them does.
  const areReported = serving.every(({ load }) => load === undefined || load.rate > 0);
  const capacityOf = ({ load, measured }: Weighed): number => {
    if (load === undefined || load.utilization <= 0) return 0;
    const { rate, errorRate } = areReported ? load : measured;
    if (rate <= 0) return 0;
    return rate / (load.utilization + Math.min(1, errorRate / rate) * errorPenalty);
  };
  const known = serving.map(capacityOf).filter((capacity) => capacity > 0);
  if (known.length < 2) return members.map(() => 1);
  const usual = median(known);
  const wanted = members.map((member) => {
    if (member.weight === 0) return 0;
    // Who does not tell is taken for one of them.
    return Math.min(MOST, Math.max(1 / MOST, (capacityOf(member) || usual) / usual));
  });
  const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
  const scale = sum(serving.map(({ weight }) => weight)) / sum(wanted);
  // Weights that are written say how large an endpoint is thought to be; those who tell know it better.
  return members.map(({ weight }, at) => (weight === 0 ? 1 : (wanted[at]! * scale) / weight));
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
