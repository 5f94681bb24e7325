/** Load over HTTP/2: h2load, beside the origin like the other generators. Without TLS it takes HTTP/2 for granted. */
import { createReadStream } from 'node:fs';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Fields } from './ask.ts';
import { generate, type Report } from './load.ts';
import { versionOf } from './process.ts';

export const HTTP2_CONNECTIONS = 16;
export const STREAMS = 32;

export interface Http2Load {
  readonly url: string;
  /** Whole seconds. */
  readonly seconds: number;
  readonly headers?: Fields;
  /** Makes each request a POST. */
  readonly body?: Buffer | undefined;
}

const version = versionOf('h2load', '--version');
export const http2Generator = version === undefined ? 'h2load is not installed' : `h2load ${version}`;

/** h2load names no percentiles; its log has each answer. */
export async function loadHttp2({ url, seconds, headers = {}, body }: Http2Load): Promise<Report> {
  if (version === undefined) throw new Error(http2Generator);
  const dir = mkdtempSync(join(tmpdir(), 'aya-h2load-'));
  try {
    const log = join(dir, 'answers');
    const message = join(dir, 'body');
    if (body !== undefined) writeFileSync(message, body);
    const fields = Object.entries(headers).flatMap(([name, value]) => ['-H', `${name}: ${value}`]);
    const data = body === undefined ? [] : ['-d', message];
    const shape = ['-t1', `-c${HTTP2_CONNECTIONS}`, `-m${STREAMS}`, `-D${seconds}`, `--log-file=${log}`];
    const said = await generate(['h2load', ...shape, ...data, ...fields, url], seconds);
    const { requests, failures } = countsOf(said);
    return { requests, failures, seconds, ...(await timesOf(log)) };
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

function countsOf(said: string): Pick<Report, 'requests' | 'failures'> {
  const [, total, failed] = /^requests: (\d+) total,.* (\d+) failed/m.exec(said) ?? [];
  const [, right] = /^status codes: (\d+) 2xx/m.exec(said) ?? [];
  if (total === undefined || Number(total) === 0) throw new Error(`h2load reported nothing: ${said.slice(-500)}`);
  return { requests: Number(total), failures: Math.max(Number(failed), Number(total) - Number(right)) };
}

/** A line for each answer: when it was asked for, its status, the µs that it took. */
async function timesOf(log: string): Promise<Pick<Report, 'p50Ms' | 'p99Ms' | 'maxMs'>> {
  const us: number[] = [];
  for await (const line of createInterface(createReadStream(log))) us.push(Number(line.split('\t')[2]));
  us.sort((a, b) => a - b);
  const percentile = (share: number) => (us[Math.ceil(us.length * share) - 1] ?? NaN) / 1000;
  return { p50Ms: percentile(0.5), p99Ms: percentile(0.99), maxMs: percentile(1) };
}
