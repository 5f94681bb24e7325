/** What went wrong on a connection, in the words of the catalogue. The address stays in the log's message. */
import { GatewayError, type ErrorType } from '../errors.ts';
import { ResponseFault } from './h1/response-parser.ts';

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

export function badAnswer(url: string, error: unknown): GatewayError {
  // Not the upstream's fault but ours, and of this one request: thrown on, it would end the thread with all the others.
  if (!(error instanceof ResponseFault))
    return new GatewayError('proxy_internal_error', String(error), { cause: error });
  const type = error.kind === 'headTooLarge' ? 'http_response_header_section_size' : 'http_protocol_error';
  return new GatewayError(type, `${url}: ${error.message}`, { cause: error });
}
