/** ajv, set up once: whether plain data fits a schema, and everything that is wrong with it. */
import { Ajv, type ValidateFunction } from 'ajv';
import { userSchema, type JsonSchema } from './user-schema.ts';

const ajv = new Ajv({
  allErrors: true,
  verbose: true,
  strict: false,
  validateFormats: false,
  // The schemas are our own, checked by the tests, and each is used a few times: half of the start would go into polishing.
  validateSchema: false,
  code: { optimize: false },
});

export const compile = (schema: JsonSchema): ValidateFunction => ajv.compile(schema);

const compiled = new WeakMap<object, ValidateFunction>();

/** Whether what a user wrote fits a part of a schema, in which defaults may be left out. */
export function fits(schema: JsonSchema, value: unknown): boolean {
  let check = compiled.get(schema);
  if (check === undefined) compiled.set(schema, (check = compile(userSchema(schema))));
  return check(value);
}
