/**
 * Healthy means: it answers this request as expected. Each probe has a connection of its own, so that it also tells
 * whether the endpoint still accepts some, and never meets one that the endpoint is just closing. No redirect is
 * followed: a redirect is an answer like any other.
 */
import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import { RE2JS } from 're2js';
import type { buildConnector } from 'undici';
import { Agent, type Dispatcher } from 'undici';
import type { ActiveHealthConfig, UpstreamTlsConfig } from '../../../config/schema.ts';
import { checkTarget, describeFailure, type CheckResult, type CheckTarget, type HealthChecker } from '../checker.ts';

const MAX_BODY_BYTES = 64 * 1024;

type BodyTest = (body: string) => boolean;

export class HttpChecker implements HealthChecker {
  readonly #check: ActiveHealthConfig;
  readonly #serverName: string | undefined;
  readonly #agent: Agent;
  readonly #bodyTest: BodyTest | undefined;

  constructor(check: ActiveHealthConfig, tls: UpstreamTlsConfig | undefined) {
    this.#check = check;
    this.#serverName = tls?.serverName;
    // The probe's own timeout is the one that counts; these only end what it can no longer reach.
    const backstopMs = check.timeout + 1_000;
    this.#agent = new Agent({
      connect: { ...connectOptions(tls), timeout: backstopMs },
      allowH2: false,
      headersTimeout: backstopMs,
      bodyTimeout: backstopMs,
    });
    this.#bodyTest = check.expect.body === undefined ? undefined : bodyTest(check.expect.body);
  }

  async check(target: CheckTarget, signal: AbortSignal): Promise<CheckResult> {
    try {
      const answer = await this.#agent.request({
        origin: checkTarget(target.url, this.#check.port).url,
        path: this.#check.path,
        method: this.#check.method as Dispatcher.HttpMethod,
        headers: { 'user-agent': 'aya-health', ...this.#check.headers },
        ...(this.#serverName === undefined ? {} : { servername: this.#serverName }),
        reset: true,
        signal,
      });
      return await this.#judge(answer);
    } catch (error) {
      return { ok: false, reason: describeFailure(error) };
    }
  }

  close(): void {
    void this.#agent.destroy();
  }

  async #judge({ statusCode, body }: Dispatcher.ResponseData): Promise<CheckResult> {
    const reason = `status ${statusCode}`;
    const expected = this.#check.expect.status.some(([first, last]) => statusCode >= first && statusCode <= last);
    if (!expected || this.#bodyTest === undefined) {
      // A body that nobody wants ends with its connection.
      body.on('error', () => {}).destroy();
      return { ok: expected, reason };
    }
    return this.#bodyTest(await readStart(body))
      ? { ok: true, reason }
      : { ok: false, reason: `${reason}, unexpected body` };
  }
}

function bodyTest(expected: string | { regex: string }): BodyTest {
  if (typeof expected === 'string') return (body) => body.includes(expected);
  const pattern = RE2JS.compile(expected.regex);
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

/** The certificates are read and parsed once, not for every probe. */
function connectOptions(tls: UpstreamTlsConfig | undefined): buildConnector.BuildOptions {
  if (tls === undefined) return {};
  const file = (path: string | undefined) => (path === undefined ? undefined : readFileSync(path));
  return {
    secureContext: createSecureContext({ ca: file(tls.ca), cert: file(tls.cert), key: file(tls.key) }),
    rejectUnauthorized: tls.verify,
  };
}
