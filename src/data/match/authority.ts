/**
 * The authority of a request, `host[:port]`, as strictly as routing by it demands (RFC 3986 §3.2, RFC 9112 §3.2): no
 * userinfo, no spaces, no empty labels, a port that can exist.
 */
import { isIPv6 } from 'node:net';
import ipaddr from 'ipaddr.js';

export interface Authority {
  /** Lower case, without a trailing dot; an IPv6 address in brackets and in the spelling of RFC 5952. */
  readonly host: string;
  /** undefined when none was written. */
  readonly port: number | undefined;
}

/** RFC 1035 §2.3.4, with the brackets of an IPv6 literal well below it. */
const MAX_HOST_LENGTH = 255;

/** undefined when it is not one. */
export function parseAuthority(text: string): Authority | undefined {
  const colon = text.charAt(0) === '[' ? text.indexOf(':', text.indexOf(']')) : text.indexOf(':');
  const host = parseHost(colon === -1 ? text : text.slice(0, colon));
  if (host === undefined) return undefined;
  if (colon === -1) return { host, port: undefined };
  const port = parsePort(text, colon + 1);
  return port === undefined ? undefined : { host, port };
}

function parseHost(text: string): string | undefined {
  if (text.charAt(0) === '[') return parseIpLiteral(text);
  const end = text.endsWith('.') ? text.length - 1 : text.length;
  if (end === 0 || end > MAX_HOST_LENGTH) return undefined;
  let lower = end === text.length;
  let labelStart = 0;
  for (let at = 0; at < end; at++) {
    const code = text.charCodeAt(at);
    if (code === 0x2e) {
      if (at === labelStart) return undefined;
      labelStart = at + 1;
    } else if (code >= 0x41 && code <= 0x5a) {
      lower = false;
    } else if (!isHostCharacter(code)) {
      return undefined;
    }
  }
  if (labelStart === end) return undefined;
  return lower ? text : text.slice(0, end).toLowerCase();
}

/** Letters in lower case, digits, `-` and the `_` of container names. Sub-delimiters and escapes name no host in use. */
function isHostCharacter(code: number): boolean {
  return (code >= 0x61 && code <= 0x7a) || (code >= 0x30 && code <= 0x39) || code === 0x2d || code === 0x5f;
}

function parseIpLiteral(text: string): string | undefined {
  if (!text.endsWith(']')) return undefined;
  const address = text.slice(1, -1);
  if (address.includes('%') || !isIPv6(address)) return undefined;
  return `[${ipaddr.IPv6.parse(address).toRFC5952String()}]`;
}

function parsePort(text: string, start: number): number | undefined {
  const length = text.length - start;
  if (length < 1 || length > 5) return undefined;
  let port = 0;
  for (let at = start; at < text.length; at++) {
    const digit = text.charCodeAt(at) - 0x30;
    if (digit < 0 || digit > 9) return undefined;
    port = port * 10 + digit;
  }
  return port >= 1 && port <= 65535 ? port : undefined;
}
