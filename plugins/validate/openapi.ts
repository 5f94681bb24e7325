/** An OpenAPI document → for each of its operations, what requests must look like. */
import type { ConfigFault } from '../../src/extension.ts';
import { segment } from './complaint.ts';
import type { BodyContract, Contract } from './contract.ts';
import { isNode, lookUp } from './openapi-dialect.ts';
import type { JsonSchema, OpenApiFile } from './options.ts';
import { kindOf, type Kind, type ParameterGroup } from './parameters.ts';
import { PathTemplates } from './path-templates.ts';
import { reference, Schemas, type SchemaFault } from './schemas.ts';

/** Of one path: the operations by method. */
export type Operations = ReadonlyMap<string, Contract>;

const METHODS = ['get', 'put', 'post', 'delete', 'options', 'head', 'patch', 'trace'];

/** @returns every path of the document with its operations. What cannot be read is in `faults`, if they are asked for. */
export function compileOpenApi({ document }: OpenApiFile, faults?: SchemaFault[]): PathTemplates<Operations> {
  return new Compilation(document, faults).run();
}

export function checkOpenApi(file: OpenApiFile): ConfigFault[] {
  const faults: SchemaFault[] = [];
  compileOpenApi(file, faults);
  return faults.map(({ pointer, message }) => ({ path: ['openapi'], message: `${file.file}#${pointer}: ${message}` }));
}

/** A part of the document and its place. */
interface Part {
  readonly node: JsonSchema;
  readonly pointer: string;
}

const LOCATIONS = ['path', 'query', 'header', 'cookie'] as const;
/** OAS §4.8.12.2: these are said elsewhere in the document. */
const OTHERWISE_SAID = new Set(['accept', 'content-type', 'authorization']);
const MOST_HOPS = 16;

class Compilation {
  readonly #document: JsonSchema;
  readonly #schemas: Schemas;
  readonly #faults: SchemaFault[] | undefined;
  /** Schemas are used many times and checked once. */
  readonly #checked = new Set<string>();

  constructor(document: JsonSchema, faults: SchemaFault[] | undefined) {
    this.#document = document;
    this.#faults = faults;
    this.#schemas = new Schemas(document, /^3\.0\./.test(String(document.openapi)) ? 'openapi-3.0' : 'openapi-3.1');
  }

  run(): PathTemplates<Operations> {
    const templates = new PathTemplates<Operations>();
    const { openapi, paths } = this.#document;
    if (!/^3\.[01]\.\d+/.test(String(openapi))) this.#note('/openapi', 'expected a document of OpenAPI 3.0 or 3.1');
    else if (!isNode(paths)) this.#note('/paths', 'expected paths');
    else for (const template of Object.keys(paths)) this.#path(template, templates);
    return templates;
  }

  #path(template: string, templates: PathTemplates<Operations>): void {
    if (template.startsWith('x-')) return;
    const pointer = `/paths${segment(template)}`;
    const item = this.#part(pointer);
    if (item === undefined) return this.#note(pointer, 'expected operations');
    const operations = new Map<string, Contract>();
    for (const method of METHODS) {
      const operation = isNode(item.node[method]) ? this.#part(item.pointer + segment(method)) : undefined;
      if (operation !== undefined) operations.set(method.toUpperCase(), this.#operation(item, operation));
    }
    const get = operations.get('GET');
    // RFC 9110 §9.3.2
    if (get !== undefined && !operations.has('HEAD')) operations.set('HEAD', get);
    const before = templates.add(template, operations);
    if (before instanceof Error) this.#note(pointer, before.message);
    else if (before !== undefined) this.#note(pointer, 'the same path is in the document twice');
  }

  #operation(item: Part, operation: Part): Contract {
    const parameters = new Map<string, Part>();
    for (const owner of [item, operation]) {
      for (const each of this.#parameters(owner))
        parameters.set(`${String(each.node.in)} ${String(each.node.name)}`, each);
    }
    const groups = LOCATIONS.map((location) =>
      this.#group(
        location,
        [...parameters.values()].filter(({ node }) => node.in === location),
      ),
    );
    return { parameters: groups.filter((group) => group !== undefined), body: this.#body(operation) };
  }

  #parameters(owner: Part): Part[] {
    const { parameters } = owner.node;
    if (!Array.isArray(parameters)) return [];
    return parameters.flatMap((_, at) => {
      const pointer = `${owner.pointer}/parameters/${at}`;
      const part = this.#part(pointer);
      if (part !== undefined && typeof part.node.name === 'string' && LOCATIONS.some((each) => each === part.node.in)) {
        return [part];
      }
      this.#note(pointer, 'expected a parameter with a name, in path, query, header or cookie');
      return [];
    });
  }

  #group(part: ParameterGroup['part'], parameters: readonly Part[]): ParameterGroup | undefined {
    const kinds = new Map<string, Kind>();
    const properties: Record<string, JsonSchema> = {};
    const required: string[] = [];
    for (const { node, pointer } of parameters) {
      const name = part === 'header' ? String(node.name).toLowerCase() : String(node.name);
      if (part === 'header' && OTHERWISE_SAID.has(name)) continue;
      const kind = this.#kind(node, pointer);
      if (kind === undefined) continue;
      kinds.set(name, kind);
      properties[name] = { $ref: reference(`${pointer}/schema`) };
      if (node.required === true) required.push(name);
    }
    if (kinds.size === 0) return undefined;
    return { part, kinds, validate: this.#schemas.validator({ type: 'object', properties, required }, part) };
  }

  /** OAS §4.8.12: how its value is written. */
  #kind(node: JsonSchema, pointer: string): Kind | undefined {
    const isQuery = node.in === 'query';
    const { schema, style = isQuery || node.in === 'cookie' ? 'form' : 'simple' } = node;
    if (schema === undefined) {
      return void this.#note(pointer, 'expected a schema: parameters that hold a media type are not read');
    }
    this.#check(`${pointer}/schema`);
    const isRepeated = isQuery && node.explode !== false && style === 'form';
    const kind = kindOf(
      schema,
      this.#document,
      isRepeated ? undefined : SEPARATORS[String(style)],
      style === 'deepObject',
    );
    const isReadable = style === 'deepObject' ? kind.deep !== undefined : !kind.types.has('object');
    if (isReadable && (style === 'deepObject' || Object.hasOwn(SEPARATORS, String(style)))) return kind;
    return void this.#note(pointer, `values of style '${String(style)}' and this type are not read`);
  }

  #body({ node, pointer }: Part): BodyContract {
    const body = node.requestBody === undefined ? undefined : this.#part(`${pointer}/requestBody`);
    if (node.requestBody === undefined) return { isRequired: false, types: [] };
    const content = body?.node.content;
    if (body === undefined || !isNode(content)) {
      this.#note(`${pointer}/requestBody`, 'expected its content, by media type');
      return { isRequired: false, types: [] };
    }
    const types = Object.keys(content).map((type) => {
      const at = `${body.pointer}/content${segment(type)}`;
      const range = type.split(';')[0]!.trim().toLowerCase();
      const media = this.#part(at);
      const hasSchema = media !== undefined && media.node.schema !== undefined;
      if (hasSchema) this.#check(`${media.pointer}/schema`);
      return { range, validate: hasSchema ? this.#schemas.validatorAt(`${media.pointer}/schema`, 'body') : undefined };
    });
    // OAS §4.8.14: the most specific range counts.
    types.sort((a, b) => wildness(a.range) - wildness(b.range));
    return { isRequired: body.node.required === true, types };
  }

  #check(pointer: string): void {
    if (this.#faults === undefined || this.#checked.has(pointer)) return;
    this.#checked.add(pointer);
    this.#faults.push(...this.#schemas.faults(pointer));
  }

  /** What stands at a pointer, references followed. */
  #part(pointer: string): Part | undefined {
    let at = pointer;
    for (let hops = 0; hops < MOST_HOPS; hops++) {
      const node = lookUp(this.#document, `#${at}`);
      if (!isNode(node)) return undefined;
      if (typeof node.$ref !== 'string') return { node, pointer: at };
      if (!node.$ref.startsWith('#/')) return void this.#note(at, `'${node.$ref}' leads out of the file`);
      at = decodeURIComponent(node.$ref.slice(1));
    }
    return void this.#note(pointer, 'refers to itself');
  }

  #note(pointer: string, message: string): undefined {
    this.#faults?.push({ pointer, message });
  }
}

const SEPARATORS: Readonly<Record<string, string>> = {
  form: ',',
  simple: ',',
  spaceDelimited: ' ',
  pipeDelimited: '|',
};

const wildness = (range: string) => range.split('*').length - 1;
