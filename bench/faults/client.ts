/**
 * A client that keeps its rate: `node client.ts URL PER_SECOND SECONDS SKIPPED` sends each request when it is due, whether or
 * not the ones before it are answered, and times it from when it was due. So a stall is felt by all who would have come during
 * it, as with real clients (no coordinated omission). One request in five is a POST. Those of the first SKIPPED seconds do not
 * count. Prints a report as one line of JSON.
 */
import { Agent, request as send } from 'node:http';
import { ANSWER } from '../answer.ts';

const [url = '', perSecond = '100', seconds = '10', skipped = '0'] = process.argv.slice(2);
const POST_EACH = 5;
const PATIENCE_MS = 5_000;
const TICK_MS = 2;
const BODY = '{"order":7}';

class Tally {
  requests = 0;
  readonly #rightMs: number[] = [];
  readonly #reasons: Record<string, number> = {};

  right(ms: number): void {
    this.#rightMs.push(ms);
  }

  wrong(reason: string): void {
    this.#reasons[reason] = (this.#reasons[reason] ?? 0) + 1;
  }

  report() {
    const times = this.#rightMs.sort((a, b) => a - b);
    const percentile = (share: number) => times[Math.ceil(times.length * share) - 1] ?? null;
    const errors = this.requests - times.length;
    const { requests } = this;
    return {
      requests,
      errors,
      p50Ms: percentile(0.5),
      p99Ms: percentile(0.99),
      maxMs: percentile(1),
      reasons: this.#reasons,
    };
  }
}

const agent = new Agent({ keepAlive: true, scheduling: 'lifo' });
const tallies = { GET: new Tally(), POST: new Tally() };
const periodMs = 1000 / Number(perSecond);
const begun = performance.now();
const count = Math.round(Number(seconds) * Number(perSecond));
const counted = Number(skipped) * Number(perSecond);
const pending: Promise<void>[] = [];

await new Promise<void>((resolve) => {
  const tick = setInterval(() => {
    for (; pending.length < count;) {
      const dueAt = begun + pending.length * periodMs;
      if (dueAt > performance.now()) return;
      pending.push(ask(pending.length, dueAt));
    }
    clearInterval(tick);
    resolve();
  }, TICK_MS);
});
await Promise.all(pending);
console.log(JSON.stringify({ get: tallies.GET.report(), post: tallies.POST.report() }));
process.exit();

async function ask(at: number, dueAt: number): Promise<void> {
  const method = at % POST_EACH === 0 ? 'POST' : 'GET';
  const tally = at < counted ? new Tally() : tallies[method];
  tally.requests += 1;
  try {
    const status = await exchange(method);
    if (status === 200) tally.right(performance.now() - dueAt);
    else tally.wrong(String(status));
  } catch (error) {
    tally.wrong((error as NodeJS.ErrnoException).code ?? (error as Error).message);
  }
}

/** Rejects also when the answer is not whole, or another. */
function exchange(method: 'GET' | 'POST'): Promise<number> {
  return new Promise((resolve, reject) => {
    const outgoing = send(
      url,
      { method, agent, timeout: PATIENCE_MS, headers: { 'x-client': 'faults' } },
      (response) => {
        let body = '';
        response.setEncoding('latin1').on('data', (text: string) => (body += text));
        response.on('error', reject).on('end', () => {
          if (response.statusCode === 200 && body !== ANSWER) reject(new Error('another answer'));
          else resolve(response.statusCode ?? 0);
        });
      },
    );
    outgoing.on('timeout', () => outgoing.destroy(new Error('no answer'))).on('error', reject);
    outgoing.end(method === 'POST' ? BODY : undefined);
  });
}
