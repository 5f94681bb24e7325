/**
 * Who may ask the admin server. It knows everything and can reload, so on loopback it must not answer a web page that the
 * operator happens to have open, and off loopback nobody without the token.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { BlockList, isIP, isIPv6 } from 'node:net';

/** Orchestrators and balancers ask these; they tell nothing but ready or not. */
const OPEN_PATHS: ReadonlySet<string> = new Set(['/livez', '/readyz']);

export interface Question {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
}

export interface Refusal {
  readonly status: 401 | 403 | 421;
  readonly detail: string;
}

export type Guard = (question: Question) => Refusal | undefined;

export function createGuard(host: string, token: string | undefined): Guard {
  const isToken = token === undefined ? undefined : tokenCheck(token);
  return ({ method, path, headers }) => {
    // Only browsers send Origin, and none has business here: this is how a foreign page would post (CSRF).
    if (method !== 'GET' && method !== 'HEAD' && headers.origin !== undefined) {
      return { status: 403, detail: 'requests that a web page makes are refused' };
    }
    // Balancers ask without a Host (HAProxy's httpchk speaks HTTP/1.0), or under any name.
    if (OPEN_PATHS.has(path)) return undefined;
    if (isToken !== undefined) {
      if (isToken(headers.authorization)) return undefined;
      return { status: 401, detail: 'a bearer token is required: the one of admin.token in gateway.yaml' };
    }
    // DNS rebinding: a foreign page reaches loopback under its own name. With a token this is moot, the page has none.
    if (isOwnName(headers.host, host)) return undefined;
    return { status: 421, detail: `without admin.token the Host must be an IP address, localhost or ${host}` };
  };
}

export function isLoopback(host: string): boolean {
  if (host === 'localhost') return true;
  const family = isIP(host);
  return family !== 0 && LOOPBACK.check(host, family === 6 ? 'ipv6' : 'ipv4');
}

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet('127.0.0.0', 8);
LOOPBACK.addAddress('::1', 'ipv6');

/** Digests are of one length, which is what a comparison in constant time needs. */
function tokenCheck(token: string): (authorization: string | undefined) => boolean {
  const expected = digest(token);
  return (authorization = '') => {
    // RFC 9110 §11.1: the scheme's case does not matter.
    const [, given] = /^bearer +(\S+) *$/i.exec(authorization) ?? [];
    return given !== undefined && timingSafeEqual(digest(given), expected);
  };
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

function isOwnName(authority: string | undefined, host: string): boolean {
  if (authority === undefined) return false;
  const name = authority.replace(/:\d*$/, '').toLowerCase();
  if (name.startsWith('[') && name.endsWith(']')) return isIPv6(name.slice(1, -1));
  return isIP(name) === 4 || name === 'localhost' || name === host.toLowerCase();
}
