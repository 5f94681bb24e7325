/**
 * The trailers of a request that may go on (RFC 9110 §6.5). The hooks have decided by then, and some services put trailers
 * among the header fields: so none may say what a hook, the gateway or a reader of the head would have looked at. A body
 * of known length has none on HTTP/1.1, and is given none on HTTP/2.
 */
import type { BodyStream } from '../data/dispatch.ts';
import { FORBIDDEN_TRAILERS } from '../hop-by-hop.ts';

/** Checksums, signatures, timings: honest requests end with one or two. Of more than this, none goes on. */
const MOST_FIELDS = 64;
const MOST_BYTES = 8 * 1024;

/** What cannot be taken for another name by a reader that knows letters and digits only (CGI). */
const PLAIN_NAME = /^[a-z0-9-]+$/;

/** Of requests: what decides who asks, for what, under which condition (RFC 9110 §6.5.1). */
const FORBIDDEN: ReadonlySet<string> = new Set([
  ...FORBIDDEN_TRAILERS,
  'accept',
  'accept-encoding',
  'accept-language',
  'cookie',
  'cookie2',
  'expect',
  'forwarded',
  'from',
  'http2-settings',
  'max-forwards',
  'origin',
  'pragma',
  'proxy-authorization',
  'range',
  'referer',
  'traceparent',
  'tracestate',
  'true-client-ip',
  'user-agent',
  'via',
]);

/** What proxies tell their services about the client (src/data/head.ts), with all that begins like it. */
const CLAIM =
  /^(?:if-|sec-|cf-|client-cert|ssl-client-|x-(?:aya-|forwarded|real-ip|request-id|correlation-id|consumer|authenticated|user|api-key|auth|ssl-|amzn-|client-|cluster-|original-|rewrite-|http-method|method-))/;

const NONE: readonly string[] = [];

/** Flat; empty where there are none. @param body has ended. */
export function requestTrailers({ rawTrailers }: BodyStream): readonly string[] {
  if (rawTrailers === undefined || rawTrailers.length === 0) return NONE;
  if (rawTrailers.length > 2 * MOST_FIELDS) return NONE;
  const trailers: string[] = [];
  let bytes = 0;
  for (let at = 0; at < rawTrailers.length; at += 2) {
    const name = rawTrailers[at]!;
    const value = rawTrailers[at + 1]!;
    bytes += name.length + value.length;
    if (bytes > MOST_BYTES) return NONE;
    if (mayGoOn(name.toLowerCase())) trailers.push(name, value);
  }
  return trailers;
}

function mayGoOn(name: string): boolean {
  return PLAIN_NAME.test(name) && !FORBIDDEN.has(name) && !CLAIM.test(name);
}
