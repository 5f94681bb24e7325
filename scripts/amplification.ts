/**
 * What hostile bytes cost: sends every case of the corpora to a gateway of its own, and prints which made it work and grow
 * most for each byte, beside what the clients and the origin spent on them. Figures to look at, not to pass or fail:
 *
 *     node scripts/amplification.ts
 *
 * Linux only: what a process costs is read from /proc.
 */
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { CORPUS } from '../test/conformance/corpus.ts';
import { DESYNC } from '../test/conformance/desync.ts';
import { SPELLINGS } from '../test/conformance/spellings.ts';

const ROUNDS = 40;
const AT_ONCE = 20;
/** What has not been answered by then waits for the rest of its request. */
const PATIENCE_MS = 60;
const TICK_MS = 10;
const SHOWN = 12;

interface Cost {
  readonly name: string;
  readonly bytes: number;
  readonly gatewayMs: number;
  readonly othersMs: number;
  readonly grownBytes: number;
}

const get = (target: string, fields = '') => `GET ${target} HTTP/1.1\r\nHost: any.test\r\n${fields}\r\n`;
const chunked = 'POST /t HTTP/1.1\r\nHost: any.test\r\nTransfer-Encoding: chunked\r\n\r\n';
const HEAVY = {
  'an ordinary GET': get('/t'),
  'twenty thousand chunks of one byte': `${chunked}${'1\r\nx\r\n'.repeat(20_000)}0\r\n\r\n`,
  'three thousand pipelined requests': get('/t').repeat(3_000),
  'a hostile regex on a path of 8 KB': get(`/regex/${'a'.repeat(7_900)}!`),
  'a hostile regex on a field of 15 KB': get('/field', `X-A: ${'y'.repeat(15_000)}\r\n`),
  'a hundred fields named in Connection': get(
    '/t',
    `${Array.from({ length: 95 }, (_, at) => `X-${at}: 1\r\n`).join('')}Connection: ${Array.from({ length: 95 }, (_, at) => `x-${at}`).join()}\r\n`,
  ),
  'escapes all the way': get(`/${'%61'.repeat(2_600)}`),
  'slashes all the way': get(`/${'a//'.repeat(2_600)}`),
};

const origin = createServer((request, response) => request.resume().on('end', () => response.end('ok')));
await new Promise<void>((resolve) => origin.listen(0, '127.0.0.1', resolve));
const dir = mkdtempSync(join(tmpdir(), 'aya-amplification-'));
const gateway = await startGateway();
try {
  const cases = [
    ...[...CORPUS, ...DESYNC].map(({ name, bytes }): [string, string] => [name, bytes]),
    ...SPELLINGS.map((target): [string, string] => [target, get(target)]),
    // Last, since what they leave to the garbage collector would be charged to those behind them.
    ...Object.entries(HEAVY),
  ];
  // Code that has never run is compiled first, which is no attacker's doing.
  for (const [name, bytes] of cases) await measure(name, bytes);
  const costs: Cost[] = [];
  for (const [name, bytes] of cases) costs.push(await measure(name, bytes));
  console.log(`${costs.length} cases, ${ROUNDS} times each`);
  print('most CPU for a request', costs, ({ gatewayMs }) => gatewayMs);
  print('most memory for a byte', costs, ({ grownBytes, bytes }) => grownBytes / bytes);
  print(
    'most CPU beside what clients and origin spent',
    costs.filter(({ gatewayMs }) => gatewayMs > 0.5),
    ratio,
  );
  console.log(`\nevent loop of the data thread, from its metrics:\n${await loopDelays()}`);
} finally {
  gateway.child.kill('SIGTERM');
  origin.closeAllConnections();
  origin.close();
  rmSync(dir, { recursive: true, force: true });
}

async function startGateway() {
  const { port } = origin.address() as AddressInfo;
  mkdirSync(join(dir, 'routes.d'));
  const settings = {
    listen: [{ host: '127.0.0.1', port: 0 }],
    threads: 1,
    accessLog: { enabled: false },
    admin: { port: 0 },
  };
  const routes = {
    pools: { all: { endpoints: [`http://127.0.0.1:${port}`] } },
    routes: [
      { name: 'all', pool: 'all' },
      { name: 'regex', match: { path: { regex: '/regex/(a+)+\\$' } }, pool: 'all' },
      { name: 'field', match: { path: '/field', headers: { 'x-a': { regex: '(.*)*x' } } }, pool: 'all' },
    ],
  };
  writeFileSync(join(dir, 'gateway.yaml'), JSON.stringify({ ...settings, drain: { delay: '0ms', timeout: '1s' } }));
  writeFileSync(join(dir, 'routes.d', 'all.yaml'), JSON.stringify(routes));
  const main = new URL('../src/main.ts', import.meta.url).pathname;
  const child = spawn(process.execPath, [main, 'start', dir], { stdio: ['ignore', 'pipe', 'inherit'] });
  let log = '';
  child.stdout.on('data', (chunk: Buffer) => (log += chunk.toString()));
  const found = async (pattern: RegExp) => {
    for (let waited = 0; waited < 20_000; waited += 50) {
      const [, value] = pattern.exec(log) ?? [];
      if (value !== undefined) return Number(value);
      await pause(50);
    }
    throw new Error(`the gateway did not say ${String(pattern)}: ${log}`);
  };
  return {
    child,
    pid: child.pid!,
    port: await found(/"listeners":\[\{"host":"127\.0\.0\.1","port":(\d+)/),
    adminPort: await found(/"admin":"http:\/\/127\.0\.0\.1:(\d+)/),
  };
}

async function measure(name: string, bytes: string): Promise<Cost> {
  const buffer = Buffer.from(bytes, 'latin1');
  const before = { gateway: cpuMs(), others: process.cpuUsage(), memory: memory() };
  let most = before.memory;
  for (let round = 0; round < ROUNDS; round += AT_ONCE) {
    await Promise.all(Array.from({ length: AT_ONCE }, () => send(buffer)));
    most = Math.max(most, memory());
  }
  const { user, system } = process.cpuUsage(before.others);
  return {
    name,
    bytes: buffer.length,
    gatewayMs: (cpuMs() - before.gateway) / ROUNDS,
    othersMs: (user + system) / 1000 / ROUNDS,
    grownBytes: (most - before.memory) / AT_ONCE,
  };
}

/** Resolves when the gateway has answered and is still, has closed, or waits for more. */
function send(bytes: Buffer): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect(gateway.port, '127.0.0.1', () => socket.write(bytes));
    const patience = setTimeout(() => socket.destroy(), PATIENCE_MS);
    socket.on('data', () => patience.refresh());
    socket.on('error', () => {});
    socket.on('close', () => {
      clearTimeout(patience);
      resolve();
    });
    socket.on('end', () => socket.destroy());
  });
}

function cpuMs(): number {
  const [, , ...fields] = readFileSync(`/proc/${gateway.pid}/stat`, 'latin1').split(' ');
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}

function memory(): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${gateway.pid}/status`, 'latin1'))?.[1]) * 1024;
}

async function loopDelays(): Promise<string> {
  const text = await (await fetch(`http://127.0.0.1:${gateway.adminPort}/metrics`)).text();
  return text
    .split('\n')
    .filter((line) => line.startsWith('aya_event_loop_delay'))
    .join('\n');
}

function ratio({ gatewayMs, othersMs }: Cost): number {
  return gatewayMs / Math.max(othersMs, 0.05);
}

function print(title: string, costs: readonly Cost[], by: (cost: Cost) => number): void {
  console.log(`\n${title}`);
  for (const cost of [...costs].sort((a, b) => by(b) - by(a)).slice(0, SHOWN)) {
    const { bytes, gatewayMs, othersMs, grownBytes } = cost;
    const figures = [
      `${bytes} B`.padStart(9),
      `${gatewayMs.toFixed(2)} ms`.padStart(9),
      `× ${ratio(cost).toFixed(1)}`.padStart(7),
      `+ ${(grownBytes / bytes).toFixed(1)} B/B`.padStart(13),
      `(others ${othersMs.toFixed(2)} ms)`,
    ];
    console.log(`${figures.join('  ')}  ${cost.name.slice(0, 70)}`);
  }
}
