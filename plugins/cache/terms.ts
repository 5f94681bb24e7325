/** What a request says to a cache, found in one pass over the fields that the upstream would get. */
import { NOTHING, parseCacheControl, type Directives } from './directives.ts';

export interface RequestTerms {
  range: string | undefined;
  ifRange: string | undefined;
  ifNoneMatch: string | undefined;
  ifModifiedSince: string | undefined;
  cacheControl: string | undefined;
  pragma: boolean;
  /** If-Match, If-Unmodified-Since: for the origin alone (RFC 9110 §13.1). */
  precondition: boolean;
  authorization: boolean;
  cookie: boolean;
  /** Some frameworks read method, path or host from it, and no key holds it (Kettle, "Practical Web Cache Poisoning"). */
  override: boolean;
}

const OVERRIDES: ReadonlySet<string> = new Set([
  ...['x-http-method', 'x-http-method-override', 'x-method-override'],
  ...['x-host', 'x-forwarded-server', 'x-forwarded-scheme', 'x-forwarded-prefix', 'x-forwarded-path'],
  ...['x-original-url', 'x-original-uri', 'x-original-host', 'x-rewrite-url', 'x-http-host-override', 'x-wap-profile'],
]);

/** None of the fields that the gateway itself adds to each request looks like one of them from afar. */
const HINTS: ReadonlySet<number> = new Set([...OVERRIDES].map(hintOf));

function hintOf(name: string): number {
  return name.length * 256 + (name.charCodeAt(name.length - 1) | 0x20);
}

export function readTerms(fields: readonly string[]): RequestTerms {
  const terms: RequestTerms = {
    range: undefined,
    ifRange: undefined,
    ifNoneMatch: undefined,
    ifModifiedSince: undefined,
    cacheControl: undefined,
    pragma: false,
    precondition: false,
    authorization: false,
    cookie: false,
    override: false,
  };
  for (let at = 0; at < fields.length; at += 2) read(terms, fields[at]!, fields[at + 1]!);
  return terms;
}

/** Most fields differ from all of these in length or in their first letter. */
function read(terms: RequestTerms, written: string, value: string): void {
  const first = written.charCodeAt(0) | 0x20;
  if (first === X) {
    if (HINTS.has(hintOf(written)) && OVERRIDES.has(written.toLowerCase())) terms.override = true;
    return;
  }
  switch (written.length) {
    case 5:
      if (first === R && written.toLowerCase() === 'range') terms.range = joined(terms.range, value);
      return;
    case 6:
      if (first === C && written.toLowerCase() === 'cookie') terms.cookie = true;
      else if (first === P && written.toLowerCase() === 'pragma') terms.pragma ||= /\bno-cache\b/i.test(value);
      return;
    case 8:
      if (first !== I) return;
      if (written.toLowerCase() === 'if-range') terms.ifRange = joined(terms.ifRange, value);
      else if (written.toLowerCase() === 'if-match') terms.precondition = true;
      return;
    case 13: {
      const name = written.toLowerCase();
      if (name === 'cache-control') terms.cacheControl = joined(terms.cacheControl, value);
      else if (name === 'if-none-match') terms.ifNoneMatch = joined(terms.ifNoneMatch, value);
      else if (name === 'authorization') terms.authorization = true;
      return;
    }
    case 17:
      if (first === I && written.toLowerCase() === 'if-modified-since') terms.ifModifiedSince = value;
      return;
    case 19:
      if (first === I && written.toLowerCase() === 'if-unmodified-since') terms.precondition = true;
  }
}

const [C, I, P, R, X] = [...'ciprx'].map((letter) => letter.charCodeAt(0));

function joined(before: string | undefined, value: string): string {
  return before === undefined ? value : `${before}, ${value}`;
}

export function directivesOf(terms: RequestTerms): Directives {
  // RFC 9111 §5.4: Pragma counts where nothing newer is said.
  if (terms.cacheControl === undefined) return terms.pragma ? NO_CACHE : NOTHING;
  return parseCacheControl(terms.cacheControl);
}

const NO_CACHE = parseCacheControl('no-cache');

/** Whether the whole answer, as it is, is what is asked for. */
export function isPlain(terms: RequestTerms): boolean {
  return terms.range === undefined && terms.ifNoneMatch === undefined && terms.ifModifiedSince === undefined;
}
