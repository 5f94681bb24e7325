/** Two gateways behind HAProxy, as deploy/haproxy has them: one is drained, one is killed, and clients go on asking. */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { cleanup } from '../support/cleanup.ts';
import { configDirectory, ready, spawnAya, type Command } from '../support/command.ts';
import { startLoad } from '../support/load.ts';
import { until, within } from '../support/until.ts';
import { closedPort, slow, startUpstream, type Upstream } from '../support/upstream.ts';

const FILE = 'test/scenarios/a-fleet-of-gateways.test.ts';
const HOST = '127.0.0.1';
const CLIENTS = 8;

const hasHaproxy = spawnSync('haproxy', ['-v']).error === undefined;
if (!hasHaproxy) console.warn(`${FILE} is skipped: HAProxy is not installed`);

describe.skipIf(!hasHaproxy)('of two gateways behind HAProxy', () => {
  it('one is drained, and no request is lost', async () => {
    const { url, start, stateOf, connectionsOf } = await createFleet();
    const [first] = await Promise.all([start(0), start(1)]);
    await until(async () => (await stateOf(0)) === 'UP' && (await stateOf(1)) === 'UP', 'both to be up');
    const load = startLoad(url, { clients: CLIENTS, everyMs: 5 });
    await until(async () => load.served > 200 && (await connectionsOf(0)) > 0, 'load on both');
    first.signal('SIGTERM');
    await until(async () => (await stateOf(0)) === 'DOWN', 'the balancer to see it');
    const { exitCode, err } = await within(first.ended, 'the end of the gateway');
    const atEnd = load.served;
    await until(() => load.served > atEnd + 200, 'load without it');
    await load.stop();
    expect(load.failures).toEqual([]);
    expect({ exitCode, err }).toEqual({ exitCode: 0, err: '' });
  });

  it('one is killed, and only what it had in flight is lost', async () => {
    const { url, start, stateOf, connectionsOf } = await createFleet();
    const [first] = await Promise.all([start(0), start(1)]);
    await until(async () => (await stateOf(0)) === 'UP' && (await stateOf(1)) === 'UP', 'both to be up');
    const load = startLoad(url, { clients: CLIENTS, everyMs: 5 });
    await until(async () => load.served > 200 && (await connectionsOf(0)) > 0, 'load on both');
    first.signal('SIGKILL');
    await until(async () => (await stateOf(0)) === 'DOWN', 'the balancer to see it');
    const { served: atDown } = load;
    await until(() => load.served > atDown + 200, 'load without it');
    await load.stop();
    // A client has one request at a time: more would be some that came after the kill.
    expect(load.failed).toBeLessThanOrEqual(CLIENTS);
  });

  it('one joins, and clients that keep their connections come to it', async () => {
    const { url, start, stateOf, connectionsOf } = await createFleet({ maxConnectionAge: '500ms' });
    await start(0);
    await until(async () => (await stateOf(0)) === 'UP', 'it to be up');
    const load = startLoad(url, { clients: CLIENTS, everyMs: 5 });
    await until(() => load.served > 100, 'load on one');
    await start(1);
    // All clients have connected before; only who was let go meets the new one.
    await until(async () => (await connectionsOf(1)) >= CLIENTS / 2, 'clients on the other');
    await load.stop();
    expect(load.failures).toEqual([]);
  });
});

interface Fleet {
  readonly url: string;
  /** A process of its own. */
  start(gateway: 0 | 1): Promise<Command>;
  /** As HAProxy sees it. */
  stateOf(gateway: 0 | 1): Promise<string>;
  /** Connections that HAProxy ever gave it. */
  connectionsOf(gateway: 0 | 1): Promise<number>;
}

interface Ports {
  readonly port: number;
  readonly admin: number;
}

/** HAProxy, and the places of two gateways behind it. @param limits of their listeners. */
async function createFleet(limits: object = {}): Promise<Fleet> {
  const upstream = await startUpstream('orders', slow(5));
  const places = await Promise.all([0, 1].map(async () => ({ port: await closedPort(), admin: await closedPort() })));
  const { url, row } = await startBalancer(places);
  return {
    url,
    async start(gateway) {
      const command = spawnAya(['start', await configuration(places[gateway]!, upstream, limits)]);
      await ready(command);
      return command;
    },
    stateOf: async (gateway) => (await row(gateway)).get('status')!,
    connectionsOf: async (gateway) => Number((await row(gateway)).get('stot')),
  };
}

function configuration({ port, admin }: Ports, { url }: Upstream, limits: object): Promise<string> {
  return configDirectory({
    'gateway.yaml': {
      listen: [{ host: HOST, port, proxyProtocol: { from: [HOST] }, limits }],
      admin: { port: admin },
      threads: 1,
      accessLog: { enabled: false },
      drain: { delay: '1s', timeout: '5s' },
    },
    'routes.d/orders.yaml': {
      pools: { orders: { endpoints: [url] } },
      routes: [{ name: 'orders', pool: 'orders', retry: false }],
    },
  });
}

async function startBalancer(gateways: readonly Ports[]) {
  const [front, stats] = [await closedPort(), await closedPort()];
  const dir = mkdtempSync(join(tmpdir(), 'aya-haproxy-'));
  writeFileSync(join(dir, 'haproxy.cfg'), haproxyConfig(front, stats, gateways));
  const haproxy = spawn('haproxy', ['-db', '-f', join(dir, 'haproxy.cfg')], { stdio: 'ignore' });
  cleanup(async () => {
    haproxy.kill();
    rmSync(dir, { recursive: true });
  });
  const row = async (gateway: number): Promise<ReadonlyMap<string, string>> => {
    const [names = [], ...rows] = await csv(`http://${HOST}:${stats}/;csv`);
    const found = rows.find((cells) => cells[0] === 'gateways' && cells[1] === `gateway-${gateway}`)!;
    return new Map(names.map((name, at) => [name, found[at] ?? '']));
  };
  await until(() => row(0).catch(() => undefined), 'HAProxy');
  return { url: `http://${HOST}:${front}`, row };
}

async function csv(url: string): Promise<string[][]> {
  const text = await (await fetch(url)).text();
  return text
    .replace(/^# /, '')
    .split('\n')
    .map((line) => line.split(','));
}

/** deploy/haproxy/haproxy.cfg with the times of a test. */
const haproxyConfig = (front: number, stats: number, gateways: readonly Ports[]) => `
defaults
  timeout connect 2s
  timeout client 1h
  timeout server 1h
  retries 3
  option redispatch 1
frontend clients
  mode tcp
  bind ${HOST}:${front}
  default_backend gateways
backend gateways
  mode tcp
  balance leastconn
  option httpchk
  http-check send meth GET uri /readyz ver HTTP/1.1 hdr Host localhost
  http-check expect status 200
${gateways.map(serverLine).join('\n')}
frontend stats
  mode http
  bind ${HOST}:${stats}
  timeout client 30s
  stats enable
  stats uri /
`;

const serverLine = ({ port, admin }: Ports, at: number) =>
  `  server gateway-${at} ${HOST}:${port} send-proxy-v2 check port ${admin} inter 200ms fall 2 rise 1`;
