/**
 * Schemas of OpenAPI documents as JSON Schema for requests. OpenAPI 3.0 has spellings of its own (nullable, boolean
 * exclusive bounds); and what only answers carry (readOnly) is not required of a request.
 */
import type { JsonSchema } from './options.ts';

/** Data, not schemas. */
const DATA_KEYS = new Set(['example', 'examples', 'default', 'enum', 'const']);

/** @returns a copy; positions in it are those of the document. */
export function forRequests(document: JsonSchema): JsonSchema {
  const isOld = String(document.openapi).startsWith('3.0');
  return rewrite(document, document, isOld, false) as JsonSchema;
}

/** @param isNameMap the keys of `value` are names, whatever they look like. */
function rewrite(value: unknown, document: JsonSchema, isOld: boolean, isNameMap: boolean): unknown {
  if (Array.isArray(value)) return value.map((item) => rewrite(item, document, isOld, false));
  if (typeof value !== 'object' || value === null) return value;
  const node = value as JsonSchema;
  const changed = Object.fromEntries(
    Object.entries(node).map(([key, part]) => {
      if (!isNameMap && DATA_KEYS.has(key)) return [key, part];
      return [key, rewrite(part, document, isOld, !isNameMap && NAME_MAPS.has(key))];
    }),
  );
  if (isNameMap) return changed;
  if (isOld) modernise(changed);
  if (Array.isArray(node.required) && isNode(node.properties)) {
    const { properties } = node;
    changed.required = node.required.filter((name) => !isReadOnly(properties[String(name)], document));
  }
  return changed;
}

const NAME_MAPS = new Set(['properties', 'patternProperties', '$defs', 'definitions', 'dependentSchemas', 'schemas']);

function modernise(schema: Record<string, unknown>): void {
  // OAS 3.0.3 §4.7.24: nullable says something beside a type alone.
  if (typeof schema.nullable === 'boolean' && schema.type === undefined) delete schema.nullable;
  for (const [exclusive, bound] of [
    ['exclusiveMinimum', 'minimum'],
    ['exclusiveMaximum', 'maximum'],
  ] as const) {
    if (typeof schema[exclusive] !== 'boolean') continue;
    const isExclusive = schema[exclusive] && schema[bound] !== undefined;
    delete schema[exclusive];
    if (!isExclusive) continue;
    schema[exclusive] = schema[bound];
    delete schema[bound];
  }
}

function isReadOnly(property: unknown, document: JsonSchema): boolean {
  if (!isNode(property)) return false;
  if (property.readOnly === true) return true;
  return (
    typeof property.$ref === 'string' && (lookUp(document, property.$ref) as JsonSchema | undefined)?.readOnly === true
  );
}

/** What a reference within the document points at (RFC 6901 §6). */
export function lookUp(document: JsonSchema, reference: string): unknown {
  if (reference === '#') return document;
  if (!reference.startsWith('#/')) return undefined;
  let at: unknown = document;
  for (const part of reference.slice(2).split('/')) {
    const key = decoded(part).replaceAll('~1', '/').replaceAll('~0', '~');
    at = isNode(at) && Object.hasOwn(at, key) ? at[key] : undefined;
  }
  return at;
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

export function isNode(value: unknown): value is JsonSchema {
  return typeof value === 'object' && value !== null;
}
