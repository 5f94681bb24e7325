/**
 * JSON Schemas, compiled by ajv. It is loaded when the first route needs it. What a client sends meets no engine that it
 * could keep busy: patterns run on RE2, the first fault ends a check, uniqueItems is linear.
 */
import { createRequire } from 'node:module';
import type { AnySchemaObject, Ajv as AjvCore, ErrorObject, Options, ValidateFunction } from 'ajv';
import { compileRegex, re2 } from '../../src/data/match/regex.ts';
import { complaint, MOST_COMPLAINTS, segment, type Complaint, type Part } from './complaint.ts';
import { isNode, lookUp } from './openapi-dialect.ts';
import type { JsonSchema } from './options.ts';

/** @returns undefined when the value fits. */
export type Validator = (value: unknown) => readonly Complaint[] | undefined;

/** Something that a schema must not say, and where (JSON pointer). */
export interface SchemaFault {
  readonly pointer: string;
  readonly message: string;
}

/** `openapi-…`: keywords and formats that are not known mean nothing, as OpenAPI says. */
export type Dialect = 'draft-07' | '2020-12' | 'openapi-3.0' | 'openapi-3.1';

/** @returns undefined for one that is not spoken. */
export function dialectOf({ $schema = '' }: JsonSchema): Dialect | undefined {
  const name = String($schema).replace(/#$/, '');
  if (name === '' || name === 'https://json-schema.org/draft/2020-12/schema') return '2020-12';
  return name === 'http://json-schema.org/draft-07/schema' ? 'draft-07' : undefined;
}

/** One document and the schemas in it. */
export class Schemas {
  readonly #ajv: AjvCore;
  readonly #document: JsonSchema;
  readonly #dialect: Dialect;
  #isAdded = false;

  constructor(document: JsonSchema, dialect: Dialect) {
    this.#document = document;
    this.#dialect = dialect;
    this.#ajv = createAjv(dialect);
  }

  /** What cannot be meant. @param pointer of a schema in the document. */
  faults(pointer: string): SchemaFault[] {
    const schema = lookUp(this.#document, `#${pointer}`);
    const own = schemaFaults(schema, pointer, this.#document);
    if (own.length > 0) return own;
    if (typeof schema !== 'boolean' && !isNode(schema)) return [{ pointer, message: 'expected a schema' }];
    const checker = checkerOf(this.#dialect);
    if (checker.validateSchema(schema as AnySchemaObject) !== true) {
      const [first] = checker.errors ?? [];
      return [{ pointer: pointer + (first?.instancePath ?? ''), message: first?.message ?? 'is not a schema' }];
    }
    try {
      this.#function({ $ref: reference(pointer) });
      return [];
    } catch (error) {
      return [{ pointer, message: (error as Error).message }];
    }
  }

  /** Compiled when it is asked for the first time: an API has more operations than are called at once. */
  validator(schema: JsonSchema, part: Part): Validator {
    let check: ValidateFunction | undefined;
    return (value) => {
      check ??= this.#function(schema);
      return check(value) ? undefined : tell(check.errors ?? [], part);
    };
  }

  validatorAt(pointer: string, part: Part): Validator {
    return this.validator({ $ref: reference(pointer) }, part);
  }

  #function(schema: JsonSchema): ValidateFunction {
    if (!this.#isAdded) this.#ajv.addSchema(this.#document as AnySchemaObject, DOCUMENT, undefined, false);
    this.#isAdded = true;
    return this.#ajv.compile(schema as AnySchemaObject);
  }
}

const DOCUMENT = 'aya:document';

/** As `$ref`, to what stands at a JSON pointer of the document. */
export const reference = (pointer: string): string =>
  `${DOCUMENT}#${encodeURI(pointer).replaceAll('#', '%23').replaceAll('?', '%3F')}`;

// --- ajv -------------------------------------------------------------------------------------------------------------

type AjvConstructor = new (options: Options) => AjvCore;

const require = createRequire(import.meta.url);

/** For schemas as such. Its meta-schema is dear to compile, and it keeps nothing of what it checks. */
function checkerOf(dialect: Dialect): AjvCore {
  let checker = checkers.get(dialect);
  if (checker === undefined) checkers.set(dialect, (checker = createAjv(dialect)));
  return checker;
}

const checkers = new Map<Dialect, AjvCore>();

function createAjv(dialect: Dialect): AjvCore {
  const isNew = dialect === '2020-12' || dialect === 'openapi-3.1';
  const module = require(isNew ? 'ajv/dist/2020.js' : 'ajv') as { default: AjvConstructor };
  const addFormats = (require('ajv-formats') as { default: (ajv: AjvCore) => void }).default;
  const ajv = new module.default({
    strictSchema: !dialect.startsWith('openapi'),
    strictTypes: false,
    strictTuples: false,
    allowUnionTypes: true,
    // `toString` is in every object, but not in what was sent.
    ownProperties: true,
    // Checked at load, by `faults`: a data thread need not compile the meta-schema.
    validateSchema: false,
    logger: false,
    code: { regExp: Object.assign(linearRegExp, { code: 'linearRegExp' }) },
  });
  addFormats(ajv);
  // ajv finds it, and then does not know it.
  if (isNew) ajv.addVocabulary(['$anchor']);
  // Those of ajv-formats take time that grows with the square of the length.
  for (const name of ['url', 'regex']) boundFormat(ajv, name);
  ajv.removeKeyword('uniqueItems');
  ajv.addKeyword({
    keyword: 'uniqueItems',
    type: 'array',
    schemaType: 'boolean',
    error: { message: 'must NOT have duplicate items' },
    validate: (isUnique: boolean, items: readonly unknown[]) => !isUnique || areUnique(items),
  });
  return ajv;
}

/** In the form that ajv's `code.regExp` wants; it tells patterns apart by `toString`. */
function linearRegExp(source: string): { test(text: string): boolean; toString(): string } {
  const regex = compileRegex(re2().translateRegExp(source));
  return { test: (text) => regex.matcher(text).find(), toString: () => source };
}

const LONGEST_BOUNDED = 2048;

function boundFormat(ajv: AjvCore, name: string): void {
  const format = ajv.formats[name] as RegExp | ((text: string) => boolean);
  const fits = typeof format === 'function' ? format : (text: string) => format.test(text);
  ajv.addFormat(name, (text: string) => text.length <= LONGEST_BOUNDED && fits(text));
}

function areUnique(items: readonly unknown[]): boolean {
  return new Set(items.map((item) => JSON.stringify(item, sortedKeys))).size === items.length;
}

function sortedKeys(_: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  const names = Object.keys(value).sort();
  return names.map((name) => [name, (value as JsonSchema)[name]]).concat([['{}', names.length]]);
}

// --- what is wrong with a value --------------------------------------------------------------------------------------

function tell(errors: readonly ErrorObject[], part: Part): Complaint[] {
  return errors.slice(0, MOST_COMPLAINTS).map(({ instancePath, keyword, params, message = 'is not valid' }) => {
    const name = (params as Record<string, unknown>)[NAMING[keyword] ?? ''];
    if (typeof name === 'string') return complaint(part, 'is not known here', instancePath + segment(name));
    return complaint(part, message, instancePath);
  });
}

/** Keywords whose fault is a name that was sent, and the parameter that holds it. */
const NAMING: Readonly<Record<string, string>> = {
  additionalProperties: 'additionalProperty',
  unevaluatedProperties: 'unevaluatedProperty',
};

// --- what is wrong with a schema -------------------------------------------------------------------------------------

const DATA_KEYS = new Set(['example', 'examples', 'default', 'enum', 'const']);

/** Patterns that RE2 cannot run, references that lead out of the document: each where it stands. */
function schemaFaults(value: unknown, pointer: string, document: JsonSchema): SchemaFault[] {
  if (Array.isArray(value)) return value.flatMap((item, at) => schemaFaults(item, `${pointer}/${at}`, document));
  if (!isNode(value)) return [];
  const { pattern, patternProperties, $ref } = value;
  const faults: SchemaFault[] = [];
  const note = (at: string, message: string | undefined) => {
    if (message !== undefined) faults.push({ pointer: pointer + at, message });
  };
  if (typeof pattern === 'string') note('/pattern', patternFault(pattern));
  if (isNode(patternProperties)) {
    for (const source of Object.keys(patternProperties)) {
      note(`/patternProperties${segment(source)}`, patternFault(source));
    }
  }
  if (typeof $ref === 'string') note('/$ref', referenceFault($ref, document));
  for (const [key, part] of Object.entries(value)) {
    if (!DATA_KEYS.has(key)) faults.push(...schemaFaults(part, pointer + segment(key), document));
  }
  return faults;
}

function patternFault(source: string): string | undefined {
  try {
    linearRegExp(source);
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

function referenceFault(to: string, document: JsonSchema): string | undefined {
  if (to.startsWith('#/') || to === '#') {
    return lookUp(document, to) === undefined ? `nothing stands at '${to}'` : undefined;
  }
  const { $id } = document;
  if (typeof $id === 'string' && to.startsWith(`${$id.replace(/#$/, '')}#`)) return undefined;
  // Other names within the document ($id, $anchor) are ajv's to find.
  return /^[a-z][a-z0-9+.-]*:|\.(?:json|ya?ml)\b/i.test(to)
    ? `'${to}' leads out of the file: only its own parts can be referred to`
    : undefined;
}
