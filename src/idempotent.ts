/** RFC 9110 §9.2.2: safe methods, PUT and DELETE. Further ones are from WebDAV's registry and the QUERY draft. */
const IDEMPOTENT: ReadonlySet<string> = new Set([
  ...['GET', 'HEAD', 'OPTIONS', 'TRACE', 'QUERY', 'PROPFIND', 'REPORT', 'SEARCH'],
  ...['PUT', 'DELETE'],
]);

/** Twice is the same as once. */
export function isIdempotent(method: string): boolean {
  return IDEMPOTENT.has(method);
}
