/** JSON of strangers: an object in which no name stands twice. Two parsers may read a repeated name differently. */

export type JsonObject = Readonly<Record<string, unknown>>;

/** Nothing that is signed for us is deeper. */
const DEEPEST = 32;

/** @returns undefined for what is no such object. */
export function parseStrictObject(text: string): JsonObject | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  return isStrict(text) ? (value as JsonObject) : undefined;
}

const MARKS = /"(?:[^"\\]|\\.)*"|[{}[\]:]/g;

/** @param json is known to be valid. */
function isStrict(json: string): boolean {
  /** The names so far of each object that is open; undefined for a list. */
  const open: (Set<string> | undefined)[] = [];
  let latestText = '';
  for (const [mark] of json.matchAll(MARKS)) {
    if (mark === '{' || mark === '[') {
      open.push(mark === '{' ? new Set() : undefined);
      if (open.length > DEEPEST) return false;
    } else if (mark === '}' || mark === ']') {
      open.pop();
    } else if (mark !== ':') {
      latestText = mark;
    } else {
      const names = open.at(-1)!;
      const name = JSON.parse(latestText) as string;
      if (names.has(name)) return false;
      names.add(name);
    }
  }
  return true;
}

/** A member by its exact name, else, where the name has dots, of the objects inside: `realm_access.roles`. */
export function memberAt(object: JsonObject, name: string): unknown {
  if (Object.hasOwn(object, name)) return object[name];
  let value: unknown = object;
  for (const step of name.split('.')) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, step)) return undefined;
    value = (value as JsonObject)[step];
  }
  return value;
}
