/**
 * The catalogue of everything the gateway itself can answer: one class, RFC 9209 names, one status each, and whether
 * the same request may be tried again. What a client sees is made from this by data/problem.ts and holds nothing
 * internal; `message` and `cause` are for the log.
 */

/** `always`: nothing was sent. `idempotent`: it may have been processed (RFC 9110 §9.2.2). */
export type RetryClass = 'always' | 'idempotent' | 'never';

interface CatalogueEntry {
  readonly status: number;
  readonly retry: RetryClass;
  /** What the client reads as the problem's title (RFC 9457 §3.1.3). */
  readonly title: string;
}

/** RFC 9209 §2.3: proxy error types. */
export const CATALOGUE = {
  dns_error: { status: 502, retry: 'always', title: 'The upstream could not be resolved' },
  connection_refused: { status: 502, retry: 'always', title: 'The upstream refused the connection' },
  tls_certificate_error: { status: 502, retry: 'always', title: 'The upstream failed to prove its identity' },
  tls_protocol_error: { status: 502, retry: 'always', title: 'The TLS handshake with the upstream failed' },
  connection_timeout: { status: 504, retry: 'always', title: 'The upstream did not accept a connection in time' },
  connection_terminated: { status: 502, retry: 'idempotent', title: 'The upstream closed the connection early' },
  http_response_incomplete: { status: 502, retry: 'idempotent', title: 'The upstream sent an incomplete answer' },
  http_protocol_error: { status: 502, retry: 'idempotent', title: 'The upstream sent an answer that is not HTTP' },
  http_response_header_section_size: {
    status: 502,
    retry: 'never',
    title: 'The upstream sent too many or too large header fields',
  },
  http_response_timeout: { status: 504, retry: 'idempotent', title: 'The upstream did not answer in time' },
  destination_not_found: { status: 404, retry: 'never', title: 'No route matches this request' },
  destination_unavailable: { status: 503, retry: 'never', title: 'No endpoint can take this request now' },
  connection_limit_reached: { status: 503, retry: 'never', title: 'The gateway is at its limit' },
  http_request_error: { status: 400, retry: 'never', title: 'The request is malformed' },
  http_request_denied: { status: 403, retry: 'never', title: 'The request was refused' },
  proxy_internal_error: { status: 500, retry: 'never', title: 'The gateway failed' },
} as const satisfies Record<string, CatalogueEntry>;

export type ErrorType = keyof typeof CATALOGUE;

export interface GatewayErrorOptions {
  /** Overrides the catalogue's status: 413, 414, 429, 431 … are all `http_request_denied`. */
  readonly status?: number;
  /** Overrides the catalogue's: an HTTP/2 upstream may say that it has processed nothing of what it closes. */
  readonly retry?: RetryClass;
  /** One sentence for the client: what to change. Never an address, a stack or a file. */
  readonly detail?: string;
  readonly retryAfterSeconds?: number;
  /** Further response fields, flat: name, value, … */
  readonly fields?: readonly string[];
  /** Further members of the problem (RFC 9457 §3.2). */
  readonly extensions?: Readonly<Record<string, unknown>>;
  /** The client's connection must not be used again: what follows on it cannot be trusted. */
  readonly close?: boolean;
  readonly cause?: unknown;
}

export class GatewayError extends Error {
  override readonly name = 'GatewayError';
  readonly type: ErrorType;
  readonly status: number;
  readonly detail: string | undefined;
  readonly retryAfterSeconds: number | undefined;
  readonly fields: readonly string[];
  readonly extensions: Readonly<Record<string, unknown>> | undefined;
  readonly close: boolean;
  readonly retry: RetryClass;

  /** @param message for the log: a lower-case sentence with the thing in it. */
  constructor(type: ErrorType, message: string, options: GatewayErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.type = type;
    this.status = options.status ?? CATALOGUE[type].status;
    this.detail = options.detail;
    this.retryAfterSeconds = options.retryAfterSeconds;
    this.fields = options.fields ?? [];
    this.extensions = options.extensions;
    this.close = options.close ?? false;
    this.retry = options.retry ?? CATALOGUE[type].retry;
  }
}
