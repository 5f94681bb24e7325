/** What requests must look like, compiled: for a whole route, or for one operation of an API. */
import type { ConfigFault } from '../../src/extension.ts';
import { isNode } from './openapi-dialect.ts';
import type { NamedSchema, ValidateOptions } from './options.ts';
import { kindsOf, type ParameterGroup } from './parameters.ts';
import { dialectOf, Schemas, type Validator } from './schemas.ts';

export interface Contract {
  readonly parameters: readonly ParameterGroup[];
  /** Undefined: nothing is said of bodies. */
  readonly body: BodyContract | undefined;
}

export interface BodyContract {
  readonly isRequired: boolean | ((method: string) => boolean);
  /** Media ranges in the order in which they are tried; none: a body may not be. */
  readonly types: readonly { readonly range: string; readonly validate: Validator | undefined }[];
}

/** RFC 9110 §9.3: methods that are about what they bring; QUERY is one too. */
const bringsBody = (method: string) =>
  method === 'POST' || method === 'PUT' || method === 'PATCH' || method === 'QUERY';

export function compileContract(options: ValidateOptions): Contract {
  const { body, query, headers, cookies, contentTypes } = options;
  const groups = [
    query && parameterGroup('query', query),
    headers && parameterGroup('header', lowerCased(headers)),
    cookies && parameterGroup('cookie', cookies),
  ];
  const validate = body && schemasOf(body.schema).validatorAt('', 'body');
  const types = contentTypes ?? (body === undefined ? undefined : ['application/json']);
  return {
    parameters: groups.filter((group) => group !== undefined),
    body: types && {
      isRequired: body?.required === true && bringsBody,
      types: types.map((type) => ({ range: type.toLowerCase(), validate })),
    },
  };
}

function parameterGroup(part: ParameterGroup['part'], { schema }: NamedSchema): ParameterGroup {
  const properties = isNode(schema.properties) ? schema.properties : {};
  const kinds = kindsOf(properties, schema);
  return { part, kinds, validate: new Schemas(schema, dialectOf(schema)!).validatorAt('', part) };
}

const schemasOf = ({ schema }: NamedSchema) => new Schemas(schema, dialectOf(schema)!);

/** RFC 9110 §5.1: names of fields do not depend on case. */
function lowerCased({ schema, ...named }: NamedSchema): NamedSchema {
  const { properties, required } = schema;
  return {
    ...named,
    schema: {
      ...schema,
      ...(isNode(properties)
        ? {
            properties: Object.fromEntries(
              Object.entries(properties).map(([name, each]) => [name.toLowerCase(), each]),
            ),
          }
        : {}),
      ...(Array.isArray(required) ? { required: required.map((name) => String(name).toLowerCase()) } : {}),
    },
  };
}

// --- at load ---------------------------------------------------------------------------------------------------------

export function checkContract({ body, query, headers, cookies }: ValidateOptions): ConfigFault[] {
  const places: readonly (readonly [readonly string[], NamedSchema | undefined])[] = [
    [['body', 'schema'], body?.schema],
    [['query'], query],
    [['headers'], headers],
    [['cookies'], cookies],
  ];
  return places.flatMap(([path, named]) => {
    if (named === undefined) return [];
    return schemaFaults(named).map(({ pointer, message }) => ({
      path,
      message: `${named.file ?? ''}#${pointer}: ${message}`,
    }));
  });
}

function schemaFaults({ schema }: NamedSchema): readonly { pointer: string; message: string }[] {
  const dialect = dialectOf(schema);
  if (dialect === undefined) {
    return [{ pointer: '/$schema', message: 'expected draft-07 or 2020-12, by the URL of its meta-schema' }];
  }
  return new Schemas(schema, dialect).faults('');
}
