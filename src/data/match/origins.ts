/**
 * Web origins (RFC 6454), as browsers name them in `Origin` and users list them: `https://app.example.com`,
 * `https://*.example.com` for any number of labels, `https://*` for every host, `null` for what has no origin.
 */
import { parseAuthority } from './authority.ts';
import type { MatchRequest } from './request-view.ts';

export interface Origins {
  contains(origin: string): boolean;
}

export interface Origin {
  readonly scheme: string;
  readonly host: string;
  /** 0: the scheme has none of its own, and none was written. */
  readonly port: number;
}

/** What stands for the name below which every host is meant. */
interface Wildcard {
  readonly scheme: string;
  /** `.example.com`; empty for every host. */
  readonly suffix: string;
  readonly port: number;
}

const OWN_PORTS: Readonly<Record<string, number>> = { http: 80, https: 443 };

/** @param texts free of what `originFault` finds. */
export function compileOrigins(texts: readonly string[]): Origins {
  const exact = new Set<string>();
  const wildcards: Wildcard[] = [];
  for (const text of texts) {
    const wildcard = parseWildcard(text);
    if (wildcard !== undefined) wildcards.push(wildcard);
    else exact.add(text).add(serialised(text));
  }
  return {
    contains(written) {
      if (exact.has(written)) return true;
      const origin = parseOrigin(written);
      if (origin === undefined) return false;
      return exact.has(serialise(origin)) || wildcards.some((wildcard) => isBelow(origin, wildcard));
    },
  };
}

/** undefined when it names no host; `null` does not. */
export function parseOrigin(text: string): Origin | undefined {
  const colon = text.indexOf('://');
  const scheme = text.slice(0, colon).toLowerCase();
  if (colon === -1 || !/^[a-z][a-z0-9+.-]*$/.test(scheme)) return undefined;
  const authority = parseAuthority(text.slice(colon + 3));
  if (authority === undefined) return undefined;
  return { scheme, host: authority.host, port: authority.port ?? OWN_PORTS[scheme] ?? 0 };
}

/** What is wrong with an origin that a user listed, and what to write. */
export function originFault(text: string): string | undefined {
  if (text === 'null' || parseWildcard(text) !== undefined || parseOrigin(text) !== undefined) return undefined;
  if (text === '*') return `'*' is no origin here: name them, or write https://* for every host`;
  if (!text.includes('://')) return `'${text}' is no origin: it begins with a scheme, as https://${text}`;
  const bare = /^[^/]+:\/\/[^/?#]+(?=[/?#])/.exec(text)?.[0];
  if (bare !== undefined && originFault(bare) === undefined) return `an origin has no path: write ${bare}`;
  if (text.includes('*')) return `'${text}': a * stands for whole labels at the left, as in https://*.example.com`;
  return `'${text}' is no origin: write https://app.example.com or https://*.example.com`;
}

/** The method that a CORS preflight asks about; undefined for other requests (Fetch §4.8). */
export function preflightMethod(request: MatchRequest): string | undefined {
  if (request.method !== 'OPTIONS' || request.header('origin') === undefined) return undefined;
  return request.header('access-control-request-method');
}

function parseWildcard(text: string): Wildcard | undefined {
  const [, scheme, suffix, port] = /^(https?):\/\/\*(\.[^:]+)?(:.*)?$/i.exec(text) ?? [];
  if (scheme === undefined) return undefined;
  const origin = parseOrigin(`${scheme}://x${suffix ?? ''}${port ?? ''}`);
  return origin && { scheme: origin.scheme, suffix: origin.host.slice(1), port: origin.port };
}

function isBelow(origin: Origin, { scheme, suffix, port }: Wildcard): boolean {
  return (
    origin.scheme === scheme &&
    origin.port === port &&
    origin.host.length > suffix.length &&
    origin.host.endsWith(suffix)
  );
}

function serialised(text: string): string {
  const origin = parseOrigin(text);
  return origin === undefined ? text : serialise(origin);
}

const serialise = ({ scheme, host, port }: Origin) => `${scheme}://${host}:${port}`;
