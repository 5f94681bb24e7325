/** What a client that has something already, or wants a part, gets of a stored answer (RFC 9110 §13 and §14). */
import type { StoredHead } from '../../src/cache/stored-answer.ts';
import { listOf } from './fields.ts';
import { weakly } from './freshen.ts';
import { parseHttpDate } from './http-date.ts';
import type { RequestTerms } from './terms.ts';

/** RFC 9110 §13.2.2: If-None-Match decides where it is there, else If-Modified-Since. */
export function isNotModified(stored: StoredHead, terms: RequestTerms, wall: number): boolean {
  if (stored.status !== 200) return false;
  const { ifNoneMatch, ifModifiedSince } = terms;
  if (ifNoneMatch !== undefined) return matchesTag(ifNoneMatch, stored.etag);
  if (ifModifiedSince === undefined) return false;
  const since = parseHttpDate(ifModifiedSince, wall);
  // RFC 9111 §4.3.2: without Last-Modified, when it was made.
  return (stored.modifiedMs ?? stored.dateMs) <= since;
}

function matchesTag(listed: string, etag: string | undefined): boolean {
  if (listed.trim() === '*') return true;
  if (etag === undefined) return false;
  return tagsIn(listed).some((tag) => weakly(tag) === weakly(etag));
}

/** A tag may hold a comma. */
function tagsIn(listed: string): string[] {
  return listed.match(/(?:W\/)?"[^"]*"/g) ?? listOf(listed);
}

export interface ByteRange {
  readonly from: number;
  /** Exclusive. */
  readonly to: number;
}

/** One range of a stored whole; `whole` where there is none, several, or one that is for another version; else `unsatisfiable`. */
export function rangeOf(
  stored: StoredHead,
  terms: RequestTerms,
  length: number,
): ByteRange | 'whole' | 'unsatisfiable' {
  const { range } = terms;
  if (range === undefined || stored.status !== 200 || !isForThisVersion(stored, terms.ifRange)) return 'whole';
  const found = /^bytes=[ \t]*(\d*)-(\d*)[ \t]*$/i.exec(range);
  if (found === null) return 'whole';
  const [, first = '', last = ''] = found;
  if (first === '') {
    const suffix = Number(last);
    if (last === '') return 'whole';
    return suffix === 0 || length === 0 ? 'unsatisfiable' : { from: Math.max(0, length - suffix), to: length };
  }
  const from = Number(first);
  if (last !== '' && Number(last) < from) return 'whole';
  if (from >= length) return 'unsatisfiable';
  return { from, to: last === '' ? length : Math.min(length, Number(last) + 1) };
}

/** RFC 9110 §13.1.5: a strong validator alone can say so. */
function isForThisVersion(stored: StoredHead, ifRange: string | undefined): boolean {
  if (ifRange === undefined) return true;
  if (ifRange.startsWith('"')) return ifRange === stored.etag;
  // A date is strong where the answer was made at least a second after it (§8.8.2.2).
  const { lastModified, modifiedMs, dateMs } = stored;
  return ifRange === lastModified && modifiedMs !== undefined && dateMs - modifiedMs >= 1000;
}
