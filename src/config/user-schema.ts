/**
 * The schemas as the people who write files see them: what has a default may be left out. The code sees the schemas of
 * schema.ts, in which everything is there.
 */
import type { TSchema } from 'typebox';

/** The parts of JSON Schema that the language is made of. */
export interface JsonSchema {
  readonly type?: string;
  readonly title?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly examples?: readonly unknown[];
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly patternProperties?: Readonly<Record<string, JsonSchema>>;
  readonly additionalProperties?: boolean | JsonSchema;
  readonly required?: readonly string[];
  readonly items?: JsonSchema;
  readonly anyOf?: readonly JsonSchema[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly pattern?: string;
  readonly minimum?: number;
  readonly maximum?: number;
}

/** For validation. */
export function userSchema(schema: TSchema | JsonSchema): JsonSchema {
  return rewrite(schema as JsonSchema, optionalDefaults);
}

/** For editors: as for validation, and a placeholder may stand for any word or number. */
export function editorSchema(schema: TSchema | JsonSchema): JsonSchema {
  return rewrite(schema as JsonSchema, (part) => allowPlaceholder(optionalDefaults(part)));
}

function optionalDefaults(schema: JsonSchema): JsonSchema {
  const { required, properties = {}, ...rest } = schema;
  if (required === undefined) return schema;
  const needed = required.filter((key) => properties[key]?.default === undefined);
  return { ...rest, ...(needed.length > 0 ? { required: needed } : {}), properties };
}

const PLACEHOLDER = '\\$\\{[A-Za-z_]';

function allowPlaceholder(schema: JsonSchema): JsonSchema {
  if (schema.pattern !== undefined) return { ...schema, pattern: `(?:${schema.pattern})|${PLACEHOLDER}` };
  const isWord = schema.enum !== undefined || schema.const !== undefined;
  if (!isWord && !['integer', 'number', 'boolean'].includes(schema.type ?? '')) return schema;
  const { title, description, default: written, ...rest } = schema;
  const told = { title, description, default: written };
  return { ...withoutUndefined(told), anyOf: [rest, { type: 'string', pattern: PLACEHOLDER }] };
}

/** A copy in which `change` has been applied to every part, the innermost first. Symbols and codecs stay behind. */
function rewrite(schema: JsonSchema, change: (part: JsonSchema) => JsonSchema): JsonSchema {
  const each = (parts: Readonly<Record<string, JsonSchema>>) =>
    Object.fromEntries(Object.entries(parts).map(([key, part]) => [key, rewrite(part, change)]));
  const { properties, patternProperties, additionalProperties, items, anyOf, ...rest } = schema;
  return change(
    withoutUndefined({
      ...(JSON.parse(JSON.stringify(rest)) as JsonSchema),
      properties: properties && each(properties),
      patternProperties: patternProperties && each(patternProperties),
      additionalProperties:
        typeof additionalProperties === 'object' ? rewrite(additionalProperties, change) : additionalProperties,
      items: items && rewrite(items, change),
      anyOf: anyOf?.map((branch) => rewrite(branch, change)),
    }),
  );
}

function withoutUndefined(schema: { [Key in keyof JsonSchema]: JsonSchema[Key] | undefined }): JsonSchema {
  return Object.fromEntries(Object.entries(schema).filter(([, value]) => value !== undefined));
}
