/** A real name server for a test: dnsmasq as a process of its own on a free port of loopback, ended by its process id. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { Resolver } from 'node:dns/promises';
import { createSocket } from 'node:dgram';
import { createServer, type AddressInfo } from 'node:net';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cleanup } from './cleanup.ts';
import { until } from './until.ts';

/** Whether there is a dnsmasq to test with. Where not, its tests are skipped, and this says so once per file. */
export const hasDnsmasq = spawnSync('dnsmasq', ['--version']).status === 0;
if (!hasDnsmasq) {
  process.stderr.write('\n*** dnsmasq is not installed: tests against a real name server are SKIPPED ***\n\n');
}

export interface Zone {
  /** Addresses by name. */
  readonly hosts?: Readonly<Record<string, readonly string[]>>;
  /** `name,target,port,priority,weight`. */
  readonly services?: readonly string[];
}

export interface NameServer {
  /** `127.0.0.1:5353` */
  readonly address: string;
  /** Other records from now on; the process is another where services change. */
  serve(zone: Zone): Promise<void>;
  kill(): Promise<void>;
}

/** @param ttl of every answer, in seconds. Names below `internal` that it does not know do not exist. */
export async function nameServer(zone: Zone, ttl = 0): Promise<NameServer> {
  const dir = await mkdtemp(join(tmpdir(), 'aya-dnsmasq-'));
  const hosts = join(dir, 'hosts');
  let port = await freePort();
  let child: ChildProcess | undefined;
  let services: readonly string[] = [];
  /** Nobody knows the port yet. */
  let isFirst = true;

  const kill = async () => {
    if (child === undefined) return;
    const ended = child.exitCode === null && child.signalCode === null ? once(child, 'exit') : undefined;
    child.kill('SIGKILL');
    await ended;
    child = undefined;
  };
  const start = async () => {
    await attempt();
    // Between the look and the start somebody else may have taken the port: dnsmasq then ends at once.
    for (let tries = 0; isFirst && child!.exitCode !== null && tries < 5; tries++) {
      port = await freePort();
      await attempt();
    }
    isFirst = false;
    if (child!.exitCode !== null) throw new Error(`dnsmasq ended with ${child!.exitCode}`);
  };
  /** Until it answers, or has ended. */
  const attempt = async () => {
    const place = ['--port', `${port}`, '--listen-address=127.0.0.1', '--bind-interfaces', '--conf-file=/dev/null'];
    const own = ['--no-hosts', '--no-resolv', '--local=/internal/', `--addn-hosts=${hosts}`, `--local-ttl=${ttl}`];
    const records = services.map((service) => `--srv-host=${service}`);
    child = spawn('dnsmasq', ['--keep-in-foreground', '--user=', '--pid-file=', ...place, ...own, ...records], {
      stdio: 'ignore',
    });
    const resolver = new Resolver({ timeout: 200, tries: 1 });
    resolver.setServers([`127.0.0.1:${port}`]);
    const isAnswer = (error: NodeJS.ErrnoException) => error.code === 'ENOTFOUND' || error.code === 'ENODATA';
    const started = child;
    await until(
      async () => started.exitCode !== null || resolver.resolve4('nobody.internal').then(() => true, isAnswer),
      'dnsmasq to answer',
    );
  };
  const serve = async (next: Zone) => {
    await writeFile(hosts, hostsFile(next));
    const before = services;
    services = next.services ?? [];
    if (child !== undefined && before.join() === services.join()) return void child.kill('SIGHUP');
    await kill();
    await start();
  };
  cleanup(async () => {
    await kill();
    await rm(dir, { recursive: true });
  });
  await serve(zone);
  return { address: `127.0.0.1:${port}`, serve, kill };
}

function hostsFile({ hosts = {} }: Zone): string {
  const lines = Object.entries(hosts).flatMap(([name, addresses]) => addresses.map((address) => `${address} ${name}`));
  return `${lines.join('\n')}\n`;
}

/** For both TCP and UDP, of which dnsmasq takes the same. */
async function freePort(): Promise<number> {
  for (;;) {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const socket = createSocket('udp4').bind(port, '127.0.0.1');
    const isFree = await once(socket, 'listening').then(
      () => true,
      () => false,
    );
    socket.close();
    server.close();
    await Promise.all([once(server, 'close'), once(socket, 'close')]);
    if (isFree) return port;
  }
}
