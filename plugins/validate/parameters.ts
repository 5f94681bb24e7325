/**
 * Parameters as schemas see them: texts decoded, lists gathered, and what a schema wants as number or boolean turned into
 * one, by exact spelling only. What cannot be turned stays text, for the schema to refuse.
 */
import type { Exchange } from '../../src/data/exchange.ts';
import { complaint, segment, type Complaint, type Part } from './complaint.ts';
import { isNode, lookUp } from './openapi-dialect.ts';
import type { JsonSchema } from './options.ts';
import type { Validator } from './schemas.ts';

/** How one parameter is read. */
export interface Kind {
  readonly types: ReadonlySet<string>;
  /** Of a list; undefined: no list. */
  readonly items: Kind | undefined;
  /** What stands between the items of a list; undefined: the parameter is repeated. */
  readonly separator: string | undefined;
  /** `name[property]=value`: the properties. */
  readonly deep: ReadonlyMap<string, Kind> | undefined;
}

/** All parameters in one part of a request. */
export interface ParameterGroup {
  readonly part: Exclude<Part, 'body'>;
  readonly kinds: ReadonlyMap<string, Kind>;
  readonly validate: Validator;
}

export function checkParameters(
  group: ParameterGroup,
  exchange: Exchange,
  path: ReadonlyMap<string, string>,
): readonly Complaint[] | undefined {
  const values = new Map<string, string[]>();
  const fault = READERS[group.part](exchange, group, values, path);
  if (fault !== undefined) return [fault];
  // Without a prototype: a parameter may be named `__proto__`.
  const object = Object.create(null) as Record<string, unknown>;
  for (const [name, texts] of values) {
    const kind = group.kinds.get(name);
    if (kind?.items === undefined && kind !== undefined && texts.length > 1) {
      return [complaint(group.part, 'must appear once', segment(name))];
    }
    object[name] = valueOf(texts, kind);
  }
  for (const [name, kind] of group.kinds) {
    if (kind.deep === undefined || !gatherDeep(object, name, kind.deep, values)) continue;
    // As a text and by its properties: which of them counts differs from reader to reader.
    if (values.has(name)) return [complaint(group.part, 'must appear once', segment(name))];
  }
  return group.validate(object);
}

// --- where they stand ------------------------------------------------------------------------------------------------

type Values = Map<string, string[]>;
type Reader = (
  exchange: Exchange,
  group: ParameterGroup,
  values: Values,
  path: ReadonlyMap<string, string>,
) => Complaint | undefined;

const READERS: Readonly<Record<ParameterGroup['part'], Reader>> = {
  query: (exchange, _group, values) => readQuery(exchange.search, values),
  path: (_exchange, _group, values, path) => {
    for (const [name, value] of path) values.set(name, [value]);
    return undefined;
  },
  header: (exchange, { kinds }, values) => {
    for (const name of kinds.keys()) {
      const value = exchange.header(name);
      if (value !== undefined) values.set(name, [value]);
    }
    return undefined;
  },
  cookie: ({ head }, _group, values) => {
    readCookies(head.visible, values);
    return undefined;
  },
};

/** As forms encode them: `+` is a space. Unlike conditions of a route, a bad escape is an error. */
function readQuery(search: string, values: Values): Complaint | undefined {
  for (const pair of search.split('&')) {
    if (pair === '') continue;
    const equals = pair.indexOf('=');
    const name = decoded(equals === -1 ? pair : pair.slice(0, equals));
    const value = equals === -1 ? '' : decoded(pair.slice(equals + 1));
    if (name === undefined) return complaint('query', 'a name must be percent-encoded UTF-8');
    if (value === undefined) return complaint('query', 'must be percent-encoded UTF-8', segment(name));
    add(values, name, value);
  }
  return undefined;
}

function decoded(text: string): string | undefined {
  const spaced = text.replaceAll('+', ' ');
  if (!spaced.includes('%')) return spaced;
  try {
    return decodeURIComponent(spaced);
  } catch {
    return undefined;
  }
}

function readCookies(fields: readonly string[], values: Values): void {
  for (let at = 0; at < fields.length; at += 2) {
    if (fields[at]!.toLowerCase() !== 'cookie') continue;
    for (const pair of fields[at + 1]!.split(';')) {
      const equals = pair.indexOf('=');
      if (equals !== -1) add(values, pair.slice(0, equals).trim(), pair.slice(equals + 1).trim());
    }
  }
}

function add(values: Values, name: string, value: string): void {
  const before = values.get(name);
  if (before === undefined) values.set(name, [value]);
  else before.push(value);
}

// --- what they are ---------------------------------------------------------------------------------------------------

function valueOf(texts: readonly string[], kind: Kind | undefined): unknown {
  if (kind?.items === undefined) {
    const [only, second] = texts;
    return second === undefined ? turned(only!, kind) : texts;
  }
  const { items, separator } = kind;
  const parts = separator === undefined ? texts : texts.flatMap((text) => text.split(separator));
  return parts.map((part) => turned(separator === ',' ? part.trim() : part, items));
}

const INTEGER = /^-?(?:0|[1-9]\d*)$/;
const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;

/** A text where the schema takes text; else what its spelling says exactly. */
function turned(text: string, kind: Kind | undefined): unknown {
  if (kind === undefined || kind.types.has('string')) return text;
  const { types } = kind;
  if (types.has('boolean') && (text === 'true' || text === 'false')) return text === 'true';
  if (types.has('null') && text === 'null') return null;
  const isNumber = types.has('number') ? NUMBER.test(text) : types.has('integer') && INTEGER.test(text);
  // Beyond these a number is no longer what was written.
  if (isNumber && Number.isFinite(Number(text)) && (!INTEGER.test(text) || Number.isSafeInteger(Number(text)))) {
    return Number(text);
  }
  return text;
}

/** OpenAPI's deepObject, one level deep. @returns whether there is one. */
function gatherDeep(
  object: Record<string, unknown>,
  name: string,
  kinds: ReadonlyMap<string, Kind>,
  values: Values,
): boolean {
  const gathered = Object.create(null) as Record<string, unknown>;
  for (const [written, texts] of values) {
    if (!written.startsWith(`${name}[`) || !written.endsWith(']')) continue;
    const property = written.slice(name.length + 1, -1);
    gathered[property] = valueOf(texts, kinds.get(property));
    object[name] = gathered;
    delete object[written];
  }
  return object[name] === gathered;
}

// --- what a schema wants ---------------------------------------------------------------------------------------------

/** @param document for references. */
export function kindOf(schema: unknown, document: JsonSchema, separator?: string, isDeep = false): Kind {
  const types = typesOf(schema, document, 0);
  const { items, properties } = resolved(schema, document);
  const deep = isDeep && isNode(properties) ? kindsOf(properties, document) : undefined;
  const isList = types.has('array');
  return { types, items: isList ? kindOf(items, document) : undefined, separator, deep };
}

export function kindsOf(properties: JsonSchema, document: JsonSchema): ReadonlyMap<string, Kind> {
  return new Map(Object.entries(properties).map(([name, schema]) => [name, kindOf(schema, document)]));
}

const MOST_HOPS = 16;

function resolved(schema: unknown, document: JsonSchema): JsonSchema {
  let at = schema;
  for (let hops = 0; isNode(at) && typeof at.$ref === 'string' && hops < MOST_HOPS; hops++)
    at = lookUp(document, at.$ref);
  return isNode(at) ? at : {};
}

/** The JSON types that it lets pass, as far as it names them. */
function typesOf(schema: unknown, document: JsonSchema, depth: number): ReadonlySet<string> {
  const { type, nullable, anyOf, oneOf, allOf, enum: values, const: value } = resolved(schema, document);
  const types = new Set([type ?? []].flat().map(String));
  if (nullable === true) types.add('null');
  if (type !== undefined || depth > MOST_HOPS) return types;
  for (const branches of [anyOf, oneOf, allOf]) {
    if (!Array.isArray(branches)) continue;
    for (const branch of branches) for (const each of typesOf(branch, document, depth + 1)) types.add(each);
  }
  for (const each of Array.isArray(values) ? values : value === undefined ? [] : [value]) types.add(typeof each);
  return types;
}
