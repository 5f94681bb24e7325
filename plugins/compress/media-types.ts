/** Which media types are worth it. */

/** @param contentType as it stands in the field, with parameters. */
export type TypeTest = (contentType: string) => boolean;

const EVENT_STREAM = 'text/event-stream';
const GRPC = /^application\/grpc(?:$|[+-])/;

const MAX_REMEMBERED = 256;
const LONGEST_REMEMBERED = 128;

/** Each event must leave at once, and gRPC frames its messages and compresses them itself. */
export function isNeverCompressed(type: string): boolean {
  return type === EVENT_STREAM || GRPC.test(type);
}

/** @param patterns `type/subtype`, `type/*`, `type/*+suffix`. */
export function compileTypes(patterns: readonly string[]): TypeTest {
  const exact = new Set<string>();
  const wild: { readonly start: string; readonly end: string }[] = [];
  for (const pattern of patterns.map((each) => each.toLowerCase())) {
    const star = pattern.indexOf('/*') + 1;
    if (star === 0) exact.add(pattern);
    else wild.push({ start: pattern.slice(0, star), end: pattern.slice(star + 1) });
  }
  const test = (type: string) =>
    !isNeverCompressed(type) &&
    (exact.has(type) || wild.some(({ start, end }) => type.startsWith(start) && type.endsWith(end)));

  const remembered = new Map<string, boolean>();
  return (contentType) => {
    const known = remembered.get(contentType);
    if (known !== undefined) return known;
    const found = test(contentType.split(';', 1)[0]!.trim().toLowerCase());
    if (contentType.length > LONGEST_REMEMBERED) return found;
    if (remembered.size === MAX_REMEMBERED) remembered.clear();
    remembered.set(contentType, found);
    return found;
  };
}
