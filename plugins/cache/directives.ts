/**
 * Cache-Control (RFC 9111 §5.2), read strictly: a list that breaks the grammar, a time that is no plain number of seconds, a
 * time that is said twice differently make the whole field doubtful, and what is doubtful is not stored. CDN-Cache-Control
 * and Aya-Cache-Control (RFC 9213) are Structured Fields; one that is none is as if it were not there.
 */
import { parseDictionary } from 'structured-headers';

export interface Directives {
  /** Something in it could be read in two ways. */
  readonly doubtful: boolean;
  readonly noStore: boolean;
  readonly noCache: boolean;
  readonly private: boolean;
  readonly public: boolean;
  readonly mustRevalidate: boolean;
  readonly mustUnderstand: boolean;
  readonly onlyIfCached: boolean;
  /** Seconds; undefined where it is not said. */
  readonly maxAge: number | undefined;
  readonly sMaxage: number | undefined;
  readonly staleWhileRevalidate: number | undefined;
  readonly staleIfError: number | undefined;
  readonly minFresh: number | undefined;
  /** Nothing at all is said. */
  readonly isEmpty: boolean;
}

type Written = ReadonlyMap<string, string | true>;

/** RFC 9111 §1.2.2: what overflows is as good as this. */
const LONGEST_S = 2 ** 31;

const SECONDS = [
  ['maxAge', 'max-age'],
  ['sMaxage', 's-maxage'],
  ['staleWhileRevalidate', 'stale-while-revalidate'],
  ['staleIfError', 'stale-if-error'],
  ['minFresh', 'min-fresh'],
] as const;

/** RFC 9110 §5.6.1: a list; each a token, and perhaps a value, which is a token or a quoted string. */
const DIRECTIVE =
  /[ \t]*(?:([!#$%&'*+.^_`|~0-9A-Za-z-]+)(?:=([!#$%&'*+.^_`|~0-9A-Za-z-]+|"(?:[^"\\]|\\.)*"))?)?[ \t]*(?:,|$)/y;

/** @param value all its lines, joined by commas; empty: there is none. */
export function parseCacheControl(value: string): Directives {
  if (value === '') return NOTHING;
  const written = new Map<string, string | true>();
  let doubtful = false;
  DIRECTIVE.lastIndex = 0;
  while (DIRECTIVE.lastIndex < value.length) {
    const found = DIRECTIVE.exec(value);
    if (found === null) {
      doubtful = true;
      break;
    }
    const [, name, argument] = found;
    if (name === undefined) continue;
    const key = name.toLowerCase();
    const said = argument ?? true;
    if (written.has(key) && written.get(key) !== said) doubtful = true;
    written.set(key, said);
  }
  return directives(written, doubtful);
}

/** RFC 9213 §2.2. @returns undefined when it is to be ignored: no dictionary, or one that says nothing. */
export function parseTargeted(value: string): Directives | undefined {
  let dictionary: ReturnType<typeof parseDictionary>;
  try {
    dictionary = parseDictionary(value);
  } catch {
    return undefined;
  }
  if (dictionary.size === 0) return undefined;
  const written = new Map<string, string | true>();
  for (const [name, [said]] of dictionary) {
    if (said === false) continue;
    // A time that is no integer says nothing (RFC 9213 §2.1).
    const isTime = SECONDS.some(([, word]) => word === name);
    if (isTime && !Number.isInteger(said)) continue;
    written.set(name, isTime ? String(said as number) : true);
  }
  return written.size === 0 ? undefined : directives(written, false);
}

function directives(written: Written, broken: boolean): Directives {
  let doubtful = broken;
  const times: Partial<Record<(typeof SECONDS)[number][0], number>> = {};
  for (const [key, name] of SECONDS) {
    const said = written.get(name);
    if (said === undefined) continue;
    const seconds = secondsOf(said);
    if (seconds === undefined) doubtful = true;
    else times[key] = seconds;
  }
  return {
    doubtful,
    noStore: written.has('no-store'),
    // Of one that names fields, all is confirmed: RFC 9111 §5.2.2.4 lets a cache take it so, and §5.2.2.7 for private.
    noCache: written.has('no-cache'),
    private: written.has('private'),
    public: written.has('public'),
    mustRevalidate: written.has('must-revalidate') || written.has('proxy-revalidate'),
    mustUnderstand: written.has('must-understand'),
    onlyIfCached: written.has('only-if-cached'),
    maxAge: times.maxAge,
    sMaxage: times.sMaxage,
    staleWhileRevalidate: times.staleWhileRevalidate,
    staleIfError: times.staleIfError,
    minFresh: times.minFresh,
    isEmpty: written.size === 0 && !doubtful,
  };
}

function secondsOf(said: string | true): number | undefined {
  return said !== true && /^\d+$/.test(said) ? Math.min(Number(said), LONGEST_S) : undefined;
}

export const NOTHING: Directives = directives(new Map(), false);
