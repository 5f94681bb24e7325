/** Whether a body is the one that was signed: its Content-Digest (RFC 9530). */
import { hash, timingSafeEqual } from 'node:crypto';
import { parseDictionary } from 'structured-headers';

const ALGORITHMS = new Map([
  ['sha-256', 'sha256'],
  ['sha-512', 'sha512'],
]);

/** True when at least one digest is of a strong algorithm, and all of those are right. */
export function hasDigest(field: string | undefined, body: Buffer): boolean {
  if (field === undefined) return false;
  let compared = 0;
  try {
    for (const [name, [value]] of parseDictionary(field)) {
      const algorithm = ALGORITHMS.get(name);
      if (algorithm === undefined) continue;
      if (!(value instanceof ArrayBuffer)) return false;
      const stated = Buffer.from(value);
      const actual = hash(algorithm, body, 'buffer');
      if (stated.length !== actual.length || !timingSafeEqual(stated, actual)) return false;
      compared++;
    }
  } catch {
    return false;
  }
  return compared > 0;
}
