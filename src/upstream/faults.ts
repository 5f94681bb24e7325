/** What went wrong on a connection, in the words of the catalogue. The address stays in the log's message. */
import { constants } from 'node:http2';
import { GatewayError, type ErrorType } from '../errors.ts';

/** What the answer did wrong; `kind` says which error of the catalogue it becomes. */
export class ResponseFault extends Error {
  readonly kind: 'protocol' | 'headTooLarge';

  constructor(kind: 'protocol' | 'headTooLarge', message: string) {
    super(message);
    this.kind = kind;
  }
}

const CONNECT_FAULTS: Readonly<Record<string, ErrorType>> = {
  ENOTFOUND: 'dns_error',
  EAI_AGAIN: 'dns_error',
  ECONNREFUSED: 'connection_refused',
  ECONNRESET: 'connection_refused',
  EHOSTUNREACH: 'connection_refused',
  ENETUNREACH: 'connection_refused',
  ETIMEDOUT: 'connection_timeout',
};

/** Before a byte of the request was written: any method may be tried again. */
export function connectFault(error: NodeJS.ErrnoException, url: string, tls: boolean): GatewayError {
  const known = CONNECT_FAULTS[error.code ?? ''];
  const type = known ?? (tls ? tlsFault(error) : 'connection_refused');
  return new GatewayError(type, `${url}: ${error.message || error.code || 'connection failed'}`, { cause: error });
}

/** OpenSSL's own failures are the handshake's; what is left are Node's verdicts on the certificate. */
function tlsFault(error: NodeJS.ErrnoException): ErrorType {
  const code = error.code ?? '';
  return code === 'EPROTO' || code.startsWith('ERR_SSL_') ? 'tls_protocol_error' : 'tls_certificate_error';
}

export function connectTimeout(url: string, afterMs: number): GatewayError {
  return new GatewayError('connection_timeout', `${url}: no connection within ${afterMs} ms`);
}

/** After the request was written. @param started whether any byte of the answer had come. */
export function brokenConnection(url: string, started: boolean, cause?: NodeJS.ErrnoException): GatewayError {
  const how = cause === undefined ? 'closed by the upstream' : (cause.code ?? cause.message);
  return started
    ? new GatewayError('http_response_incomplete', `${url}: connection ended inside the answer (${how})`, { cause })
    : new GatewayError('connection_terminated', `${url}: connection ended before the answer (${how})`, { cause });
}

/** @param started whether the head of the answer had come. @param code of RST_STREAM. @param cause why the session broke. */
export function brokenStream(url: string, started: boolean, code: number, cause: Error | undefined): GatewayError {
  const how = cause?.message ?? `reset with ${RESET_NAMES[code] ?? code}`;
  const options = { cause };
  if (started) {
    return new GatewayError('http_response_incomplete', `${url}: stream ended inside the answer (${how})`, options);
  }
  const isProtocol =
    code === constants.NGHTTP2_PROTOCOL_ERROR ||
    (cause as NodeJS.ErrnoException | undefined)?.code === 'ERR_HTTP2_ERROR';
  const type = isProtocol ? 'http_protocol_error' : 'connection_terminated';
  return new GatewayError(type, `${url}: stream ended before the answer (${how})`, options);
}

/** RFC 9113 §7, by code. */
const RESET_NAMES = [
  'NO_ERROR',
  'PROTOCOL_ERROR',
  'INTERNAL_ERROR',
  'FLOW_CONTROL_ERROR',
  'SETTINGS_TIMEOUT',
  'STREAM_CLOSED',
  'FRAME_SIZE_ERROR',
  'REFUSED_STREAM',
  'CANCEL',
  'COMPRESSION_ERROR',
  'CONNECT_ERROR',
  'ENHANCE_YOUR_CALM',
  'INADEQUATE_SECURITY',
  'HTTP_1_1_REQUIRED',
];

/** RFC 9113 §8.7: the upstream says that it has done nothing with it, so any method may be tried again. */
export function unprocessed(url: string): GatewayError {
  return new GatewayError('connection_terminated', `${url}: the stream was refused unprocessed`, { retry: 'always' });
}

/** The peer's first words were no SETTINGS, or it had none: nothing was sent to it. */
export function notHttp2(url: string, cause: Error | undefined): GatewayError {
  const how = cause?.message ?? 'closed the connection';
  return new GatewayError('http_protocol_error', `${url}: does not speak HTTP/2 (http2: true): ${how}`, {
    retry: 'always',
    cause,
  });
}

export function refusedAlpn(url: string, cause?: Error): GatewayError {
  return new GatewayError('tls_protocol_error', `${url}: does not agree to HTTP/2 by ALPN (http2: true)`, { cause });
}

export function badAnswer(url: string, error: unknown): GatewayError {
  // Not the upstream's fault but ours, and of this one request: thrown on, it would end the thread with all the others.
  if (!(error instanceof ResponseFault))
    return new GatewayError('proxy_internal_error', String(error), { cause: error });
  const type = error.kind === 'headTooLarge' ? 'http_response_header_section_size' : 'http_protocol_error';
  return new GatewayError(type, `${url}: ${error.message}`, { cause: error });
}
