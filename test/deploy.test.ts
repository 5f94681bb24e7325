/** What stands in deploy/ and beside it fits the gateway: no engine is needed to find a name that does not exist. */
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  globSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { describe, expect, it, onTestFinished, type TestContext } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { scanLanguage } from '../src/config/language.ts';
import { assemble } from '../src/config/load.ts';
import { createScrape } from '../src/control/scrape.ts';
import { countersOf, scanPlugins } from '../src/extension.ts';
import { eventfulView } from './support/admin-view.ts';
import { labelsOf, unanswered } from './support/promql.ts';

const SOME_NETWORKS = expect.arrayContaining([expect.stringMatching(/\/\d+$/)]) as string[];
const SOME_TEXT = expect.stringMatching(/./) as string;
const ROOT = new URL('../', import.meta.url).pathname;
const read = (path: string) => readFileSync(ROOT + path, 'utf8');

/** Runs a tool of the peers on one of our files; a machine without the tool says so instead of passing in silence. */
function run(context: TestContext, tool: string, ...args: string[]) {
  return runAs(undefined, context, tool, args);
}

/** @param uid also the group, as `nobody` has. */
function runAs(
  uid: number | undefined,
  { skip }: TestContext,
  tool: string,
  args: readonly string[],
): { status: number | null; said: string } {
  const { error, status, stdout, stderr } = spawnSync(tool, args, { cwd: ROOT, encoding: 'utf8', uid, gid: uid });
  skip(error !== undefined, `${tool} is not installed: ${args.at(-1)} stays unchecked`);
  return { status, said: stdout + stderr };
}

const page = await eventfulPage();

/** A page on which every metric has something to show. */
async function eventfulPage(): Promise<string> {
  const counters = countersOf(await scanPlugins());
  return createScrape(eventfulView(counters)).render();
}

interface Panel {
  readonly title: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets?: readonly { readonly expr: string; readonly legendFormat: string }[];
}

describe('the dashboard', () => {
  const text = read('deploy/grafana/dashboards/aya.json');
  const { panels, templating, annotations } = JSON.parse(text) as {
    panels: Panel[];
    templating: { list: { name: string; query: { query: string } }[] };
    annotations: { list: { expr: string }[] };
  };
  const exprs = panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));

  it('asks only for series that the gateway has', () => {
    const asked = [...exprs, ...annotations.list.map(({ expr }) => expr)];
    expect(asked.flatMap((expr) => unanswered(expr, page))).toEqual([]);
    const variables = templating.list.map(({ query: { query } }) => /label_values\((\w+), (\w+)\)/.exec(query)!);
    const asIs = variables.map(([, metric, label]) => `sum by (${label}) (${metric})`);
    expect(asIs.flatMap((expr) => unanswered(expr, page))).toEqual([]);
  });

  it('shows what an operator looks for', () => {
    const asked = exprs.join('\n');
    for (const name of [
      'aya_requests_total',
      'aya_errors_total',
      'aya_request_duration_seconds_bucket',
      'aya_endpoint_available',
      'aya_ejections_total',
      'aya_requests_in_flight',
      'aya_retries_total',
      'aya_event_loop_delay_seconds',
      'aya_config_file_stale',
      'aya_grpc_calls_total',
      'aya_endpoint_breaker_state',
      'aya_pool_breaker_state',
      'aya_retries_withheld_total',
      'aya_hedges_total',
      'aya_pool_waiting',
      'aya_pool_refused_total',
      'aya_shed_total',
      'aya_fallbacks_total',
      'aya_pool_load_share',
      'aya_sticky_requests_total',
      'aya_discovery_age_seconds',
      'aya_endpoint_utilization',
    ]) {
      expect(asked).toContain(`${name}{`);
    }
  });

  it('uses only variables that it defines', () => {
    const defined = new Set([...templating.list.map(({ name }) => name), '__rate_interval']);
    const used = exprs.flatMap((expr) => [...expr.matchAll(/\$(\w+)/g)]);
    expect(used.map(([, name]) => name!).filter((name) => !defined.has(name))).toEqual([]);
  });

  it('names its lines by labels that they have', () => {
    const wrong = panels
      .flatMap(({ targets = [] }) => targets)
      .filter(({ expr, legendFormat }) => {
        const kept = /\bby \(([^)]*)\)/.exec(expr)?.[1]?.split(', ') ?? ['instance', ...labelsOf(expr, page)];
        return [...legendFormat.matchAll(/\{\{(\w+)\}\}/g)].some(([, label]) => !kept.includes(label!));
      });
    expect(wrong).toEqual([]);
  });

  it('has expressions that Prometheus reads', (context) => {
    const rules = exprs.map((expr, at) => ({
      record: `panel:${at}`,
      expr: expr.replaceAll('$__rate_interval', '1m').replaceAll(/\$(\w+)/g, '.*'),
    }));
    const dir = mkdtempSync(join(tmpdir(), 'aya-'));
    onTestFinished(() => rmSync(dir, { recursive: true }));
    const file = join(dir, 'panels.yml');
    writeFileSync(file, JSON.stringify({ groups: [{ name: 'panels', rules }] }));
    expect(run(context, 'promtool', 'check', 'rules', file)).toMatchObject({ status: 0 });
  });

  it('lays no panel over another', () => {
    const overlaps = panels.flatMap((one, at) =>
      panels.slice(at + 1).filter((other) => {
        const [a, b] = [one.gridPos, other.gridPos];
        return a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h;
      }),
    );
    expect(overlaps).toEqual([]);
    for (const { gridPos } of panels) expect(gridPos.x + gridPos.w).toBeLessThanOrEqual(24);
  });
});

describe('Prometheus', () => {
  it('reads its rules', (context) => {
    expect(run(context, 'promtool', 'check', 'rules', 'deploy/prometheus/alerts.yml')).toMatchObject({ status: 0 });
  });

  it('reads its configuration', (context) => {
    const checked = run(context, 'promtool', 'check', 'config', '--syntax-only', 'deploy/prometheus/prometheus.yml');
    expect(checked).toMatchObject({ status: 0 });
  });

  it('alerts when it should, and not otherwise', (context) => {
    const tested = run(context, 'promtool', 'test', 'rules', 'deploy/prometheus/alerts.test.yml');
    expect(tested.said).toContain('SUCCESS');
    expect(tested.status).toBe(0);
  });

  it('alerts on series that the gateway has, and each alert says what to do', () => {
    const { groups } = parse(read('deploy/prometheus/alerts.yml')) as {
      groups: { rules: { alert?: string; expr: string; annotations?: Record<string, string> }[] }[];
    };
    for (const { alert, expr, annotations } of groups.flatMap(({ rules }) => rules)) {
      expect(unanswered(expr, page)).toEqual([]);
      if (alert !== undefined) expect(annotations).toEqual({ summary: SOME_TEXT, action: SOME_TEXT });
    }
  });
});

describe('HAProxy', () => {
  it('reads its configuration', (context) => {
    expect(run(context, 'haproxy', '-c', '-f', 'deploy/haproxy/haproxy.cfg')).toMatchObject({ status: 0 });
  });

  it('tells the gateways whose connections it moves, and they listen for it', async () => {
    const servers = read('deploy/haproxy/haproxy.cfg').match(/^\s+server .*$/gm) ?? [];
    expect(servers).toHaveLength(2);
    for (const server of servers) expect(server).toMatch(/:8080 send-proxy-v2$/);
    const bytes = Buffer.from(read('deploy/compose/gateway.yaml').replace('${AYA_ADMIN_TOKEN}', 'x'.repeat(16)));
    const { config, problems } = assemble('/etc/aya', [{ file: 'gateway.yaml', bytes }], {
      language: await scanLanguage(),
    });
    expect(problems).toEqual([]);
    expect(config?.gateway.listen).toMatchObject([{ port: 8080, proxyProtocol: { from: SOME_NETWORKS } }]);
  });
});

describe('keepalived', () => {
  // Asked by root it takes itself for a part of the service whose parent is gone, and ends by a signal without a word.
  const NOBODY = process.getuid?.() === 0 ? 65534 : undefined;

  it('reads its configuration', (context) => {
    const dir = mkdtempSync(join(tmpdir(), 'aya-'));
    onTestFinished(() => rmSync(dir, { recursive: true }));
    chmodSync(dir, 0o755);
    const file = join(dir, 'keepalived.conf');
    writeFileSync(file, read('deploy/keepalived/keepalived.conf'), { mode: 0o644 });
    expect(runAs(NOBODY, context, 'keepalived', ['--config-test', '--use-file', file])).toEqual({
      status: 0,
      said: '',
    });
  });
});

interface Compose {
  readonly services: Record<string, { environment?: Record<string, string>; command?: string[]; volumes?: string[] }>;
}

describe('docker-compose.yml', () => {
  const compose = parse(read('docker-compose.yml'), { merge: true }) as Compose;
  const services = new Set(Object.keys(compose.services));

  it('gives the gateways an address for every placeholder of the example fleet', () => {
    const files = readdirSync(`${ROOT}routes.d`).filter((file) => file.endsWith('.yaml'));
    const asked = files.flatMap((file) =>
      [...read(`routes.d/${file}`).matchAll(/\$\{(\w+)/g)].map(([, name]) => name!),
    );
    for (const gateway of ['gateway-1', 'gateway-2']) {
      const given = Object.keys(compose.services[gateway]!.environment!);
      expect(given).toEqual(expect.arrayContaining([...new Set(asked)]));
    }
  });

  it('points every address at a service that it starts', () => {
    const { AYA_ADMIN_TOKEN: _, ...addresses } = compose.services['gateway-1']!.environment!;
    for (const address of Object.values(addresses)) {
      const [host = '', port] = address.split(':');
      expect(services).toContain(host);
      expect(compose.services[host]!.command).toContain(port);
    }
  });

  it('mounts only what is there', () => {
    const mounts = Object.values(compose.services).flatMap(({ volumes = [] }) => volumes);
    for (const mount of mounts) expect(existsSync(ROOT + mount.split(':')[0]!.slice(2)), mount).toBe(true);
  });

  it('is what HAProxy and Prometheus expect to find', () => {
    const named = (read('deploy/haproxy/haproxy.cfg') + read('deploy/prometheus/prometheus.yml')).matchAll(
      /(?:server \S+ |')([a-z0-9-]+):\d+/g,
    );
    const hosts = [...named].map(([, host]) => host!);
    expect(hosts.length).toBeGreaterThan(4);
    for (const host of hosts) expect(services).toContain(host);
  });
});

describe('the image', () => {
  it('starts programs that the sources have', () => {
    const programs = [...(read('Dockerfile') + read('docker-compose.yml')).matchAll(/dist\/(src\/[\w/-]+)\.js/g)];
    expect(programs.length).toBeGreaterThan(1);
    for (const [, source] of programs) expect(existsSync(`${ROOT}${source}.ts`), source).toBe(true);
  });
});

describe('every other file of deploy/', () => {
  it.each(globSync('deploy/**/*.{yaml,yml}', { cwd: ROOT }))('%s is YAML', (file) => {
    for (const document of parseAllDocuments(read(file))) {
      expect(document.errors).toEqual([]);
      if (file.includes('kubernetes'))
        expect(document.toJS()).toMatchObject({ apiVersion: SOME_TEXT, kind: SOME_TEXT });
    }
    expect(basename(file)).toMatch(/^[a-z.-]+$/);
  });
});
