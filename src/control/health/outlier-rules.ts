/**
 * Who of a pool did worse in a window than may be: the rules that compare, as in Envoy's outlier detection, and with its known
 * mistakes mended. A rate among equals needs a margin, else a pool that fails nothing ejects whoever fails one in a
 * thousand; and slowness is judged by medians, else one slow answer makes an endpoint slow.
 */
import type { PassiveHealthConfig } from '../../config/schema.ts';
import type { Sample } from '../../memory/sample-table.ts';
import type { EjectionCause } from '../view.ts';

export interface Evidence {
  readonly cause: EjectionCause;
  /** `12 of 20 answers failed`. */
  readonly what: string;
}

export interface Outlier<Member> extends Evidence {
  readonly member: Member;
}

interface Judged<Member> extends Outlier<Member> {
  /** The greater, the worse; of one rule. */
  readonly badness: number;
}

type Samples<Member> = ReadonlyMap<Member, Sample>;

/** The worst of each rule first, so that a pool that can spare one endpoint spares that; each member once. */
export function findOutliers<Member>(samples: Samples<Member>, rules: PassiveHealthConfig): readonly Outlier<Member>[] {
  const found = new Map<Member, Outlier<Member>>();
  for (const judged of [failing(samples, rules), worse(samples, rules), slower(samples, rules)]) {
    for (const outlier of judged.toSorted((a, b) => b.badness - a.badness)) {
      if (!found.has(outlier.member)) found.set(outlier.member, outlier);
    }
  }
  return [...found.values()];
}

function failing<Member>(samples: Samples<Member>, { failurePercentage }: PassiveHealthConfig): Judged<Member>[] {
  if (failurePercentage === undefined) return [];
  const { threshold, minRequests } = failurePercentage;
  return [...samples].flatMap(([member, { ok, failed }]) => {
    const total = ok + failed;
    if (total < minRequests || failed < threshold * total) return [];
    const what = `${failed} of ${total} answers failed`;
    return [{ member, cause: 'failure-percentage', what, badness: failed / total }];
  });
}

function worse<Member>(samples: Samples<Member>, { successRate }: PassiveHealthConfig): Judged<Member>[] {
  if (successRate === undefined) return [];
  const { factor, margin, minHosts, minRequests } = successRate;
  const rates = [...samples].flatMap(([member, { ok, failed }]) =>
    ok + failed < minRequests ? [] : [{ member, rate: ok / (ok + failed) }],
  );
  if (rates.length < minHosts) return [];
  const mean = average(rates.map(({ rate }) => rate));
  const deviation = Math.sqrt(average(rates.map(({ rate }) => (rate - mean) ** 2)));
  const least = Math.min(mean - factor * deviation, mean - margin);
  return rates.flatMap(({ member, rate }) => {
    if (rate >= least) return [];
    const what = `${percent(rate)} of answers were good, ${percent(mean)} in the pool`;
    return [{ member, cause: 'success-rate', what, badness: mean - rate }];
  });
}

function slower<Member>(samples: Samples<Member>, { slow }: PassiveHealthConfig): Judged<Member>[] {
  if (slow === undefined) return [];
  const judged = [...samples].filter(([, { ok }]) => ok >= slow.minRequests);
  return judged.flatMap(([member, { medianMs }]) => {
    const others = judged.flatMap(([other, sample]) => (other === member ? [] : [sample.medianMs]));
    if (others.length === 0) return [];
    const usual = median(others);
    if (medianMs <= slow.factor * usual || medianMs - usual < slow.margin) return [];
    const what = `half of its answers took ${rounded(medianMs)} ms or longer, ${rounded(usual)} ms is usual`;
    return [{ member, cause: 'slow', what, badness: medianMs / usual }];
  });
}

const average = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

const percent = (share: number) => `${(share * 100).toFixed(1)} %`;
/** Medians are known to a fifth. */
const rounded = (ms: number) => Number(ms.toPrecision(2));
