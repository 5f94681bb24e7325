/**
 * A token as its bearer sends it: a signed one in the compact form (RFC 7515 §7.1), spelled in the only way that there is.
 * Nothing here is proven yet. What libraries let pass and a strict reader must not is refused before they see it.
 */
import { isUtf8 } from 'node:buffer';
import { parseStrictObject, type JsonObject } from '../token-json.ts';

export interface UnverifiedToken {
  readonly alg: string;
  readonly kid: string | undefined;
  /** In lower case, without `application/`; undefined when there is none. */
  readonly typ: string | undefined;
  readonly claims: JsonObject;
}

/** Longer ones are not even looked at. */
export const LONGEST_TOKEN = 8192;

/** Three parts, none empty: neither unsigned, nor detached, nor encrypted (five). */
const COMPACT = /^[\w-]+\.[\w-]+\.[\w-]+$/;

/** @returns undefined for what no issuer could have meant. */
export function readToken(token: string): UnverifiedToken | undefined {
  if (token.length > LONGEST_TOKEN || !COMPACT.test(token)) return undefined;
  const [head = '', payload = '', signature = ''] = token.split('.');
  const header = readObject(head);
  const claims = readObject(payload);
  if (header === undefined || claims === undefined || decode(signature) === undefined) return undefined;
  const { alg, kid, typ } = header;
  if (typeof alg !== 'string' || !isTextOrAbsent(kid) || !isTextOrAbsent(typ)) return undefined;
  // RFC 7515 §4.1.11: of what may be critical nothing is understood here, unencoded payloads (RFC 7797) included.
  if (Object.hasOwn(header, 'crit') || Object.hasOwn(header, 'b64')) return undefined;
  return { alg, kid, typ: typ?.toLowerCase().replace(/^application\//, ''), claims };
}

function readObject(part: string): JsonObject | undefined {
  const bytes = decode(part);
  return bytes !== undefined && isUtf8(bytes) ? parseStrictObject(bytes.toString('utf8')) : undefined;
}

/** RFC 4648 §3.5: bits left over are zero, or one token had many spellings. */
function decode(part: string): Buffer | undefined {
  const bytes = Buffer.from(part, 'base64url');
  return bytes.toString('base64url') === part ? bytes : undefined;
}

const isTextOrAbsent = (value: unknown): value is string | undefined =>
  value === undefined || typeof value === 'string';
