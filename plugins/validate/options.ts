/** The options as the code sees them: what files hold is in the place of their names. */
import type { OptionFiles } from '../../src/config/option-files.ts';
import { isObject } from '../../src/config/merge.ts';
import { OptionFault } from '../../src/extension.ts';
import { forRequests } from './openapi-dialect.ts';

export type JsonSchema = Readonly<Record<string, unknown>>;

/** A schema and the file that it stands in; undefined where it is written in the route. */
export interface NamedSchema {
  readonly file?: string;
  readonly schema: JsonSchema;
}

export interface OpenApiFile {
  readonly file: string;
  readonly document: JsonSchema;
}

export interface ValidateOptions {
  readonly body?: { readonly schema: NamedSchema; readonly required: boolean };
  readonly query?: NamedSchema;
  readonly headers?: NamedSchema;
  readonly cookies?: NamedSchema;
  readonly contentTypes?: readonly string[];
  readonly openapi?: OpenApiFile;
  readonly base: string;
  readonly unknown: 'refuse' | 'pass';
  readonly mode: 'enforce' | 'report';
  readonly depth: number;
  readonly duplicateKeys: 'refuse' | 'allow';
  readonly maxBody: number;
  readonly maxDecoded: number;
}

type Written = string | JsonSchema;
type WrittenOptions = Omit<ValidateOptions, 'body' | 'query' | 'headers' | 'cookies' | 'openapi'> & {
  readonly body?: { readonly schema: Written; readonly required: boolean };
  readonly query?: Written;
  readonly headers?: Written;
  readonly cookies?: Written;
  readonly openapi?: string;
};

/** @throws OptionFault for a file that cannot be read. */
export function resolveOptions(options: ValidateOptions, files: OptionFiles): ValidateOptions {
  const { body, query, headers, cookies, openapi, ...rest } = options as unknown as WrittenOptions;
  const named = (written: Written, path: readonly string[]): NamedSchema =>
    typeof written === 'string' ? { file: written, schema: read(written, path, files) } : { schema: written };
  return {
    ...rest,
    ...(body === undefined ? {} : { body: { ...body, schema: named(body.schema, ['body', 'schema']) } }),
    ...(query === undefined ? {} : { query: named(query, ['query']) }),
    ...(headers === undefined ? {} : { headers: named(headers, ['headers']) }),
    ...(cookies === undefined ? {} : { cookies: named(cookies, ['cookies']) }),
    ...(openapi === undefined
      ? {}
      : { openapi: { file: openapi, document: documentForRequests(read(openapi, ['openapi'], files)) } }),
  };
}

function read(file: string, path: readonly string[], files: OptionFiles): JsonSchema {
  let data: unknown;
  try {
    data = files.data(file);
  } catch (error) {
    throw new OptionFault(path, (error as Error).message);
  }
  if (isObject(data)) return data;
  throw new OptionFault(path, `${file}: expected an object`);
}

/** Routes that share a document share its rewritten form too. */
const rewritten = new WeakMap<JsonSchema, JsonSchema>();

function documentForRequests(document: JsonSchema): JsonSchema {
  let known = rewritten.get(document);
  if (known === undefined) rewritten.set(document, (known = forRequests(document)));
  return known;
}
