/** Schemas and values in the words of whoever writes the files. Also used by the reference pages. */
import { withoutUserInfo } from './redact.ts';
import { isObject } from './merge.ts';
import { didYouMean } from './nearest.ts';
import { fits } from './fits.ts';
import type { JsonSchema } from './user-schema.ts';

/** `a duration such as 250ms, 5s or 1m`, `round-robin, random or an object with hash`. */
export function describe(schema: JsonSchema): string {
  if (schema.title !== undefined) return withExamples(article(schema.title), schema.examples);
  if (schema.anyOf !== undefined) return list(unique(schema.anyOf.map(describe)));
  if (schema.enum !== undefined) return list(schema.enum.map(String));
  if ('const' in schema) return String(schema.const);
  switch (schema.type) {
    case 'string':
      return withExamples('text', schema.examples);
    case 'integer':
      return 'a whole number';
    case 'number':
      return 'a number';
    case 'boolean':
      return 'true or false';
    case 'array':
      return 'a list';
    case 'object':
      return schema.required === undefined ? 'an object' : `an object with ${listAll(schema.required)}`;
    default:
      return 'something else';
  }
}

/** `'5 s'`, `5 (a number)`, `a list`. */
export function describeValue(value: unknown): string {
  if (value === null || value === undefined) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  if (isObject(value)) return withKeys(value);
  if (typeof value === 'string') {
    const text = withoutUserInfo(value);
    return `'${text.length > 80 ? `${text.slice(0, 80)}…` : text}'`;
  }
  return typeof value === 'number' ? `${value} (a number)` : String(value);
}

/** Keys are what tells objects apart. */
function withKeys(value: object): string {
  const keys = Object.keys(value);
  return keys.length === 0 || keys.length > 3 ? 'an object' : `an object with ${listAll(keys)}`;
}

const UNITS: Readonly<Record<string, readonly string[]>> = {
  duration: ['s'],
  size: ['B'],
  percentage: ['%'],
};

/** What to write instead, when it can be guessed from what was written. */
export function rewritten(schema: JsonSchema, value: unknown): string | undefined {
  const guess = candidates(schema, value).find((candidate) => fits(schema, candidate));
  if (guess !== undefined)
    return `write ${typeof value !== 'string' && typeof guess === 'string' ? quoted(guess) : String(guess)}?`;
  if (isObject(value)) return misspelt(schema, Object.keys(value));
  return typeof value === 'string' ? (didYouMean(value, words(schema)) ?? wrapped(schema, value)) : undefined;
}

/** The key that would have told which object was meant. */
function misspelt(schema: JsonSchema, keys: readonly string[]): string | undefined {
  const telling = schemasWithin(schema).flatMap(({ required = [] }) => required);
  return keys.map((key) => didYouMean(key, telling)).find((hint) => hint !== undefined);
}

/** The one thing that an object has to say, said without the object: `header:x-user` for `{ hash: header:x-user }`. */
function wrapped(schema: JsonSchema, value: string): string | undefined {
  const keys = schemasWithin(schema).flatMap(({ type, required = [] }) => (type === 'object' ? [required] : []));
  const key = keys.find(
    ([first, ...more]) => first !== undefined && more.length === 0 && fits(schema, { [first]: value }),
  );
  return key === undefined ? undefined : `write { ${key[0]}: ${value} }?`;
}

function candidates(schema: JsonSchema, value: unknown): (string | number | boolean | readonly unknown[])[] {
  if (typeof value === 'number' || typeof value === 'boolean') {
    const titles = schemasWithin(schema).flatMap(({ title }) => title ?? []);
    // A text of a certain kind is not meant by a truth.
    if (typeof value === 'boolean') return titles.length > 0 ? [] : [String(value)];
    return [...titles.flatMap((title) => UNITS[title] ?? []).map((unit) => `${value}${unit}`), String(value)];
  }
  if (typeof value !== 'string') return [];
  const squeezed = value.replace(/\s+/g, '');
  const number = Number(value);
  return [
    squeezed,
    squeezed.toUpperCase(),
    squeezed.toLowerCase(),
    squeezed.replace(/^(\d+)([kmg])i?b?$/i, (_, digits: string, unit: string) => `${digits}${unit.toUpperCase()}iB`),
    squeezed.replace(/(\d)(?:sec|secs|seconds?)$/, '$1s').replace(/(\d)(?:min|mins|minutes?)$/, '$1m'),
    ...(value !== '' && Number.isFinite(number) ? [number] : []),
    ...(value === 'yes' || value === 'on' ? [true] : value === 'no' || value === 'off' ? [false] : []),
    ...(value.startsWith('/') || value === '' ? [] : [`/${squeezed}`, `http://${squeezed}`]),
  ].filter((candidate) => candidate !== value);
}

/** YAML would read `5` as a number again. */
const quoted = (text: string) => (/^[-+.\d]+$/.test(text) || /^(true|false)$/.test(text) ? `"${text}"` : text);

const schemasWithin = (schema: JsonSchema): readonly JsonSchema[] => schema.anyOf?.flatMap(schemasWithin) ?? [schema];

const words = (schema: JsonSchema): string[] =>
  schemasWithin(schema).flatMap((part) =>
    (part.enum ?? ('const' in part ? [part.const] : [])).filter((word) => typeof word === 'string'),
  );

const unique = (parts: readonly string[]) => [...new Set(parts)];
const list = (parts: readonly string[]) => {
  if (parts.length < 2) return parts.join();
  const before = parts.slice(0, -1).join(', ');
  return `${before}${/ or | such as /.test(before) ? ',' : ''} or ${parts.at(-1)}`;
};
const listAll = (parts: readonly string[]) => list(parts).replace(/ or (?=[^,]*$)/, ' and ');

function withExamples(what: string, examples: readonly unknown[] | undefined): string {
  return examples === undefined || examples.length === 0
    ? what
    : `${what} such as ${list(examples.slice(0, 3).map(String))}`;
}

/** `a duration`, `an endpoint`, `a URL`; plurals stand by themselves. */
const article = (title: string) =>
  title.endsWith('s') && !title.endsWith('ss') ? title : /^[aeio]/i.test(title) ? `an ${title}` : `a ${title}`;
