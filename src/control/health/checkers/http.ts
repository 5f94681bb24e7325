/**
 * Healthy means: it answers this request as expected. Each probe has a connection of its own, so that it also tells
 * whether the endpoint still accepts some, and never meets one that the endpoint is just closing. No redirect is
 * followed: a redirect is an answer like any other.
 */
import type { IncomingMessage } from 'node:http';
import https from 'node:https';
import type { ConnectionOptions } from 'node:tls';
import type { ActiveHealthConfig, UpstreamTlsConfig } from '../../../config/schema.ts';
import { compileRegex } from '../../../data/match/regex.ts';
import http from '../../../node-http.ts';
import { poolTls } from '../../../upstream/tls.ts';
import { checkTarget, describeFailure, type CheckResult, type CheckTarget, type HealthChecker } from '../checker.ts';

const MAX_BODY_BYTES = 64 * 1024;

type BodyTest = (body: string) => boolean;

export class HttpChecker implements HealthChecker {
  readonly #check: ActiveHealthConfig;
  readonly #tls: ConnectionOptions;
  readonly #bodyTest: BodyTest | undefined;

  constructor(check: ActiveHealthConfig, tls: UpstreamTlsConfig | undefined) {
    this.#check = check;
    this.#tls = tls === undefined ? {} : poolTls(tls);
    this.#bodyTest = check.expect.body === undefined ? undefined : bodyTest(check.expect.body);
  }

  check(target: CheckTarget, signal: AbortSignal): Promise<CheckResult> {
    const { path, method, headers, port } = this.#check;
    const origin = checkTarget(target.url, port).url;
    const options = {
      path,
      method,
      headers: { 'user-agent': 'aya-health', ...headers },
      agent: false,
      signal,
    } as const;
    return new Promise((resolve) => {
      const failed = (error: unknown) => resolve({ ok: false, reason: describeFailure(error) });
      const judge = (answer: IncomingMessage) => void this.#judge(answer).then(resolve, failed);
      const request = origin.startsWith('https:')
        ? https.request(origin, { ...options, ...this.#tls }, judge)
        : http.request(origin, options, judge);
      request.on('error', failed).end();
    });
  }

  close(): void {
    // Each probe ends its own connection.
  }

  async #judge(answer: IncomingMessage): Promise<CheckResult> {
    const status = answer.statusCode!;
    const reason = `status ${status}`;
    const expected = this.#check.expect.status.some(([first, last]) => status >= first && status <= last);
    if (!expected || this.#bodyTest === undefined) {
      // A body that nobody wants ends with its connection.
      answer.on('error', () => {}).destroy();
      return { ok: expected, reason };
    }
    return this.#bodyTest(await readStart(answer))
      ? { ok: true, reason }
      : { ok: false, reason: `${reason}, unexpected body` };
  }
}

function bodyTest(expected: string | { regex: string }): BodyTest {
  if (typeof expected === 'string') return (body) => body.includes(expected);
  const pattern = compileRegex(expected.regex);
  return (body) => pattern.matcher(body).find();
}

/** The first 64 KiB, as text. Leaving the loop destroys the rest. */
async function readStart(body: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of body) {
    chunks.push(chunk);
    length += chunk.length;
    if (length >= MAX_BODY_BYTES) break;
  }
  return Buffer.concat(chunks).subarray(0, MAX_BODY_BYTES).toString();
}
