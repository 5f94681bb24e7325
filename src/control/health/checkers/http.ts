/**
 * Healthy means: it answers this request as expected. Each probe has a connection of its own, so that it also tells
 * whether the endpoint still accepts some, and never meets one that the endpoint is just closing. No redirect is
 * followed: a redirect is an answer like any other.
 */
import type { IncomingMessage } from 'node:http';
import https from 'node:https';
import type { ConnectionOptions } from 'node:tls';
import type { ActiveHealthConfig, UpstreamTlsConfig } from '../../../config/schema.ts';
import http from '../../../node-http.ts';
import { poolTls } from '../../../upstream/tls.ts';
import { checkTarget, describeFailure, type CheckResult, type CheckTarget, type HealthChecker } from '../checker.ts';
import { Expectation } from './expectation.ts';

export class HttpChecker implements HealthChecker {
  readonly #check: ActiveHealthConfig;
  readonly #tls: ConnectionOptions;
  readonly #expectation: Expectation;

  constructor(check: ActiveHealthConfig, tls: UpstreamTlsConfig | undefined) {
    this.#check = check;
    this.#tls = tls === undefined ? {} : poolTls(tls);
    this.#expectation = new Expectation(check.expect);
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
      const judge = (answer: IncomingMessage) =>
        void this.#expectation.judge(answer.statusCode!, answer).then(resolve, failed);
      const request = origin.startsWith('https:')
        ? https.request(origin, { ...options, ...this.#tls }, judge)
        : http.request(origin, options, judge);
      request.on('error', failed).end();
    });
  }

  close(): void {
    // Each probe ends its own connection.
  }
}
