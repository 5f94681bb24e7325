/** A real Redis for a test: a process of its own on a free port of loopback, without a file, ended by its process id. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type AddressInfo, connect } from 'node:net';
import type { RedisOptions } from '../../src/store/options.ts';
import { cleanup } from './cleanup.ts';
import { until, within } from './until.ts';

/** Whether there is a redis-server to test with. Where not, its tests are skipped, and this says so once per file. */
export const hasRedis = spawnSync('redis-server', ['--version']).status === 0;
if (!hasRedis) {
  process.stderr.write('\n*** redis-server is not installed: tests against a real Redis are SKIPPED ***\n\n');
}

export interface RedisServer {
  readonly port: number;
  readonly url: string;
  /** One command as redis-cli would send it, on a connection of its own; the raw reply. */
  command(...words: string[]): Promise<string>;
  /** Ends the process at once. */
  kill(): Promise<void>;
  /** A new one on the same port, empty. */
  start(): Promise<void>;
  /** It keeps its sockets and answers nothing, until `resume`. */
  pause(): void;
  resume(): void;
}

export async function redisServer(...args: readonly string[]): Promise<RedisServer> {
  const port = await freePort();
  let child: ChildProcess | undefined;
  const start = async () => {
    const settings = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', ...args];
    child = spawn('redis-server', settings, { stdio: 'ignore' });
    await until(() => command('PING').catch(() => undefined), 'redis-server to answer');
  };
  const kill = async () => {
    if (child === undefined) return;
    const ended = child.exitCode === null && child.signalCode === null ? once(child, 'exit') : undefined;
    child.kill('SIGKILL');
    await ended;
    child = undefined;
  };
  const command = (...words: string[]) => ask(port, words);
  cleanup(kill);
  await start();
  return {
    port,
    url: `redis://127.0.0.1:${port}`,
    command,
    kill,
    start,
    pause: () => void child!.kill('SIGSTOP'),
    resume: () => void child!.kill('SIGCONT'),
  };
}

export function redisOptions(port: number, changes: Partial<RedisOptions> = {}): RedisOptions {
  const where = { host: '127.0.0.1', port, tls: false, db: 0 };
  return { ...where, keyPrefix: 'test:', timeoutMs: 2_000, onFailure: 'local', ...changes };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

async function ask(port: number, words: readonly string[]): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  try {
    const line = words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join('');
    socket.write(`*${words.length}\r\n${line}`);
    const [reply] = (await within(once(socket, 'data'), `the reply to ${words[0]}`)) as [Buffer];
    return reply.toString();
  } finally {
    socket.destroy();
  }
}
