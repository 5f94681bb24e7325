/** Content-Type, read strictly and in this one place: what is validated must be what the service will take it for. */

export interface MediaType {
  /** `type/subtype`, in lower case. */
  readonly essence: string;
  /** In lower case; undefined when not given. */
  readonly charset: string | undefined;
}

const TOKEN = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";
const QUOTED = '"(?:[\\t !#-[\\]-~]|\\\\[\\t -~])*"';
const ESSENCE = new RegExp(`^(${TOKEN}/${TOKEN})`);
// RFC 9110 §5.6.6: a parameter may be empty.
const PARAMETER = new RegExp(`[ \\t]*;[ \\t]*(?:(${TOKEN})=(${TOKEN}|${QUOTED}))?`, 'y');

/** @returns undefined for what is not exactly one media type (RFC 9110 §8.3.1), or names a parameter twice. */
export function parseMediaType(field: string): MediaType | undefined {
  const essence = ESSENCE.exec(field)?.[1];
  if (essence === undefined) return undefined;
  const names = new Set<string>();
  let charset: string | undefined;
  let at = essence.length;
  while (at < field.length) {
    PARAMETER.lastIndex = at;
    const found = PARAMETER.exec(field);
    if (found === null) return undefined;
    at = PARAMETER.lastIndex;
    const [, written, value = ''] = found;
    if (written === undefined) continue;
    const name = written.toLowerCase();
    if (names.has(name)) return undefined;
    names.add(name);
    if (name === 'charset') charset = unquoted(value).toLowerCase();
  }
  return { essence: essence.toLowerCase(), charset };
}

const unquoted = (value: string) => (value.startsWith('"') ? value.slice(1, -1).replace(/\\(.)/g, '$1') : value);

/** RFC 8259 §11, RFC 6839 §3.1. */
export const isJson = (essence: string): boolean => essence === 'application/json' || essence.endsWith('+json');

/** @param range `type/subtype`, `type/*` or the range of all, in lower case. */
export function isWithin(essence: string, range: string): boolean {
  if (range === '*/*' || range === essence) return true;
  return range.endsWith('/*') && essence.startsWith(range.slice(0, -1));
}
