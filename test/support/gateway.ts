/**
 * The real gateway in a test: a directory of configuration files, the control plane in this process, data threads of
 * its own, free ports on loopback. What it logs is kept, what it opened is closed when the test ends.
 */
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { beforeAll } from 'vitest';
import type { Clock } from '../../src/clock.ts';
import { startGateway, type ExitSummary } from '../../src/control/gateway.ts';
import { spawnWorker, type SpawnThread, type ThreadLine } from '../../src/control/thread-line.ts';
import { cleanup } from './cleanup.ts';

export type FileContent = string | object;

export interface GatewayFixtureOptions {
  /** gateway.yaml, over what the fixture needs: one listener and the admin server on free ports, one thread, no drain delay. */
  readonly gateway?: object;
  /** Files of routes.d by name, as text or as an object: JSON is YAML. */
  readonly files: Readonly<Record<string, FileContent>>;
  /** Of the control plane. */
  readonly clock?: Clock;
  /** The test kills threads itself. Otherwise one that dies fails the test, whatever it was about. */
  readonly crashes?: boolean;
}

export interface GatewayFixture {
  readonly port: number;
  /** Of each listener. */
  readonly ports: readonly number[];
  readonly url: string;
  readonly adminUrl: string;
  readonly dir: string;
  /** Lines of the control plane’s log, parsed. */
  readonly logs: readonly LogLine[];
  /** Replaces one file of routes.d (or `../gateway.yaml`); nothing is reloaded yet. */
  write(file: string, content: FileContent): Promise<void>;
  remove(file: string): Promise<void>;
  /** Asks the admin server to reload; its answer. */
  reload(): Promise<{ status: number; body: string }>;
  /** Asks the admin server. */
  admin(path: string): Promise<{ status: number; body: string }>;
  /** As SIGTERM: drains, then closes. Resolves when nothing is left. */
  close(): Promise<ExitSummary>;
  /** Every data thread that was ever started, the latest last: `threads[0].terminate()` is its crash. */
  readonly threads: readonly ThreadLine[];
}

export type LogLine = Readonly<Record<string, unknown>> & { readonly level: number; readonly msg: string };

export async function gatewayFixture({
  gateway = {},
  files,
  clock,
  crashes = false,
}: GatewayFixtureOptions): Promise<GatewayFixture> {
  const dir = await mkdtemp(join(tmpdir(), 'aya-'));
  const write = async (file: string, content: FileContent) => {
    const path = join(dir, 'routes.d', file);
    await mkdir(dirname(path), { recursive: true });
    // In one step, as every tool that deploys does: half a file is a file too.
    const whole = join(dir, 'being-written');
    await writeFile(whole, typeof content === 'string' ? content : JSON.stringify(content, null, 2));
    await rename(whole, path);
  };
  await write('../gateway.yaml', { ...NEEDED, ...gateway });
  for (const [file, content] of Object.entries(files)) await write(file, content);

  const logs: LogLine[] = [];
  const threads: ThreadLine[] = [];
  const deaths: Error[] = [];
  const spawn: SpawnThread = (data) => {
    const thread = spawnWorker(data);
    threads.push(thread);
    // Whoever ends a thread from outside gives it an exit code, and no error of its own.
    thread.onExit((cause) => {
      if (!cause.message.startsWith('exit code')) deaths.push(cause);
    });
    return thread;
  };
  const running = await startGateway({
    dir,
    log: (line) => void logs.push(JSON.parse(line) as LogLine),
    spawn,
    ...(clock && { clock }),
  });
  let closed: Promise<ExitSummary> | undefined;
  const close = () => (closed ??= running.close());
  cleanup(async () => {
    await close();
    await rm(dir, { recursive: true, force: true });
    if (deaths.length > 0 && !crashes) throw new Error('a data thread died', { cause: deaths[0] });
  });

  const port = running.ports[0]!;
  const adminUrl = `http://127.0.0.1:${running.adminPort}`;
  const admin = async (path: string, method = 'GET') => {
    const response = await fetch(adminUrl + path, { method });
    return { status: response.status, body: await response.text() };
  };
  return {
    port,
    ports: running.ports,
    url: `http://127.0.0.1:${port}`,
    adminUrl,
    dir,
    logs,
    write,
    remove: (file) => rm(join(dir, 'routes.d', file)),
    reload: () => admin('/reload', 'POST'),
    admin,
    close,
    threads,
  };
}

/**
 * One gateway for the tests of a file, called where the file begins. Each test gives it the files it serves from then on:
 * a reload costs a twentieth of a start. What is remembered by name, as a budget is, is remembered from test to test.
 */
export function reloadedGateway(
  options: Omit<GatewayFixtureOptions, 'files'> = {},
): (files: GatewayFixtureOptions['files']) => Promise<GatewayFixture> {
  let gateway: GatewayFixture;
  let served: readonly string[] = [];
  beforeAll(async () => {
    gateway = await gatewayFixture({ ...options, files: {} });
  });
  return async (files) => {
    for (const file of served) if (!(file in files)) await gateway.remove(file);
    for (const [file, content] of Object.entries(files)) await gateway.write(file, content);
    served = Object.keys(files);
    const { status, body } = await gateway.reload();
    if (status !== 200) throw new Error(`the files are refused: ${body}`);
    return gateway;
  };
}

const NEEDED = {
  listen: [{ host: '127.0.0.1', port: 0 }],
  threads: 1,
  accessLog: { enabled: false },
  admin: { host: '127.0.0.1', port: 0 },
  drain: { delay: '0ms', timeout: '5s' },
};
