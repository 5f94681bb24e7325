/** As http.ts, of an endpoint that is spoken to in HTTP/2: one session for each probe. */
import http2 from 'node:http2';
import type { ConnectionOptions } from 'node:tls';
import type { ActiveHealthConfig, UpstreamTlsConfig } from '../../../config/schema.ts';
import { poolTls } from '../../../upstream/tls.ts';
import { checkTarget, describeFailure, type CheckResult, type CheckTarget, type HealthChecker } from '../checker.ts';
import { Expectation } from './expectation.ts';

export class Http2Checker implements HealthChecker {
  readonly #check: ActiveHealthConfig;
  readonly #tls: ConnectionOptions;
  readonly #expectation: Expectation;

  constructor(check: ActiveHealthConfig, tls: UpstreamTlsConfig | undefined) {
    this.#check = check;
    this.#tls = tls === undefined ? {} : poolTls(tls);
    this.#expectation = new Expectation(check.expect);
  }

  async check(target: CheckTarget, signal: AbortSignal): Promise<CheckResult> {
    const session = http2.connect(checkTarget(target.url, this.#check.port).url, {
      ...this.#tls,
      settings: { enablePush: false },
    });
    const abort = () => session.destroy();
    signal.addEventListener('abort', abort, { once: true });
    try {
      return await this.#ask(session);
    } catch (error) {
      return { ok: false, reason: describeFailure(error) };
    } finally {
      signal.removeEventListener('abort', abort);
      session.destroy();
    }
  }

  close(): void {
    // Each probe ends its own session.
  }

  #ask(session: http2.ClientHttp2Session): Promise<CheckResult> {
    return new Promise((resolve) => {
      const failed = (error: unknown) => resolve({ ok: false, reason: describeFailure(error) });
      session.on('error', failed);
      const stream = session.request(this.#fields(), { endStream: true });
      // One that its session took with it says little; the reason is the session's.
      stream.on('error', (error: Error) => failed(error.cause ?? error));
      const closed = () => failed(new Error('socket hang up'));
      stream.on('close', closed);
      stream.on('response', ({ ':status': status }) => {
        // From here on it says by itself how it ends.
        stream.off('close', closed);
        this.#expectation.judge(Number(status), stream).then(resolve, failed);
      });
    });
  }

  /** A configured `host` is the authority. */
  #fields(): http2.OutgoingHttpHeaders {
    const { path, method, headers } = this.#check;
    const fields: http2.OutgoingHttpHeaders = { ':method': method, ':path': path, 'user-agent': 'aya-health' };
    for (const [name, value] of Object.entries(headers)) {
      const lowerName = name.toLowerCase();
      fields[lowerName === 'host' ? ':authority' : lowerName] = value;
    }
    return fields;
  }
}
