/** What stands behind `Basic` (RFC 7617 §2): name and password, or nothing that could be any. */

import { normalForm } from '../../../src/credentials/password-hash.ts';

export interface BasicCredentials {
  readonly username: string;
  readonly password: string;
}

const SCHEME = /^basic(?: |$)/i;
/** Padding may be left out; nothing else of base64 may be other than it is. */
const TOKEN = /^basic +([A-Za-z0-9+/]+={0,2})$/i;
/** RFC 7617 §2: neither may hold a control character. */
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/;
const MOST_CHARACTERS = 1024;

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

export const isBasic = (authorization: string): boolean => SCHEME.test(authorization);

/** @returns undefined: malformed. The password may be empty and hold colons, the name may not. */
export function parseBasic(authorization: string): BasicCredentials | undefined {
  if (authorization.length > MOST_CHARACTERS) return undefined;
  const [, token = ''] = TOKEN.exec(authorization) ?? [];
  const bytes = Buffer.from(token, 'base64');
  // Two spellings of one credential would be two to remember, and one that stops early is none.
  if (token === '' || bytes.toString('base64').replace(/=+$/, '') !== token.replace(/=+$/, '')) return undefined;
  const text = decode(bytes);
  const colon = text?.indexOf(':') ?? -1;
  if (text === undefined || colon < 1 || CONTROL.test(text)) return undefined;
  return { username: normalForm(text.slice(0, colon)), password: normalForm(text.slice(colon + 1)) };
}

function decode(bytes: Buffer): string | undefined {
  try {
    return utf8.decode(bytes);
  } catch {
    return undefined;
  }
}
