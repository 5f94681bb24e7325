/**
 * A client that believes nothing: kept-alive connections, each asking again as soon as its answer was read and compared
 * with the first one. `node client.ts URL CONNECTIONS SECONDS PAUSE_MS HEADERS` prints a report as one line of JSON.
 */
import { Agent, get, type IncomingMessage } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';

const [url = '', connections = '1', seconds = '1', pauseMs = '0', fields = '{}'] = process.argv.slice(2);
const headers = JSON.parse(fields) as Record<string, string>;
const SLOWEST_ANSWER_MS = 5_000;

const agent = new Agent({ keepAlive: true, maxSockets: Number(connections) });
const latenciesMs: number[] = [];
const reasons: Record<string, number> = {};
const revisions = new Set<string>();
let expected: string | undefined;

const begun = performance.now();
const end = begun + Number(seconds) * 1000;
await Promise.all(Array.from({ length: Number(connections) }, ask));
report((performance.now() - begun) / 1000);
agent.destroy();

async function ask(): Promise<void> {
  while (performance.now() < end) {
    const sent = performance.now();
    try {
      const { response, body } = await exchange();
      expected ??= body;
      if (response.statusCode !== 200) fail(`status ${response.statusCode}`);
      else if (body !== expected) fail('another body');
      const revision = response.headers['x-revision'];
      if (typeof revision === 'string') revisions.add(revision);
    } catch (error) {
      fail((error as NodeJS.ErrnoException).code ?? String(error));
    }
    latenciesMs.push(performance.now() - sent);
    if (Number(pauseMs) > 0) await pause(Number(pauseMs));
  }
}

function exchange(): Promise<{ response: IncomingMessage; body: string }> {
  return new Promise((resolve, reject) => {
    const request = get(url, { agent, headers, timeout: SLOWEST_ANSWER_MS }, (response) => {
      let body = '';
      response.setEncoding('latin1').on('data', (text: string) => (body += text));
      response.on('end', () => resolve({ response, body })).on('error', reject);
    });
    request.on('timeout', () => request.destroy(new Error('no answer'))).on('error', reject);
  });
}

function fail(reason: string): void {
  reasons[reason] = (reasons[reason] ?? 0) + 1;
}

function report(lasted: number): void {
  latenciesMs.sort((a, b) => a - b);
  const percentile = (share: number) => latenciesMs[Math.ceil(latenciesMs.length * share) - 1] ?? 0;
  const failures = Object.values(reasons).reduce((sum, count) => sum + count, 0);
  const times = { p50Ms: percentile(0.5), p99Ms: percentile(0.99), maxMs: percentile(1) };
  const requests = latenciesMs.length;
  console.log(JSON.stringify({ requests, failures, seconds: lasted, ...times, reasons, revisions: revisions.size }));
}
