/** How users write what a request must look like. */
import Type from 'typebox';
import { object } from '../../src/config/shapes.ts';
import { Size } from '../../src/config/units.ts';
import type { ValidateOptions } from './options.ts';

const JsonSchema = (description: string) =>
  Type.Union(
    [
      Type.String({
        minLength: 1,
        title: 'file',
        examples: ['schemas/order.json'],
        description: 'A file of JSON or YAML.',
      }),
      Type.Record(Type.String(), Type.Unknown(), { description: 'The schema itself.' }),
    ],
    { description },
  );

const ValidateObject = object({
  body: Type.Optional(
    object(
      {
        schema: JsonSchema('JSON Schema of the body: draft-07 or 2020-12, as its $schema says; 2020-12 without one.'),
        required: Type.Boolean({
          default: true,
          description: 'Whether POST, PUT, PATCH and QUERY must bring a body. One that comes is always checked.',
        }),
      },
      'What a JSON body must look like.',
    ),
  ),
  query: Type.Optional(JsonSchema('JSON Schema of the decoded query parameters, as an object.')),
  headers: Type.Optional(JsonSchema('The same for those header fields that its properties name, in any case.')),
  cookies: Type.Optional(JsonSchema('The same for cookies.')),
  contentTypes: Type.Optional(
    Type.Array(Type.String({ pattern: '^[^/\\s]+/[^/\\s]+$', title: 'media type', examples: ['application/json'] }), {
      minItems: 1,
      description:
        'Media types that a body may have (415); ranges as application/* too. Default with body: application/json.',
    }),
  ),
  openapi: Type.Optional(
    Type.String({
      minLength: 1,
      description:
        'OpenAPI 3.0 or 3.1 document (file of JSON or YAML) that says all this by operation, instead of the above.',
    }),
  ),
  base: Type.String({
    default: '',
    pattern: '^(/[^/?#*]+)*$',
    title: 'path',
    examples: ['/v1'],
    description: 'What stands before the paths of the OpenAPI document in the paths of requests.',
  }),
  unknown: Type.Enum(['refuse', 'pass'], {
    default: 'refuse',
    description: 'A path (404) or method (405) that the OpenAPI document does not have.',
  }),
  mode: Type.Enum(['enforce', 'report'], {
    default: 'enforce',
    description: 'report: what would be refused passes, is counted and logged.',
  }),
  depth: Type.Integer({ minimum: 1, maximum: 512, default: 32, description: 'Deepest nesting of a JSON body.' }),
  duplicateKeys: Type.Enum(['refuse', 'allow'], {
    default: 'refuse',
    description: 'Keys written twice in one JSON object: which of them counts differs from reader to reader.',
  }),
  maxBody: Size('Largest body that is read to be checked (413); limits.body holds as well.', '8MiB'),
  maxDecoded: Size('Largest body once decoded (413); nor may it be over 100 times what was sent, and 64KiB.', '8MiB'),
});

declare module '../../src/config/schema.ts' {
  interface RouteConcerns {
    validate?: ValidateOptions | false;
  }
}

export default Type.Union([ValidateObject, Type.Literal(false)], {
  description: 'What a request must look like; false for anything.',
});
