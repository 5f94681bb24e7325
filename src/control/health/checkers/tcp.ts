/** Healthy means: it accepts a connection. Nothing is sent, the connection is closed at once. */
import { connect } from 'node:net';
import type { ActiveHealthConfig } from '../../../config/schema.ts';
import { checkTarget, describeFailure, type CheckResult, type CheckTarget, type HealthChecker } from '../checker.ts';

export class TcpChecker implements HealthChecker {
  readonly #check: ActiveHealthConfig;

  constructor(check: ActiveHealthConfig) {
    this.#check = check;
  }

  check(target: CheckTarget, signal: AbortSignal): Promise<CheckResult> {
    const { hostname, port, protocol } = new URL(checkTarget(target.url, this.#check.port).url);
    const host = hostname.replace(/^\[|\]$/g, '');
    return new Promise((resolve) => {
      const socket = connect({ host, port: Number(port) || (protocol === 'https:' ? 443 : 80), signal });
      const finish = (result: CheckResult): void => {
        socket.destroy();
        resolve(result);
      };
      socket.once('connect', () => finish({ ok: true, reason: 'connected' }));
      socket.on('error', (error) => finish({ ok: false, reason: describeFailure(error) }));
    });
  }

  close(): void {
    // Every connection ends with its check.
  }
}
