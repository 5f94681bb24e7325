/**
 * `npm run soak -- [--minutes 30] [--seed 1] [--keep]`: half the load that a fleet can carry, while instances die, hang, drip and break
 * off at random. At the end the gateway must have answered, be as large as it was, and hold nothing. Exits with 1 when not.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { seededRandom } from '../../src/clock.ts';
import { ayaCommand } from '../contestants/aya.ts';
import { lastLineOf } from '../load.ts';
import { answering, freePorts, residentMiB, start } from '../process.ts';
import { fixed, thousands } from '../scenarios/scenario.ts';
import { CAPACITY, Fleet } from './fleet.ts';

const PER_SECOND = CAPACITY / 2;
/** Beside that, requests that nobody could answer well, each second. */
const ODD_PER_SECOND = 5;
const SAMPLE_MS = 5_000;
/** Idle connections are closed after 4 s on the gateway's side, and at once on the client's. */
const REST_MS = 30_000;
const KILLED_MS = 3_000;
/** Events of the log. */
const OUT = ['endpoint_ejected', 'endpoint_unhealthy'];
/** Each ends what the one at its place above began. */
const BACK = ['endpoint_returned', 'endpoint_healthy'];

interface Felt {
  readonly requests: number;
  readonly errors: number;
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
  readonly maxMs: number | null;
  readonly reasons: Readonly<Record<string, number>>;
}

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '30' },
    seed: { type: 'string', default: '1' },
    keep: { type: 'boolean', default: false },
  },
});
const seconds = Math.round(Number(values.minutes) * 60);
const random = seededRandom(Number(values.seed));
if (!(seconds > 0)) throw new Error('--minutes wants a number above 0');

const dir = mkdtempSync(join(tmpdir(), 'aya-soak-'));
process.on('exit', () => values.keep || rmSync(dir, { recursive: true, force: true }));

const [fleet, lost] = [await Fleet.start(dir, 3, 'orders'), await Fleet.start(dir, 1, 'lost')];
const [port = 0] = await freePorts(1);
const origin = `http://127.0.0.1:${port}`;
const place = { dir, port, origins: fleet.ports };
const gateway = start('aya', ayaCommand(place, { threads: 2, accessLog: false }, { 'fleet.yaml': routes() }), dir);
await answering('aya', gateway, `${origin}/orders/7`, dir);

const quietSeconds = Math.max(15, Math.min(120, Math.round(seconds / 5)));
console.log(
  `${PER_SECOND} requests a second: ${quietSeconds} s in quiet, then ${values.minutes} min of chaos, seed ${values.seed}`,
);
await client(5); // what every process has to do once
await restUntil(() => true);
const restingFds = fds();
const quiet = await client(quietSeconds);

const samples: number[] = [];
const sampling = setInterval(() => samples.push(residentMiB(gateway.pid).now), SAMPLE_MS);
const odd = setInterval(() => void askOddly(), 1_000 / ODD_PER_SECOND);
const events: Record<string, number> = {};
const kills: { readonly url: string; readonly at: number }[] = [];
let isOver = false;
const chaos = wreak();
const felt = await client(seconds);
isOver = true;
await chaos;
clearInterval(odd);
clearInterval(sampling);
await restUntil(() => fds() <= restingFds);

const rightShare = 1 - felt.get.errors / felt.get.requests;
const drift = median(samples.slice(-quarter())) / median(samples.slice(quarter(), 2 * quarter())) - 1;
const slower = (felt.get.p99Ms ?? Infinity) / (quiet.get.p99Ms ?? NaN);
const ends = kills.map(endOf);
// One that was out before it died says nothing of how soon a death is seen.
const outMs = Math.max(...ends.filter(({ wasOut }) => !wasOut).map(({ ms }) => ms));
const checks: readonly (readonly [what: string, found: string, wanted: string, holds: boolean])[] = [
  ['GETs answered right', `${fixed(rightShare * 100, 3)} %`, '≥ 99.95 %', rightShare >= 0.9995],
  ['p99 of GETs, beside quiet', `${fixed(slower, 2)} ×`, '≤ 2 ×', slower <= 2],
  ['memory, last quarter beside second', `${fixed(drift * 100)} %`, '≤ 5 %', drift <= 0.05],
  ['descriptors at rest, beside before', `${fds() - restingFds}`, '≤ 0', fds() <= restingFds],
  [
    'killed, and out of rotation after',
    `${outMs === KILLED_MS ? '> ' : ''}${fixed(outMs, 0)} ms`,
    '≤ 1000 ms',
    outMs <= 1_000,
  ],
  ['data threads that died', `${threadDeaths()}`, '0', threadDeaths() === 0 && !gateway.exited()],
];
report();
const isHeld = checks.every(([, , , holds]) => holds);
if (values.keep) {
  writeFileSync(join(dir, 'metrics.txt'), await metrics());
  console.log(`\nIts log and its last metrics are in ${dir}.`);
}
await Promise.all([gateway.stop(), fleet.stop(), lost.stop()]);
process.exit(isHeld ? 0 : 1);

function routes(): string {
  const pool = (name: string, { ports }: Fleet) => `  ${name}:
    endpoints: [${ports.map((each) => `http://127.0.0.1:${each}`).join(', ')}]
    health:
      active: { path: /healthz, interval: 1s, timeout: 1s, unhealthyAfter: 2 }
      passive: { consecutiveFailures: 3, ejectFor: 2s, maxEjectFor: 10s }
`;
  return `pools:
${pool('orders', fleet)}${pool('lost', lost)}    breaker: { minRequests: 5, openFor: 1s, maxOpenFor: 2s }
routes:
  - name: orders
    match: { path: /orders/* }
    pool: orders
    timeout: { head: 3s, perTry: 500ms }
    retry: { attempts: 2, on: [connect, reset, timeout, 502, 503, 504] }
  - { name: lost, match: { path: /lost/* }, pool: lost, timeout: { total: 3s } }
`;
}

// --- chaos: one thing after another, with time to recover ---

async function wreak(): Promise<void> {
  const acts = { 'C5 kill': kill, 'C6 all of a pool dead': killAll, 'C7 hang': hang };
  const names = Object.keys(acts) as (keyof typeof acts)[];
  while (!isOver) {
    await pause(2_000 + random() * 4_000);
    const name = names[Math.floor(random() * names.length)]!;
    events[name] = (events[name] ?? 0) + 1;
    await acts[name]();
  }
}

async function kill(): Promise<void> {
  const at = Math.floor(random() * fleet.ports.length);
  kills.push({ url: `http://127.0.0.1:${fleet.ports[at]}`, at: Date.now() });
  fleet.signal(at, 'SIGKILL');
  await pause(KILLED_MS);
  await fleet.begin(at);
}

async function killAll(): Promise<void> {
  lost.signal(0, 'SIGKILL');
  await pause(3_000);
  await lost.begin(0);
}

async function hang(): Promise<void> {
  const at = Math.floor(random() * fleet.ports.length);
  fleet.signal(at, 'SIGSTOP');
  await pause(1_000 + random() * 3_000);
  fleet.signal(at, 'SIGCONT');
}

/** C8: an answer of a byte a second. C9: one that breaks off. One to a pool that may be dead. And clients that leave. */
async function askOddly(): Promise<void> {
  const path = ['/lost/drip', '/lost/reset', '/lost/7'][Math.floor(random() * 3)]!;
  const name = { '/lost/drip': 'C8 drip', '/lost/reset': 'C9 reset', '/lost/7': 'to the pool of C6' }[path]!;
  events[name] = (events[name] ?? 0) + 1;
  await new Promise<void>((resolve) => {
    const asked = get(`${origin}${path}`, { agent: false, timeout: 10_000 }, (response) => {
      response
        .on('error', () => {})
        .on('close', resolve)
        .resume();
    });
    asked.on('error', () => resolve()).on('timeout', () => asked.destroy());
    if (random() < 0.2) setTimeout(() => asked.destroy(), 200);
  });
}

// --- what is seen ---

function client(lasts: number): Promise<{ readonly get: Felt; readonly post: Felt }> {
  const program = fileURLToPath(new URL('client.ts', import.meta.url));
  return lastLineOf([process.execPath, program, ...[`${origin}/orders/7`, PER_SECOND, lasts, 0].map(String)], lasts);
}

function fds(): number {
  return readdirSync(`/proc/${gateway.pid}/fd`).length;
}

async function restUntil(rested: () => boolean): Promise<void> {
  const deadline = performance.now() + REST_MS;
  do await pause(6_000);
  while (!rested() && performance.now() < deadline);
}

interface LogLine {
  readonly event?: string;
  readonly time: string;
  readonly endpoint?: string;
  readonly reason?: string;
  readonly msg?: string;
  readonly admin?: string;
}

function logged(...events: readonly string[]): LogLine[] {
  return logLines().filter(({ event = '' }) => events.includes(event));
}

function logLines(): LogLine[] {
  const lines = readFileSync(join(dir, 'aya.log'), 'utf8').split('\n');
  return lines.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line) as LogLine);
}

/** How often each, the rarest first: what is seldom is what is looked for. */
function loggedEvents(): string {
  const counts: Record<string, number> = {};
  for (const { event } of logLines()) if (event !== undefined) counts[event] = (counts[event] ?? 0) + 1;
  const entries = Object.entries(counts).sort(([, one], [, other]) => one - other);
  return entries.map(([event, count]) => `${event} ${count} ×`).join(', ');
}

async function metrics(): Promise<string> {
  const admin = logLines().find(({ admin }) => admin !== undefined)?.admin;
  return (await fetch(`${admin}/metrics`)).text();
}

function threadDeaths(): number {
  return logged('thread_died').length;
}

interface End {
  /** From the kill until requests and checks had it out; KILLED_MS, where they had not when it came back. */
  readonly ms: number;
  readonly wasOut: boolean;
  readonly why: string;
}

function endOf({ url, at }: { readonly url: string; readonly at: number }): End {
  const lines = logged(...OUT, ...BACK, 'endpoint_not_ejected').filter(({ endpoint }) => endpoint === url);
  const before = lines.filter(({ time }) => Date.parse(time) < at);
  const wasOut = OUT.some((out, which) => {
    const last = before.findLast(({ event }) => event === out || event === BACK[which]);
    return last?.event === out;
  });
  const since = lines.filter(({ time }) => Date.parse(time) >= at && Date.parse(time) < at + KILLED_MS);
  const out = since.find(({ event = '' }) => OUT.includes(event));
  const ms = out === undefined ? KILLED_MS : Date.parse(out.time) - at;
  const spared = since.find(({ event, time }) => event === 'endpoint_not_ejected' && Date.parse(time) < at + ms);
  const why = [spared?.msg, out?.reason ?? (wasOut ? 'it was out already' : 'never')].filter(
    (each) => each !== undefined,
  );
  return { ms, wasOut, why: why.join('; then ') };
}

function quarter(): number {
  return Math.max(1, samples.length >> 2);
}

function median(numbers: readonly number[]): number {
  return [...numbers].sort((a, b) => a - b)[numbers.length >> 1] ?? NaN;
}

function report(): void {
  const row = (name: string, { requests, errors, reasons, p50Ms, p99Ms, maxMs }: Felt) => {
    const why = Object.entries(reasons).map(([reason, count]) => `${count} × ${reason}`);
    const times = [p50Ms, p99Ms, maxMs].map((ms) => fixed(ms ?? NaN, 0));
    return `| ${[name, thousands(requests), errors === 0 ? '0' : `${errors} (${why.join(', ')})`, ...times].join(' | ')} |`;
  };
  console.log(`
| | requests | errors | p50 ms | p99 | max |
|---|--:|--:|--:|--:|--:|
${row('GET, quiet', quiet.get)}
${row('GET, chaos', felt.get)}
${row('POST, quiet', quiet.post)}
${row('POST, chaos', felt.post)}

What happened: ${Object.entries(events)
    .sort()
    .map(([name, count]) => `${name} ${count} ×`)
    .join(', ')}. Memory of the gateway: ${samples.map((mebibytes) => fixed(mebibytes, 0)).join(' ')} MiB.

What the gateway said: ${loggedEvents()}.

Killed, and out of rotation:
${ends.map(({ ms, wasOut, why }) => `- ${wasOut ? 'before' : `after ${fixed(ms, 0)} ms`}: ${why}`).join('\n')}

| | found | wanted | |
|---|--:|--:|---|
${checks.map(([what, found, wanted, holds]) => `| ${what} | ${found} | ${wanted} | ${holds ? 'held' : '**missed**'} |`).join('\n')}`);
}
