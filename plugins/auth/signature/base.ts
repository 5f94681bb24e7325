/** The signature base of a request: exactly the bytes that its client signed (RFC 9421 §2.5). */
import { serializeInnerList, type InnerList, type Item } from 'structured-headers';
import type { Exchange } from '../../../src/data/exchange.ts';

type Signed = Pick<Exchange, 'method' | 'scheme' | 'authority' | 'path' | 'search' | 'target' | 'header'>;

const DEFAULT_PORT = { http: ':80', https: ':443' } as const;

/** @returns undefined when a component is not there, or is none that this gateway can tell without doubt. */
export function signatureBase(request: Signed, covered: InnerList): string | undefined {
  const lines: string[] = [];
  const seen = new Set<string>();
  for (const item of covered[0]) {
    const identifier = serializeInnerList([[item], new Map()]).slice(1, -1);
    const value = valueOf(request, item);
    // RFC 9421 §2.5: a component that is named twice, or that is not there, is an error.
    if (value === undefined || seen.has(identifier)) return undefined;
    seen.add(identifier);
    lines.push(`${identifier}: ${value}`);
  }
  lines.push(`"@signature-params": ${serializeInnerList(covered)}`);
  return lines.join('\n');
}

function valueOf(request: Signed, [name, parameters]: Item): string | undefined {
  if (typeof name !== 'string') return undefined;
  if (name === '@query-param') return queryParameter(request.search, parameters.get('name'), parameters.size);
  // `sf`, `key`, `bs`, `tr` and `req` change what a field means; nobody needs them to sign a request.
  if (parameters.size > 0) return undefined;
  return name.startsWith('@') ? derived(request, name) : fieldValue(request, name);
}

function derived(request: Signed, name: string): string | undefined {
  switch (name) {
    case '@method':
      return request.method;
    case '@scheme':
      return request.scheme;
    case '@authority':
      return authority(request);
    case '@target-uri':
      return `${request.scheme}://${authority(request)}${request.target}`;
    case '@request-target':
      return request.target;
    case '@path':
      return request.path;
    case '@query':
      return `?${request.search}`;
    default:
      return undefined;
  }
}

function authority({ authority: written, scheme }: Signed): string {
  const lower = written.toLowerCase();
  const port = DEFAULT_PORT[scheme];
  return lower.endsWith(port) ? lower.slice(0, -port.length) : lower;
}

function fieldValue(request: Signed, name: string): string | undefined {
  return name === name.toLowerCase() ? request.header(name) : undefined;
}

/** RFC 9421 §2.2.8: decoded as a form, encoded again; a name that is there twice must not be covered. */
function queryParameter(search: string, name: unknown, parameters: number): string | undefined {
  if (typeof name !== 'string' || parameters !== 1) return undefined;
  const values = [...new URLSearchParams(search)].filter(([key]) => encode(key) === name).map(([, value]) => value);
  return values.length === 1 ? encode(values[0]!) : undefined;
}

/** The percent-encoding of application/x-www-form-urlencoded (WHATWG URL), with %20 for a space. */
function encode(text: string): string {
  return encodeURIComponent(text).replace(/[!'()~]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
}
