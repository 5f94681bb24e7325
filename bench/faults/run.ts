/**
 * `npm run bench:faults -- [--quick] [--only NAME…] [--rounds 2] [--json FILE]`: what clients feel while something breaks, behind Aya and
 * its peers. Each run has a fleet and a proxy of its own, on which nothing has broken yet. README.md of the bench says more.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { lastLineOf } from '../load.ts';
import { benchOptions, chosen } from '../options.ts';
import { answering, canPin, freePorts, LOAD_CORE, pinned, PROXY_CORE, start } from '../process.ts';
import { fixed, thousands } from '../scenarios/scenario.ts';
import { CONTESTANTS, type Guarded } from './contestants.ts';
import { FAULTS, type Fault } from './faults.ts';
import { Fleet } from './fleet.ts';

/** Connections open, code gets compiled; not counted. */
const WARM_UP_SECONDS = 2;

interface Felt {
  readonly requests: number;
  readonly errors: number;
  /** Null: there was no right answer. */
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
  readonly maxMs: number | null;
  /** Of the errors, with their counts: a status, or what the connection said. */
  readonly reasons: Readonly<Record<string, number>>;
}

interface Report {
  readonly get: Felt;
  readonly post: Felt;
}

interface Found extends Report {
  /** Requests at the endpoints for each of the clients' in an outage: above 1 where tries are added, below where they are spared. */
  readonly amplification: number;
}

const { quick, only, json, rounds } = benchOptions([...FAULTS, ...CONTESTANTS], { quick: 1, usual: 2 });
const seconds = quick ? 6 : 12;
const dir = mkdtempSync(join(tmpdir(), 'aya-faults-'));
process.on('exit', () => rmSync(dir, { recursive: true, force: true }));

console.log(
  `- machine: ${cpus().length} × ${cpus()[0]?.model.trim()}, load ${fixed(loadavg()[0] ?? NaN)} at the start
- pinning: ${canPin ? 'proxy on processor 0, client and endpoints on processor 1' : 'none'}
- each run: ${WARM_UP_SECONDS} s in quiet, then ${seconds} s that count
- rounds: ${rounds} (errors are added; of times the better round is shown)`,
);
const found: Record<string, Record<string, Found | { failed: string }>> = {};
for (const fault of chosen(FAULTS, only)) {
  const reports: Record<string, Found | { failed: string }> = (found[fault.name] = {});
  for (let round = 0; round < rounds; round++) {
    for (const contestant of chosen(CONTESTANTS, only)) {
      if (contestant.fault !== undefined && contestant.fault !== fault.name) continue;
      const again = await run(fault, contestant).catch((error: Error) => ({ failed: error.message }));
      reports[contestant.name] = together(reports[contestant.name], again);
    }
  }
  print(fault, reports);
}
if (json !== undefined) writeFileSync(json, `${JSON.stringify(found, null, 2)}\n`);
process.exit(); // the keep-alive connections of our own fetch would hold the process for seconds

async function run(fault: Fault, contestant: Guarded): Promise<Found> {
  if (contestant.version === undefined) throw new Error('not installed');
  const home = mkdtempSync(join(dir, `${fault.name}-${contestant.name}-`));
  const fleet = await Fleet.start(home);
  const [port = 0] = await freePorts(1);
  const place = { dir: home, port, origins: fleet.ports };
  const proxy = start(contestant.name, await contestant.configure(place), home, PROXY_CORE);
  const url = `http://127.0.0.1:${port}/orders/7`;
  try {
    await answering(contestant.name, proxy, url, home);
    const felt = client(url, fault.perSecond);
    await pause(WARM_UP_SECONDS * 1000);
    const reload = (revision: number) => contestant.reload(place, proxy.pid, revision);
    const [report] = await Promise.all([felt, fault.happen({ fleet, dir: home, reload, lastsMs: seconds * 1000 })]);
    await fleet.stop();
    return { ...report, amplification: fleet.asked() / (report.get.requests + report.post.requests) };
  } finally {
    await Promise.all([proxy.stop(), fleet.stop()]);
  }
}

/** Noise of the machine only ever adds to times, so that the better round is nearer to the truth; an error is an error. */
function together(one: Found | { failed: string } | undefined, other: Found | { failed: string }) {
  if (one === undefined || 'failed' in one || 'failed' in other) return other;
  const { amplification } = other;
  return { get: better(one.get, other.get), post: better(one.post, other.post), amplification };
}

function better(one: Felt, other: Felt): Felt {
  const reasons = { ...one.reasons };
  for (const [reason, count] of Object.entries(other.reasons)) reasons[reason] = (reasons[reason] ?? 0) + count;
  const times = (one.p99Ms ?? Infinity) < (other.p99Ms ?? Infinity) ? one : other;
  return { ...times, requests: one.requests + other.requests, errors: one.errors + other.errors, reasons };
}

function client(url: string, perSecond: number): Promise<Report> {
  const program = fileURLToPath(new URL('client.ts', import.meta.url));
  const lasts = WARM_UP_SECONDS + seconds;
  const words = [url, perSecond, lasts, WARM_UP_SECONDS].map(String);
  return lastLineOf<Report>(pinned([process.execPath, program, ...words], LOAD_CORE), lasts);
}

function print(fault: Fault, reports: Readonly<Record<string, Found | { failed: string }>>): void {
  console.log(`\n### ${fault.title}\n\n${thousands(fault.perSecond)} requests a second.\n`);
  const columns = [
    '',
    'GET: errors',
    'p50 ms',
    'p99',
    'max',
    'POST: errors',
    'p50 ms',
    'p99',
    'max',
    'right/s',
    'tries',
  ];
  const rows = Object.entries(reports).map(([name, report]) => [
    `${name} ${CONTESTANTS.find((contestant) => contestant.name === name)?.version ?? ''}`,
    ...('failed' in report
      ? [report.failed]
      : [...cells(report.get), ...cells(report.post), rate(report), tries(fault, report)]),
  ]);
  const rule = columns.map((_, at) => (at === 0 ? '---' : '--:'));
  console.log([columns, rule, ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n'));
}

function cells({ requests, errors, reasons, ...times }: Felt): string[] {
  const why = Object.entries(reasons).map(([reason, count]) => `${count} × ${reason}`);
  const share = `${fixed((errors / requests) * 100, errors / requests < 0.1 ? 2 : 0)} %`;
  const ms = [times.p50Ms, times.p99Ms, times.maxMs].map((time) => fixed(time ?? NaN, 0));
  return [errors === 0 ? '0' : `${share} (${why.join(', ')})`, ...ms];
}

function rate({ get, post }: Report): string {
  return thousands((get.requests - get.errors + post.requests - post.errors) / seconds / rounds);
}

/** Only of an outage: from its beginning on they are counted, by endpoints of which none dies. */
function tries({ name }: Fault, { amplification }: Found): string {
  return name === 'outage' ? `${fixed(amplification, 2)} ×` : '';
}
