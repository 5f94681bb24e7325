/** RFC 9110 §9.2.2: methods of which twice is the same as once, so that what may have been done already may be sent again. */

/** Safe methods, PUT and DELETE. Further ones are from WebDAV's registry and the QUERY draft. */
const IDEMPOTENT: ReadonlySet<string> = new Set([
  ...['GET', 'HEAD', 'OPTIONS', 'TRACE', 'QUERY', 'PROPFIND', 'REPORT', 'SEARCH'],
  ...['PUT', 'DELETE'],
]);

export function isIdempotent(method: string): boolean {
  return IDEMPOTENT.has(method);
}
