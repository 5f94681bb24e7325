/** The head of a request, from its field section (RFC 9113 §8.3.1). */
import type { FieldSection } from './hpack/decoder.ts';

export interface RequestHead {
  readonly method: string;
  /** Undefined, as the path, of a CONNECT that opens a tunnel to a host. */
  readonly scheme: string | undefined;
  readonly path: string | undefined;
  readonly authority: string | undefined;
  /** Of an extended CONNECT (RFC 8441). */
  readonly protocol: string | undefined;
  /** What the Host field says, if there is one. */
  readonly host: string | undefined;
  /** Flat, without pseudo fields and Host, for which the first pair is kept free; the pieces of a cookie are one. */
  readonly fields: string[];
  /** Of names and values. */
  readonly bytes: number;
  readonly contentLength: number | undefined;
  /** What the Expect field says. */
  readonly expectation: string | undefined;
}

const COLON = 0x3a;
const DIGITS = /^\d{1,15}$/;
/** A path has no space, or it would have a version behind it in HTTP/1.1. */
const BAD_PATH = /[^\x21-\x7e\x80-\xff]/;

const Meaning = { cookie: 1, host: 2, contentLength: 3, te: 4, expect: 5, forbidden: 6 } as const;
/** Names that are more than a field. What belongs to one connection of HTTP/1.1 makes a message malformed (§8.2.2). */
const MEANINGS: ReadonlyMap<string, number> = new Map([
  ['cookie', Meaning.cookie],
  ['host', Meaning.host],
  ['content-length', Meaning.contentLength],
  ['te', Meaning.te],
  ['expect', Meaning.expect],
  ['connection', Meaning.forbidden],
  ['keep-alive', Meaning.forbidden],
  ['proxy-connection', Meaning.forbidden],
  ['transfer-encoding', Meaning.forbidden],
  ['upgrade', Meaning.forbidden],
]);

/** @returns undefined for a malformed one (§8.1.1). */
export function readRequestHead({ fields: raw, isMalformed }: FieldSection): RequestHead | undefined {
  if (isMalformed) return undefined;
  let method: string | undefined;
  let scheme: string | undefined;
  let path: string | undefined;
  let authority: string | undefined;
  let protocol: string | undefined;
  let at = 0;
  let bytes = 0;
  for (; at < raw.length && raw[at]!.charCodeAt(0) === COLON; at += 2) {
    const name = raw[at]!;
    const value = raw[at + 1]!;
    bytes += name.length + value.length;
    if (name === ':method' && method === undefined) method = value;
    else if (name === ':path' && path === undefined) path = value;
    else if (name === ':scheme' && scheme === undefined) scheme = value;
    else if (name === ':authority' && authority === undefined) authority = value;
    else if (name === ':protocol' && protocol === undefined) protocol = value;
    else return undefined;
  }
  if (!isComplete(method, scheme, path, protocol)) return undefined;

  const fields = ['host', ''];
  let host: string | undefined;
  let contentLength: number | undefined;
  let expectation: string | undefined;
  let cookieAt = 0;
  for (; at < raw.length; at += 2) {
    const name = raw[at]!;
    const value = raw[at + 1]!;
    bytes += name.length + value.length;
    if (name.charCodeAt(0) === COLON) return undefined;
    switch (MEANINGS.get(name)) {
      case Meaning.cookie:
        // §8.2.3
        if (cookieAt > 0) {
          fields[cookieAt] += `; ${value}`;
          continue;
        }
        cookieAt = fields.length + 1;
        break;
      case Meaning.host:
        if (host !== undefined && host !== value) return undefined;
        host = value;
        continue;
      case Meaning.contentLength:
        if (contentLength !== undefined || !DIGITS.test(value)) return undefined;
        contentLength = Number(value);
        break;
      case Meaning.te:
        if (value.toLowerCase() !== 'trailers') return undefined;
        break;
      case Meaning.expect:
        expectation = value;
        break;
      case Meaning.forbidden:
        return undefined;
    }
    fields.push(name, value);
  }
  return { method: method!, scheme, path, authority, protocol, host, fields, bytes, contentLength, expectation };
}

/** @returns whether the section may stand behind a body. */
export function isTrailerSection({ fields, isMalformed }: FieldSection): boolean {
  if (isMalformed) return false;
  for (let at = 0; at < fields.length; at += 2) {
    const name = fields[at]!;
    if (name.charCodeAt(0) === COLON || MEANINGS.get(name) === Meaning.forbidden) return false;
  }
  return true;
}

function isComplete(method?: string, scheme?: string, path?: string, protocol?: string): boolean {
  if (method === undefined || method === '') return false;
  if (protocol !== undefined && method !== 'CONNECT') return false;
  // §8.5: it has neither.
  if (method === 'CONNECT' && protocol === undefined) return scheme === undefined && path === undefined;
  return scheme !== undefined && scheme !== '' && path !== undefined && path !== '' && !BAD_PATH.test(path);
}
