/** Slow start and fallback as they are written → as the code sees them. */
import { checkFieldEdits } from '../data/fields.ts';
import { pointer, type Document } from './document.ts';
import type { FallbackConfig, SlowStartConfig, WrittenFallback } from './failover-schema.ts';
import type { OptionFiles } from './option-files.ts';
import type { Problem } from './problem.ts';

const MOST_BODY_BYTES = 64 * 1024;

export const slowStartFrom = (written: number | SlowStartConfig): SlowStartConfig =>
  typeof written === 'number' ? { for: written, aggression: 1, min: 0.1 } : written;

/** @param at of the fallback. @param files what its body may be in. */
export function fallbackFrom(
  written: WrittenFallback,
  document: Document,
  at: string,
  files: OptionFiles,
): { readonly fallback: FallbackConfig; readonly problems: readonly Problem[] } {
  const { on } = written;
  if ('pool' in written) return { fallback: { pool: written.pool, on }, problems: [] };
  const { status, headers } = written;
  const problems = checkFieldEdits({ response: { set: headers } }).map(({ path, message }) =>
    // As if they had been written under headers.response.set.
    document.error(document.valueAt(`${at}/headers${pointer(path.slice(2))}`), message),
  );
  let body = '';
  try {
    body = typeof written.body === 'object' ? files.text(written.body.file) : (written.body ?? '');
  } catch (error) {
    problems.push(document.error(document.valueAt(`${at}/body/file`), (error as Error).message));
  }
  const place = document.valueAt(`${at}/body`);
  if (Buffer.byteLength(body) > MOST_BODY_BYTES)
    problems.push(document.error(place, 'a fallback’s body is at most 64 KiB', 'let a pool serve it: { pool: … }'));
  if (body !== '' && (status === 204 || status === 205 || status === 304))
    problems.push(document.error(place, `an answer with ${status} has no body`));
  return { fallback: { answer: { status, body, headers }, on }, problems };
}
