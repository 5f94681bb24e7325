/**
 * What the user wrote, valid → what the code sees: defaults filled in, words decoded to numbers. TypeBox's own
 * `Value.Default` does not look inside records and unions, of which the language is full; its `Decode` reads each word.
 */
import Type, { type TSchema } from 'typebox';
import Value from 'typebox/value';
import { fits } from './fits.ts';
import { isObject } from './merge.ts';
import type { JsonSchema } from './user-schema.ts';

/** @param value valid by the user's form of `schema`; undefined when it was not written. It is not changed. */
export function complete(schema: TSchema | JsonSchema, value: unknown): unknown {
  const { default: written, anyOf, properties, patternProperties, items } = schema as JsonSchema;
  const given = value === undefined ? written : value;
  if (given === undefined) return undefined;
  if (Type.IsCodec(schema)) return Value.Decode(schema, given);
  if (anyOf !== undefined) return complete(anyOf.find((branch) => fits(branch, given)) ?? {}, given);
  if (Array.isArray(given)) return given.map((item) => complete(items ?? {}, item));
  if (!isObject(given)) return given;
  if (properties !== undefined) return completeProperties(properties, given);
  const [each = {}] = Object.values(patternProperties ?? {});
  return Object.fromEntries(Object.entries(given).map(([key, part]) => [key, complete(each, part)]));
}

function completeProperties(properties: Readonly<Record<string, JsonSchema>>, given: Record<string, unknown>): unknown {
  const completed: Record<string, unknown> = {};
  for (const [key, schema] of Object.entries(properties)) {
    const value = complete(schema, given[key]);
    if (value !== undefined) completed[key] = value;
  }
  return completed;
}
