/**
 * `npm run bench -- [--quick] [--only NAME…] [--rounds 5] [--json FILE]`: the gateway beside its peers on this machine.
 * README.md in this folder says how it is measured and how to read it.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { aya, ayaFull } from './contestants/aya.ts';
import { caddy } from './contestants/caddy.ts';
import { fastifyHttpProxy } from './contestants/fastify-http-proxy.ts';
import { floor } from './contestants/floor.ts';
import { haproxy } from './contestants/haproxy.ts';
import { nginx } from './contestants/nginx.ts';
import { generator } from './load.ts';
import { http2Generator } from './load-http2.ts';
import { benchOptions, chosen } from './options.ts';
import { originVersion, startOrigin } from './origin.ts';
import { canPin } from './process.ts';
import { cache } from './scenarios/cache.ts';
import { guarded } from './scenarios/guarded.ts';
import { matcher } from './scenarios/matcher.ts';
import { messages } from './scenarios/messages.ts';
import { grpc, http2, http2Tls, tls } from './scenarios/protocols.ts';
import { large, medium, small } from './scenarios/requests.ts';
import { memory, startUp } from './scenarios/resources.ts';
import { reload } from './scenarios/reload.ts';
import { routes } from './scenarios/routes.ts';
import { sockets } from './scenarios/sockets.ts';
import { tokens } from './scenarios/tokens.ts';
import { fixed, type Bench, type Budget, type Findings, type Scenario } from './scenarios/scenario.ts';

const CONTESTANTS = [floor, aya, ayaFull, nginx, haproxy, caddy, fastifyHttpProxy];
const SCENARIOS = [
  small,
  guarded,
  cache,
  medium,
  large,
  tls,
  http2,
  http2Tls,
  grpc,
  messages,
  routes,
  matcher,
  tokens,
  reload,
  memory,
  sockets,
  startUp,
];

const { quick, only, json, rounds } = benchOptions([...CONTESTANTS, ...SCENARIOS], { quick: 2, usual: 5 });
const dir = mkdtempSync(join(tmpdir(), 'aya-bench-'));
process.on('exit', () => rmSync(dir, { recursive: true, force: true }));

const machine = describeMachine();
console.log(
  Object.entries(machine)
    .map(([what, is]) => `- ${what}: ${is}`)
    .join('\n'),
);

const origin = await startOrigin(dir);
const bench: Bench = {
  dir,
  origins: origin.ports,
  contestants: chosen(CONTESTANTS, only),
  quick,
  rounds,
  seconds: quick ? 2 : 3,
};
const found: Record<string, unknown> = {};
const budgets: Budget[] = [];
for (const scenario of chosenScenarios()) await answer(scenario);
await origin.stop();

if (budgets.length > 0) {
  const rows = budgets.map(({ promise, atMost, found: value }) => [
    promise,
    String(atMost),
    fixed(value, 2),
    verdict(atMost, value),
  ]);
  print('Budgets', { columns: ['', 'at most', 'found', ''], rows });
}
if (json !== undefined) writeFileSync(json, `${JSON.stringify({ machine, found, budgets }, null, 2)}\n`);
process.exit(); // the keep-alive connections of our own fetch would hold the process for seconds

/** A scenario that cannot run says why and leaves the others their turn. */
async function answer({ name, title, run }: Scenario): Promise<void> {
  try {
    const findings = await run(bench);
    found[name] = findings.figures;
    budgets.push(...findings.budgets);
    print(title, findings);
  } catch (error) {
    found[name] = { failed: (error as Error).message };
    print(title, { columns: ['failed'], rows: [[(error as Error).message]] });
  }
}

function print(title: string, { columns, rows }: Pick<Findings, 'columns' | 'rows'>): void {
  const line = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '·')).join(' | ')} |`;
  const rule = `|${columns.map((_, index) => (index === 0 ? '---' : '--:')).join('|')}|`;
  console.log(`\n### ${title}\n\n${[line(columns), rule, ...rows.map(line)].join('\n')}`);
}

function verdict(atMost: number, value: number): string {
  if (!Number.isFinite(value)) return 'not measured';
  return value <= atMost ? 'held' : '**missed**';
}

/** Contestants named without a scenario are wanted for the comparison, not for the questions about Aya alone. */
function chosenScenarios(): readonly Scenario[] {
  const named = SCENARIOS.some(({ name }) => only.has(name));
  return named || only.size === 0 ? chosen(SCENARIOS, only) : [small];
}

function describeMachine(): Record<string, string> {
  const processors = cpus();
  return {
    date: new Date().toISOString().slice(0, 16),
    machine: `${processors.length} × ${processors[0]?.model.trim() ?? 'unknown'}`,
    pinning: canPin ? 'proxy on processor 0, load and origin on processor 1' : 'none: read ratios only',
    node: process.version,
    load: `${generator}, ${http2Generator}`,
    origin: originVersion === undefined ? 'node:http' : `nginx ${originVersion}`,
    peers: CONTESTANTS.map(({ name, version }) => `${name} ${version ?? 'missing'}`).join(', '),
  };
}
