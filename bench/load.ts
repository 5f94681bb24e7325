/**
 * Load: wrk where it is installed, else the bench's own client (peers/client.ts). That one is slower, so that a proxy finds
 * fewer requests waiting each time it wakes and each costs it more: compare figures of one generator only. Both run
 * beside the origin, never on the proxy's processor, and never longer than they were asked to.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { LOAD_CORE, pinned, versionOf, type Command } from './process.ts';

export const CONNECTIONS = 64;

export interface Load {
  readonly url: string;
  /** Whole seconds: wrk knows no others. */
  readonly seconds: number;
  readonly connections?: number;
  /** Sent with each request. */
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Report {
  readonly requests: number;
  /** Answers other than 2xx, and connections that failed. */
  readonly failures: number;
  readonly seconds: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

/** What the client of our own adds, for it reads every answer. */
export interface VerifiedReport extends Report {
  /** The reasons of the failures, each with its count. */
  readonly reasons: Readonly<Record<string, number>>;
  /** How many different `x-revision` fields the answers carried. */
  readonly revisions: number;
}

const here = (file: string) => fileURLToPath(new URL(file, import.meta.url));
const wrkVersion = versionOf('wrk', '-v');

export const generator =
  wrkVersion === undefined ? 'the bench’s own client (wrk is not installed)' : `wrk ${wrkVersion}`;

export async function load({ url, seconds, connections = CONNECTIONS, headers = {} }: Load): Promise<Report> {
  if (wrkVersion === undefined) return verify({ url, seconds, connections, headers });
  const fields = Object.entries(headers).flatMap(([name, value]) => ['-H', `${name}: ${value}`]);
  const script = here('wrk-report.lua');
  const argv: Command['argv'] = ['wrk', '-t1', `-c${connections}`, `-d${seconds}s`, ...fields, '-s', script, url];
  return lastLineOf<Report>(argv, seconds);
}

/** Checks each answer whole. @param pauseMs between two requests of one connection: 0 is as fast as it can. */
export async function verify(load: Load & { pauseMs?: number }) {
  const { url, seconds, connections = CONNECTIONS, pauseMs = 0, headers = {} } = load;
  const client = here('peers/client.ts');
  const words = [url, connections, seconds, pauseMs, JSON.stringify(headers)].map(String);
  const argv: Command['argv'] = [process.execPath, client, ...words];
  return lastLineOf<VerifiedReport>(argv, seconds);
}

/** The generator's last line is its report, as JSON. */
export async function lastLineOf<Result>(argv: Command['argv'], seconds: number): Promise<Result> {
  const said = await generate(argv, seconds);
  const report = said.trim().split('\n').at(-1) ?? '';
  if (!report.startsWith('{')) throw new Error(`${argv[0]} reported nothing: ${said}`);
  return JSON.parse(report) as Result;
}

/** @returns what the generator said. */
export async function generate(argv: Command['argv'], seconds: number): Promise<string> {
  const [file, ...args] = pinned(argv, LOAD_CORE);
  const generator = spawn(file, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const overdue = setTimeout(() => generator.kill('SIGKILL'), seconds * 1000 + 10_000);
  let said = '';
  generator.stdout.setEncoding('utf8').on('data', (text: string) => (said += text));
  await once(generator, 'close');
  clearTimeout(overdue);
  return said;
}
