/** What became of the requests of one or more runs that differ in their seed alone, in a few figures. */
import type { Balance } from './compiled.ts';
import type { Fate, Run } from './simulate.ts';

export interface Summary {
  readonly scenario: string;
  readonly balance: string;
  readonly requests: number;
  /** Of good answers. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Share of all requests. */
  readonly failed: number;
  readonly refused: number;
  readonly left: number;
  /** In the worst ten seconds, or as long as a hundred requests take: what endpoints got for each that a client sent. */
  readonly amplification: number;
  /**
   * From when it could be well again until it was: until less than a twentieth of the requests failed or took ten times
   * the usual. The longest of all seeds; Infinity: not within the run; undefined: nothing to recover from.
   */
  readonly recoveredMs: number | undefined;
  /** Of each endpoint in what all of them got. */
  readonly shares: readonly number[];
}

/** A share of troubled requests is taken over so long, and over so many that are expected then. */
const BUCKET_MS = 500;
const BUCKET_REQUESTS = 100;
/** Over which the budget of retries holds. */
const WINDOW_S = 10;
const TROUBLED = 0.05;
const MUCH_SLOWER = 10;

export function summarise(runs: readonly Run[]): Summary {
  const { scenario, balance } = runs[0]!.setting;
  const ended = runs.flatMap((run) => run.ended);
  const tookMs = Float64Array.from(
    ended.filter(({ fate }) => fate === 'good'),
    (each) => each.tookMs,
  ).sort();
  const share = (fate: Fate) => ended.filter((each) => each.fate === fate).length / ended.length;
  const received = runs[0]!.received.map((_, server) => sum(runs.map((run) => run.received[server]!)));
  const recovered = runs.map(recoveredMs).filter((ms) => ms !== undefined);
  return {
    scenario: scenario.name,
    balance: nameOf(balance),
    requests: sum(runs.map(({ asked }) => asked)),
    p50Ms: quantile(tookMs, 0.5),
    p99Ms: quantile(tookMs, 0.99),
    failed: share('failed'),
    refused: share('refused'),
    left: share('left'),
    amplification: Math.max(...runs.map(amplification)),
    recoveredMs: recovered.length === 0 ? undefined : Math.max(...recovered),
    shares: received.map((count) => count / sum(received)),
  };
}

function amplification({ seconds, setting: { scenario } }: Run): number {
  const window = Math.min(seconds.length, Math.max(WINDOW_S, Math.ceil(BUCKET_REQUESTS / scenario.perSecond)));
  const sums = [{ asked: 0, received: 0 }, ...seconds];
  const ratios = sums.slice(window).map(({ asked, received }, at) => {
    return (received - sums[at]!.received) / Math.max(1, asked - sums[at]!.asked);
  });
  return Math.max(...ratios);
}

export function nameOf(balance: Balance): string {
  if (typeof balance === 'string') return balance;
  return 'hash' in balance ? `hash ${balance.hash}` : 'adaptive';
}

function recoveredMs({ setting: { scenario }, ended, lengthMs }: Run): number | undefined {
  if (scenario.recovers === undefined) return undefined;
  const fromMs = scenario.recovers.from * lengthMs;
  const untilMs = scenario.recovers.until * lengthMs;
  const bucketMs = Math.max(BUCKET_MS, (BUCKET_REQUESTS / scenario.perSecond) * 1000);
  const buckets = Array.from({ length: Math.ceil((untilMs - fromMs) / bucketMs) }, () => ({
    all: 0,
    bad: 0,
    lastMs: 0,
  }));
  const slowMs = MUCH_SLOWER * scenario.servers[0]!.meanMs;
  for (const { atMs, tookMs, fate } of ended) {
    if (atMs < fromMs || atMs >= untilMs || fate === 'refused') continue;
    const bucket = buckets[Math.floor((atMs - fromMs) / bucketMs)]!;
    bucket.all++;
    if (fate === 'good' && tookMs <= slowMs) continue;
    bucket.bad++;
    bucket.lastMs = Math.max(bucket.lastMs, atMs - fromMs);
  }
  const last = buckets.findLastIndex(({ all, bad }) => bad > TROUBLED * all);
  if (last === -1) return 0;
  return last === buckets.length - 1 ? Infinity : buckets[last]!.lastMs;
}

/** @param sorted ascending. NaN when it is empty. */
function quantile(sorted: Float64Array, share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
