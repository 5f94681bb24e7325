/**
 * Requests as bytes, each with what must become of it. A wrong one is refused with `connection: close` and nothing of it
 * reaches the upstream; what is merely unusual is forwarded, and arrives as exactly one request. Sources: RFC 9110 and
 * 9112, and the public collections of request smuggling (Http11Probe, http-garden, llhttp’s vectors).
 */

export type Expectation =
  /** One of these statuses, then the close; the upstream saw nothing. */
  | { readonly kind: 'refused'; readonly statuses: readonly number[] }
  /** The head was good, the body is not: one of these statuses or a bare close; the upstream saw no whole request. */
  | { readonly kind: 'cut'; readonly statuses: readonly number[] }
  /** Every one of these reached the upstream, in this order, and nothing else: method, target, body. */
  | { readonly kind: 'forwarded'; readonly as: readonly (readonly [method: string, target: string, body: string])[] }
  /** Forwarded with this body, or refused: both are safe, as long as the connection stays in step. */
  | { readonly kind: 'either'; readonly statuses: readonly number[]; readonly as: readonly [string, string, string] };

export interface Case {
  readonly name: string;
  readonly bytes: string;
  readonly expect: Expectation;
  /** Methods of the requests, where an answer to HEAD must be read. */
  readonly methods?: readonly string[];
}

export const HOST = 'Host: any.test';
export const EMBEDDED = 'GET /smuggled HTTP/1.1\r\nHost: any.test\r\n\r\n';

export const head = (...lines: string[]) => [...lines, '', ''].join('\r\n');
export const get = (...fields: string[]) => head('GET /t HTTP/1.1', HOST, ...fields);
export const post = (fields: readonly string[], body: string) => head('POST /t HTTP/1.1', HOST, ...fields) + body;
export const chunked = (body: string, coding = 'Transfer-Encoding: chunked') => post([coding], body);

export const refused = (...statuses: number[]): Expectation => ({ kind: 'refused', statuses });
export const cut = (...statuses: number[]): Expectation => ({ kind: 'cut', statuses });
export const forwarded = (...as: [string, string, string][]): Expectation => ({ kind: 'forwarded', as });
export const BAD = refused(400);
export const BAD_CODING = refused(400, 501);

/** @param table name → bytes; all with the same expectation. */
export const all = (expect: Expectation, table: Readonly<Record<string, string>>): Case[] =>
  Object.entries(table).map(([name, bytes]) => ({ name, bytes, expect }));
