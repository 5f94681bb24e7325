/**
 * The comparison itself: all contestants are up, each on the same processor, and take turns over several rounds
 * (A B C A B C …), so that a noisy minute hits all alike. Noise only ever adds: the best round is the truest.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Contestant, Wire } from './contestants/contestant.ts';
import type { Bench } from './scenarios/scenario.ts';
import { answering, cpuTimeUs, freePorts, PROXY_CORE, start, type Running } from './process.ts';
import { http1Requests, type Traffic } from './traffic.ts';

const WARM_UP_SECONDS = 1;

export interface Result {
  readonly name: string;
  readonly version: string | undefined;
  /** Why there are no figures: not installed, or did not start. */
  readonly absent?: string;
  readonly cpuUs: { readonly best: number; readonly median: number };
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly failures: number;
}

interface Round {
  readonly cpuUs: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly failures: number;
}

/** Each contestant's own path lets one race compare the same gateway with different routes. */
export interface Entrant extends Contestant {
  readonly path: string;
  /** What its clients send, where that is not plain requests of HTTP/1.1. */
  readonly traffic?: Traffic;
  /** What it has to speak, where that is not plain HTTP/1.1 on both sides. */
  readonly wire?: Wire;
}

export async function race(entrants: readonly Entrant[], bench: Bench): Promise<Result[]> {
  const stands = [];
  try {
    for (const entrant of entrants) stands.push(await takeStand(entrant, bench));
    for (let round = 0; round < bench.rounds; round++) {
      for (const stand of stands) {
        if (stand.url !== undefined) stand.rounds.push(await measure(stand, stand.url, bench.seconds));
      }
    }
  } finally {
    await Promise.all(stands.map((stand) => stand.process?.stop()));
  }
  return stands.map(summarise);
}

interface Stand {
  readonly entrant: Entrant;
  readonly traffic: Traffic;
  readonly rounds: Round[];
  readonly process?: Running;
  readonly url?: string;
  readonly absent?: string;
}

async function takeStand(entrant: Entrant, bench: Bench): Promise<Stand> {
  const { name, version, path, traffic = http1Requests(), wire = {} } = entrant;
  if (version === undefined) return { entrant, traffic, rounds: [], absent: 'not installed' };
  const dir = join(bench.dir, `${name}-${path.replaceAll(/\W+/g, '-')}`);
  mkdirSync(dir, { recursive: true });
  const [port = 0] = await freePorts(1);
  const process = start(name, entrant.configure({ dir, port, origins: bench.origins, ...wire }), dir, PROXY_CORE);
  const url = `${wire.tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}${path}`;
  try {
    await answering(name, process, url, dir, traffic.ask);
    await traffic.load(url, WARM_UP_SECONDS);
    return { entrant, traffic, rounds: [], process, url };
  } catch (error) {
    await process.stop();
    return { entrant, traffic, rounds: [], absent: (error as Error).message };
  }
}

async function measure({ process, traffic }: Stand, url: string, seconds: number): Promise<Round> {
  const pid = process?.pid ?? 0;
  const before = cpuTimeUs(pid);
  const report = await traffic.load(url, seconds);
  const spentUs = cpuTimeUs(pid) - before;
  return { ...report, cpuUs: spentUs / report.requests, perSecond: report.requests / report.seconds };
}

function summarise({ entrant: { name, version }, rounds, absent }: Stand): Result {
  const costs = sorted(rounds.map((round) => round.cpuUs));
  return {
    name,
    version,
    ...(absent === undefined ? {} : { absent }),
    cpuUs: { best: costs[0] ?? NaN, median: median(costs) },
    perSecond: Math.max(...rounds.map((round) => round.perSecond)),
    p50Ms: median(sorted(rounds.map((round) => round.p50Ms))),
    p99Ms: median(sorted(rounds.map((round) => round.p99Ms))),
    failures: rounds.reduce((sum, round) => sum + round.failures, 0),
  };
}

const sorted = (values: number[]) => values.sort((a, b) => a - b);
export const median = (ascending: readonly number[]) => ascending[ascending.length >> 1] ?? NaN;
