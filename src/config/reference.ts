/** The reference pages: a schema as tables, one for each object, in the order in which a reader meets them. */
import type { TSchema } from 'typebox';
import { userSchema, type JsonSchema } from './user-schema.ts';
import { describe } from './wording.ts';

export function referencePage(title: string, introduction: string, schema: TSchema): string {
  const sections = sectionsOf('', userSchema(schema));
  return [
    `<!-- Generated from the schemas by \`npm run generate\`: change those instead. -->`,
    `# ${title}`,
    introduction,
    'Durations are written `250ms`, `5s`, `1m`, `1h`; sizes `512B`, `64KiB`, `8MiB`; shares `20%`. Any value may hold `${NAME}` or `${NAME:-default}` from the environment. A key without a default that is not required may be left out.',
    ...sections.map(renderSection),
  ].join('\n\n');
}

interface Section {
  /** As it is written: `pools.NAME.health`, `routes[].match`. */
  readonly path: string;
  readonly schema: JsonSchema;
}

function renderSection({ path, schema }: Section): string {
  const { properties = {}, required = [], description = '' } = schema;
  const rows = Object.entries(properties).map(([key, part]) => {
    const cells = [code(key), typeOf(part), required.includes(key) ? 'required' : defaultOf(part), meaningOf(part)];
    return `| ${cells.map(cell).join(' | ')} |`;
  });
  const heading = path === '' ? '## Top level' : `## ${code(path)}`;
  return [
    heading,
    description,
    ['| key | value | default | meaning |', '| --- | --- | --- | --- |', ...rows].join('\n'),
  ]
    .filter((part) => part !== '')
    .join('\n\n');
}

/** This object's table, then those of the objects within it. */
function sectionsOf(path: string, schema: JsonSchema): Section[] {
  const { properties = {} } = schema;
  const below = Object.entries(properties).flatMap(([key, part]) =>
    objectsIn(part).flatMap(({ suffix, object }) =>
      sectionsOf((path === '' ? key : `${path}.${key}`) + suffix, object),
    ),
  );
  return [{ path, schema }, ...below];
}

/** Objects with keys of their own that may stand here: as the value, in a list, under a free name. */
function objectsIn(schema: JsonSchema): { readonly suffix: string; readonly object: JsonSchema }[] {
  const { properties, patternProperties, items, anyOf, description } = schema;
  if (properties !== undefined) return [{ suffix: '', object: schema }];
  const within = (part: JsonSchema, suffix: string) =>
    objectsIn(part).map((found) => ({ ...found, suffix: suffix + found.suffix }));
  if (anyOf !== undefined)
    return uniqueObjects(
      anyOf.flatMap((branch) => within(branch, '')),
      description,
    );
  if (items !== undefined) return within(items, '[]');
  const [each] = Object.values(patternProperties ?? {});
  return each === undefined ? [] : within(each, '.NAME');
}

/** `match` is an object or a list of the same: one table. */
function uniqueObjects(found: ReturnType<typeof objectsIn>, description: string | undefined) {
  const seen = new Set<string>();
  return found
    .filter(({ object }) => {
      const text = JSON.stringify(object.properties);
      return !seen.has(text) && seen.add(text);
    })
    .map(({ suffix, object }) => ({
      suffix,
      object: object.description === undefined && description !== undefined ? { ...object, description } : object,
    }));
}

function typeOf(schema: JsonSchema): string {
  if (schema.anyOf !== undefined && schema.title === undefined)
    return [...new Set(schema.anyOf.map(typeOf))].join(' or ');
  if (schema.type === 'array')
    return schema.items === undefined ? 'a list' : `a list of ${plural(typeOf(schema.items))}`;
  if (schema.patternProperties !== undefined) {
    const [each] = Object.values(schema.patternProperties);
    return each === undefined ? 'an object' : `by name: ${typeOf(each)}`;
  }
  if (schema.enum !== undefined) return schema.enum.map((word) => code(String(word))).join(', ');
  if ('const' in schema) return code(String(schema.const));
  if (schema.title !== undefined) return describe({ title: schema.title });
  return describe(schema);
}

const plural = (type: string) =>
  type
    .replace(/^(?:an?|text) ?/, (found) => (found.startsWith('text') ? 'texts' : ''))
    .replace(/^(\w+|hash key|status range)$/, (word) => (word.endsWith('s') ? word : `${word}s`));

/** A bound belongs to what one may write. */
function meaningOf({ description = '', minimum, maximum }: JsonSchema): string {
  const bounds = [
    minimum === undefined ? '' : `at least ${minimum}`,
    maximum === undefined ? '' : `at most ${maximum}`,
  ].filter((part) => part !== '');
  return bounds.length === 0 ? description : `${description} (${bounds.join(', ')})`;
}

function defaultOf({ default: written }: JsonSchema): string {
  if (written === undefined || isEmptyObject(written)) return '';
  return code(typeof written === 'string' ? written : JSON.stringify(written));
}

const isEmptyObject = (value: unknown) => JSON.stringify(value) === '{}';
const code = (text: string) => `\`${text}\``;
const cell = (text: string) => text.replaceAll('|', '\\|');
