/** A stored answer and a newer word about it: a 304 to a question of ours (RFC 9111 §4.3.4), or the head of a HEAD (§4.3.5). */
import type { StoredHead } from '../../src/cache/stored-answer.ts';
import { fieldOf } from './fields.ts';

/** About the stored body, which has not changed (RFC 9111 §3.2). */
const OF_THE_BODY = new Set(['content-length', 'content-encoding', 'content-range']);

/** The request's fields with our validators instead of the client's conditions: the answer is for the store, not for one. */
export function conditionalFields(fields: readonly string[], stored: StoredHead | undefined): string[] {
  const asked: string[] = [];
  for (let at = 0; at < fields.length; at += 2) {
    if (!isConditional(fields[at]!)) asked.push(fields[at]!, fields[at + 1]!);
  }
  if (stored?.etag !== undefined) asked.push('if-none-match', stored.etag);
  if (stored?.lastModified !== undefined) asked.push('if-modified-since', stored.lastModified);
  return asked;
}

const CONDITIONAL = new Set(['range', 'if-range', 'if-none-match', 'if-modified-since']);

function isConditional(name: string): boolean {
  const { length } = name;
  return (length === 5 || length === 8 || length === 13 || length === 17) && CONDITIONAL.has(name.toLowerCase());
}

/** Whether a 304 speaks of this answer: it names no other validator. */
export function isAbout(stored: StoredHead, fields: readonly string[]): boolean {
  const etag = fieldOf(fields, 'etag');
  if (etag !== undefined && stored.etag !== undefined) return weakly(etag) === weakly(stored.etag);
  const modified = fieldOf(fields, 'last-modified');
  return etag !== undefined || modified === undefined || modified === stored.lastModified || stored.etag !== undefined;
}

/** Whether the head of a HEAD is that of the stored answer. */
export function isSameAnswer(stored: StoredHead, fields: readonly string[]): boolean {
  return ['etag', 'last-modified', 'content-length'].every((name) => {
    const now = fieldOf(fields, name);
    return now === undefined || now === fieldOf(stored.fields, name);
  });
}

/** The stored fields, each replaced by those of its name that came now. */
export function updatedFields(stored: readonly string[], fields: readonly string[]): string[] {
  const names = new Set<string>();
  for (let at = 0; at < fields.length; at += 2) {
    const name = fields[at]!.toLowerCase();
    if (!OF_THE_BODY.has(name)) names.add(name);
  }
  const updated: string[] = [];
  for (let at = 0; at < stored.length; at += 2) {
    if (!names.has(stored[at]!.toLowerCase())) updated.push(stored[at]!, stored[at + 1]!);
  }
  for (let at = 0; at < fields.length; at += 2) {
    if (names.has(fields[at]!.toLowerCase())) updated.push(fields[at]!, fields[at + 1]!);
  }
  return updated;
}

export function weakly(etag: string): string {
  return etag.startsWith('W/') ? etag.slice(2) : etag;
}
