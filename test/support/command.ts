/** The command as a user has it: a process of its own, with its streams and its exit code. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cleanup } from './cleanup.ts';
import { until, within } from './until.ts';

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

export interface Ended {
  readonly exitCode: number | null;
  readonly out: string;
  readonly err: string;
}

export interface Command {
  readonly child: ChildProcess;
  /** So far. */
  readonly out: string;
  readonly err: string;
  /** Lines of the log so far, parsed. */
  readonly log: readonly Readonly<Record<string, unknown>>[];
  readonly ended: Promise<Ended>;
  signal(name: NodeJS.Signals): void;
}

export interface CommandOptions {
  /** Default: the source. */
  readonly main?: string;
  readonly cwd?: string;
  /** Files and sockets that the process may have open. */
  readonly openFiles?: number;
}

/** Starts `aya …` without waiting for it. */
export function spawnAya(args: readonly string[], { main = MAIN, cwd, openFiles }: CommandOptions = {}): Command {
  const { FORCE_COLOR: _, ...env } = process.env;
  const limit = openFiles === undefined ? '' : `ulimit -n ${openFiles}; `;
  const argv = ['-c', `${limit}exec "$@"`, 'sh', process.execPath, main, ...args];
  const child = spawn('/bin/sh', argv, { env, cwd, stdio: ['ignore', 'pipe', 'pipe'] });
  let out = '';
  let err = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (err += text));
  const ended = once(child, 'close').then(([exitCode]) => ({ exitCode: exitCode as number | null, out, err }));
  cleanup(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  return {
    child,
    get out() {
      return out;
    },
    get err() {
      return err;
    },
    get log() {
      const lines = out.split('\n').slice(0, -1);
      return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    },
    ended,
    signal: (name) => void child.kill(name),
  };
}

/** Runs `aya …` to its end. */
export function aya(...args: readonly string[]): Promise<Ended> {
  return within(spawnAya(args).ended, `the end of aya ${args.join(' ')}`, 30_000);
}

export interface Served {
  /** `http://127.0.0.1:…` */
  readonly url: string;
  readonly adminUrl: string;
}

/** Resolves when the started gateway says that it listens. */
export async function ready(command: Command): Promise<Served> {
  const line = await until(
    () => {
      if (command.child.exitCode !== null) throw new Error(`it ended: ${command.err || command.out}`);
      return command.log.find(({ event }) => event === 'ready');
    },
    'the gateway to listen',
    30_000,
  );
  const [{ port }] = line['listeners'] as [{ port: number }];
  return { url: `http://127.0.0.1:${port}`, adminUrl: line['admin'] as string };
}

/** A directory of configuration that is gone when the test is over. @param files by path, as text or as an object: JSON is YAML. */
export async function configDirectory(files: Readonly<Record<string, string | object>>): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'aya-'));
  cleanup(() => rm(dir, { recursive: true, force: true }));
  for (const [file, content] of Object.entries(files)) {
    await mkdir(dirname(join(dir, file)), { recursive: true });
    await writeFile(join(dir, file), typeof content === 'string' ? content : JSON.stringify(content));
  }
  return dir;
}

/** gateway.yaml for a test: free ports on loopback, no delay at the end. */
export const FREE_PORTS = {
  listen: [{ host: '127.0.0.1', port: 0 }],
  admin: { port: 0 },
  threads: 1,
  drain: { delay: '0ms', timeout: '5s' },
};
