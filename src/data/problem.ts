/**
 * How the gateway says no: application/problem+json (RFC 9457) and Proxy-Status (RFC 9209), made in this one place for
 * every refusal, wherever it comes from. Nothing internal is in it.
 */
import { CATALOGUE, type GatewayError } from '../errors.ts';
import http from '../node-http.ts';

export interface Problem {
  readonly status: number;
  /** Flat: name, value … `content-length` included. */
  readonly fields: string[];
  readonly body: Buffer;
}

/** @param requestId absent when the request could not be read at all. */
export function renderProblem(error: GatewayError, requestId?: string): Problem {
  const { status } = error;
  const body = Buffer.from(
    JSON.stringify({
      type: 'about:blank',
      title: status === CATALOGUE[error.type].status ? CATALOGUE[error.type].title : http.STATUS_CODES[status],
      status,
      detail: error.detail,
      error: error.type,
      requestId,
      ...error.extensions,
    }),
  );
  const fields = [
    'content-type',
    'application/problem+json',
    'content-length',
    String(body.length),
    ...problemFields(error, requestId),
  ];
  return { status, fields, body };
}

/** What the head of a problem says beside its body. */
export function problemFields(error: GatewayError, requestId: string | undefined): string[] {
  const fields = ['cache-control', 'no-store', 'proxy-status', `aya; error=${error.type}`];
  if (requestId !== undefined) fields.push('x-request-id', requestId);
  if (error.retryAfterSeconds !== undefined) fields.push('retry-after', String(error.retryAfterSeconds));
  for (const part of error.fields) fields.push(part);
  if (error.close) fields.push('connection', 'close');
  return fields;
}

/** The same as bytes, for a connection on which Node has given up: it is closed afterwards. */
export function problemBytes(error: GatewayError): Buffer {
  const { status, fields, body } = renderProblem(error);
  let head = `HTTP/1.1 ${status} ${http.STATUS_CODES[status] ?? ''}\r\n`;
  for (let at = 0; at < fields.length; at += 2) head += `${fields[at]}: ${fields[at + 1]}\r\n`;
  if (!error.close) head += 'connection: close\r\n';
  return Buffer.concat([Buffer.from(`${head}\r\n`, 'latin1'), body]);
}
