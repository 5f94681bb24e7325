/**
 * What a health checker is: one question to one endpoint, answered once. How often, and what follows from the answers, is
 * the probe's business. A kind of check is one file in checkers/.
 */
import type { ActiveHealthConfig, UpstreamTlsConfig } from '../../config/schema.ts';
import { GrpcChecker } from './checkers/grpc.ts';
import { HttpChecker } from './checkers/http.ts';
import { Http2Checker } from './checkers/http2.ts';
import { TcpChecker } from './checkers/tcp.ts';

export interface CheckTarget {
  /** Origin to probe, without a trailing slash. */
  readonly url: string;
}

export interface CheckResult {
  readonly ok: boolean;
  /** What the endpoint did, in a few words: `status 503`, `connection refused`. */
  readonly reason: string;
}

export interface HealthChecker {
  /** Never rejects. When `signal` aborts, the answer no longer matters and all that the check holds is let go. */
  check(target: CheckTarget, signal: AbortSignal): Promise<CheckResult>;
  close(): void;
}

/** @param http2 whether the pool's endpoints are spoken to in HTTP/2. */
export type CreateChecker = (
  check: ActiveHealthConfig,
  tls: UpstreamTlsConfig | undefined,
  http2?: boolean,
) => HealthChecker;

/** Never throws: a check that cannot be made, for want of a certificate file, say, fails each time and says why. */
export const createChecker: CreateChecker = (check, tls, http2) => {
  try {
    if (check.grpc !== undefined) return new GrpcChecker(check, tls);
    if (check.tcp) return new TcpChecker(check);
    return http2 ? new Http2Checker(check, tls) : new HttpChecker(check, tls);
  } catch (error) {
    const result = { ok: false, reason: `check cannot be made: ${describeFailure(error)}` };
    return { check: async () => result, close: () => {} };
  }
};

const KNOWN: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset',
  EHOSTUNREACH: 'host unreachable',
  ENETUNREACH: 'network unreachable',
  ENOTFOUND: 'name not found',
  EAI_AGAIN: 'name not resolved',
  ETIMEDOUT: 'connection timeout',
  HPE_HEADER_OVERFLOW: 'answer with too large a head',
  ERR_HTTP2_ERROR: 'answer is not HTTP/2',
  ERR_HTTP2_SESSION_ERROR: 'answer is not HTTP/2',
  ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL: 'no agreement to HTTP/2',
  CERT_HAS_EXPIRED: 'certificate expired',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'certificate not trusted',
  SELF_SIGNED_CERT_IN_CHAIN: 'certificate not trusted',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'certificate not trusted',
  ERR_TLS_CERT_ALTNAME_INVALID: 'certificate for another name',
};

/** A failure in the words of an operator. */
export function describeFailure(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code = '' } = error as NodeJS.ErrnoException;
  if (error.message === 'socket hang up') return 'connection closed early';
  if (code.startsWith('HPE_') && KNOWN[code] === undefined) return 'answer is not HTTP';
  return KNOWN[code] ?? (error.message || code || error.name);
}

/** The origin to probe: the endpoint's own, or another port of the same host. */
export function checkTarget(url: string, port: number | undefined): CheckTarget {
  if (port === undefined) return { url };
  const target = new URL(url);
  target.port = String(port);
  return { url: target.origin };
}
