/**
 * May an answer be stored, and how long is it fresh: RFC 9111 §3 and §4.2, read strictly. Where two readings are possible
 * the answer is not stored.
 */
import { isEventStream } from '../../src/data/answer.ts';
import type { StoredHead } from '../../src/cache/stored-answer.ts';
import { parseCacheControl, parseTargeted, type Directives } from './directives.ts';
import { fieldOf, listOf, withoutFields } from './fields.ts';
import { parseHttpDate } from './http-date.ts';
import type { CacheOptions } from './schema.ts';
import { variantOf, varyOf } from './vary.ts';

/** What the judge must know beside the answer. */
export interface Circumstances {
  readonly key: string;
  readonly url: string;
  /** As the upstream got them. */
  readonly requestFields: readonly string[];
  /** It carried credentials or cookies, and the key does not say whose: only what is public may be stored. */
  readonly isPersonal: boolean;
  /** The request forbids it. */
  readonly noStore: boolean;
  /** On the clock that all threads share. */
  readonly askedAt: number;
  readonly answeredAt: number;
  readonly wall: number;
}

/** RFC 9110 §15: what we understand, for `must-understand`. */
const UNDERSTOOD = new Set([
  ...[200, 201, 202, 203, 204, 205, 300, 301, 302, 303, 305, 307, 308],
  ...[400, 401, 402, 403, 404, 405, 406, 407, 408, 409, 410, 411, 412, 413, 414, 415, 416, 417, 421, 422, 426],
  ...[500, 501, 502, 503, 504, 505],
]);
/** Of those RFC 9110 §15.1 lets a cache guess about: the good ones, and the bad ones that do not depend on the request's form. */
const SILENT_GOOD = new Set([200, 203, 204, 300, 301, 308]);
const SILENT_BAD = new Set([404, 405, 410, 501]);
/** Partial and "use what you have" are no answers by themselves; 101 is none at all. */
const INCOMPLETE = new Set([206, 304]);

const DAY_MS = 86_400_000;
/** RFC 9213 §2: the most specific first. */
const TARGETED = ['aya-cache-control', 'cdn-cache-control'];
const TAG_FIELDS = ['surrogate-key', 'cache-tag'];
/** Not for clients, or for nobody after this answer: Age is counted on, what caches before us did is old. */
const NOT_STORED = new Set(['age', 'cache-status', 'aya-cache-control', ...TAG_FIELDS]);
/** What clients are not shown of any answer. */
const HIDDEN = new Set(['aya-cache-control', ...TAG_FIELDS]);

/** @returns undefined: it must not be stored. */
export function judge(
  status: number,
  fields: readonly string[],
  at: Circumstances,
  options: CacheOptions,
): StoredHead | undefined {
  if (status < 200 || INCOMPLETE.has(status) || at.noStore || isEventStream(fields)) return undefined;
  // What sets a cookie is for one client, whatever else it says.
  if (fieldOf(fields, 'set-cookie') !== undefined) return undefined;
  const { said, isTargeted } = controlOf(fields);
  if (said.doubtful || said.private) return undefined;
  if (said.noStore && !(said.mustUnderstand && UNDERSTOOD.has(status))) return undefined;
  if (said.mustUnderstand && !UNDERSTOOD.has(status)) return undefined;
  const isPublic = said.public || said.sMaxage !== undefined || said.mustRevalidate;
  if (at.isPersonal && !isPublic) return undefined;
  const vary = varyOf(fields);
  if (vary === undefined) return undefined;

  const date = parseHttpDate(fieldOf(fields, 'date') ?? '', at.wall);
  const dateMs = Number.isNaN(date) ? at.wall : date;
  const lastModified = fieldOf(fields, 'last-modified');
  const modifiedMs = lastModified === undefined ? NaN : parseHttpDate(lastModified, at.wall);
  const etag = fieldOf(fields, 'etag');
  const explicitMs = explicitLifetime(fields, said, isTargeted, dateMs, at.wall);
  const freshMs = explicitMs ?? guessedLifetime(status, dateMs - modifiedMs, options);
  if (freshMs === undefined) return undefined;
  const head = {
    key: at.key,
    url: at.url,
    vary,
    variant: variantOf(vary, at.requestFields),
    tags: tagsOf(fields),
    status,
    fields: storedFields(fields, at.wall),
    storedAt: at.answeredAt,
    initialAgeMs: initialAge(fields, dateMs, at),
    freshMs,
    ...staleTimes(said, options),
    noCache: said.noCache,
    isPublic,
    etag: etag !== undefined && isEntityTag(etag) ? etag : undefined,
    lastModified: Number.isNaN(modifiedMs) ? undefined : lastModified,
    modifiedMs: Number.isNaN(modifiedMs) ? undefined : modifiedMs,
    dateMs,
  };
  return isOfUse(head) ? head : undefined;
}

/** Neither fresh for a moment, nor good when stale, nor to be confirmed: nobody would ever get it. */
function isOfUse(head: StoredHead): boolean {
  const isFresh = !head.noCache && head.freshMs > head.initialAgeMs;
  return isFresh || hasValidator(head) || head.staleIfErrorMs > 0 || head.staleWhileRevalidateMs > 0;
}

export function hasValidator({ etag, lastModified }: StoredHead): boolean {
  return etag !== undefined || lastModified !== undefined;
}

function controlOf(fields: readonly string[]): { said: Directives; isTargeted: boolean } {
  for (const name of TARGETED) {
    const value = fieldOf(fields, name);
    const said = value === undefined ? undefined : parseTargeted(value);
    if (said !== undefined) return { said, isTargeted: true };
  }
  return { said: parseCacheControl(fieldOf(fields, 'cache-control') ?? ''), isTargeted: false };
}

/** RFC 9111 §4.2.1. @returns undefined where nothing is said. */
function explicitLifetime(
  fields: readonly string[],
  said: Directives,
  isTargeted: boolean,
  dateMs: number,
  wall: number,
): number | undefined {
  const seconds = said.sMaxage ?? said.maxAge;
  if (seconds !== undefined) return seconds * 1000;
  // RFC 9213 §2.2: what is for us takes the place of Expires, too.
  const expires = isTargeted ? undefined : fieldOf(fields, 'expires');
  if (expires !== undefined) {
    const expiresMs = parseHttpDate(expires, wall);
    // RFC 9111 §5.3: what is no date, `0` above all, has expired.
    return Number.isNaN(expiresMs) ? 0 : Math.max(0, expiresMs - dateMs);
  }
  return said.noCache ? 0 : undefined;
}

/** RFC 9111 §4.2.2, where the route asks for it. 0: it is kept to be confirmed. */
function guessedLifetime(status: number, unchangedMs: number, options: CacheOptions): number | undefined {
  if (SILENT_BAD.has(status)) return options.negativeTtl ?? heuristic(unchangedMs, options);
  if (!SILENT_GOOD.has(status)) return undefined;
  return heuristic(unchangedMs, options) ?? options.ttl ?? 0;
}

function heuristic(unchangedMs: number, { heuristic: share }: CacheOptions): number | undefined {
  return share === undefined || !(unchangedMs > 0) ? undefined : Math.min(unchangedMs * share, DAY_MS);
}

/** RFC 9111 §4.2.3: the larger of what the way took and what it says itself. */
function initialAge(fields: readonly string[], dateMs: number, { askedAt, answeredAt, wall }: Circumstances): number {
  const apparent = Math.max(0, wall - dateMs);
  return Math.max(apparent, ageOf(fields) * 1000 + (answeredAt - askedAt));
}

/** RFC 9111 §5.1: the first member counts; one that is no number is as if it were not there. */
function ageOf(fields: readonly string[]): number {
  const first = (fieldOf(fields, 'age') ?? '').split(',')[0]!.trim();
  return /^\d+$/.test(first) ? Math.min(Number(first), 2 ** 31) : 0;
}

/** RFC 9110 §6.6.1: an answer without Date gets that of its coming, or each hit would seem to be made anew. */
function storedFields(fields: readonly string[], wall: number): string[] {
  const stored = withoutFields(fields, NOT_STORED);
  if (fieldOf(fields, 'date') === undefined) stored.push('date', new Date(wall).toUTCString());
  return stored;
}

/** RFC 5861. The route speaks where the answer does not, and never against it. */
function staleTimes(said: Directives, options: CacheOptions) {
  // RFC 9111 §5.2.2.10: s-maxage says proxy-revalidate with it, unless it is said how stale it may be.
  const forbidsDefault = said.mustRevalidate || said.noCache || said.sMaxage !== undefined;
  const time = (written: number | undefined, otherwise: number) => {
    if (said.mustRevalidate || said.noCache) return 0;
    if (written !== undefined) return written * 1000;
    return forbidsDefault ? 0 : otherwise;
  };
  return {
    staleWhileRevalidateMs: time(said.staleWhileRevalidate, options.staleWhileRevalidate),
    staleIfErrorMs: time(said.staleIfError, options.staleIfError),
  };
}

function tagsOf(fields: readonly string[]): string[] {
  const spaced = fieldOf(fields, 'surrogate-key') ?? '';
  const listed = fieldOf(fields, 'cache-tag') ?? '';
  return [...new Set([...spaced.split(/[ ,]+/).filter((tag) => tag !== ''), ...listOf(listed)])];
}

/** RFC 9110 §8.8.3. */
function isEntityTag(text: string): boolean {
  return /^(?:W\/)?"[\x21\x23-\x7e\x80-\xff]*"$/.test(text);
}

/** Takes out what was said to caches alone. In place. */
export function hideFields(fields: string[]): void {
  for (let at = fields.length - 2; at >= 0; at -= 2) {
    const { length } = fields[at]!;
    if ((length === 9 || length === 13 || length === 17) && HIDDEN.has(fields[at]!.toLowerCase())) fields.splice(at, 2);
  }
}
