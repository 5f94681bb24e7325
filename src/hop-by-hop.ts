/** Fields that are for one connection alone (RFC 9110 §7.6.1), and those that no trailer may bring (§6.5.1). */

/** Of an answer; a request's are in data/head.ts, where most of them mean something. */
export const HOP_BY_HOP: ReadonlySet<string> = new Set([
  'connection',
  // RFC 7540 §3.2.1, long obsolete; yet HTTP/2 refuses a message that holds it, and so does Node, by throwing.
  'http2-settings',
  'keep-alive',
  'proxy-connection',
  'proxy-authenticate',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** RFC 9110 §6.5.1: fields that must not be taken from a trailer section, for framing, routing, authentication or control. */
export const FORBIDDEN_TRAILERS: ReadonlySet<string> = new Set([
  ...HOP_BY_HOP,
  'content-length',
  'content-encoding',
  'content-type',
  'content-range',
  'host',
  'authorization',
  'set-cookie',
  'cache-control',
  'expires',
  'date',
  'age',
  'vary',
  'location',
  'retry-after',
  'www-authenticate',
]);

/**
 * Drops what Connection names. Nearly always it names nothing but `keep-alive` or `close`.
 * @param fields flat: name, value … changed in place.
 * @param from where to begin; what stands before is ours.
 * @returns whether any was dropped.
 */
export function dropNamed(fields: string[], connection: string, from: number): boolean {
  if (connection === 'keep-alive' || connection === 'close') return false;
  const named = new Set(
    connection
      .toLowerCase()
      .split(',')
      .map((name) => name.trim()),
  );
  const before = fields.length;
  for (let at = before - 2; at >= from; at -= 2) {
    if (named.has(fields[at]!.toLowerCase())) fields.splice(at, 2);
  }
  return fields.length < before;
}
