/** The reference pages: a schema as tables, one for each object, in the order in which a reader meets them. */
import type { TSchema } from 'typebox';
import { userSchema, type JsonSchema } from './user-schema.ts';
import { describe } from './wording.ts';

/** @param elsewhere paths whose tables stand on another page, and what to say instead. */
export function referencePage(
  title: string,
  introduction: string,
  schema: TSchema,
  elsewhere: Readonly<Record<string, string>> = {},
): string {
  const seen = new Map<string, string>();
  return [
    `<!-- Generated from the schemas by \`npm run generate\`: change those instead. -->`,
    `# ${title}`,
    introduction,
    'Durations are written `250ms`, `5s`, `1m`, `1h`; sizes `512B`, `64KiB`, `8MiB`; shares `20%`. Any value may hold `${NAME}` or `${NAME:-default}` from the environment. A key without a default that is not required may be left out.',
    ...sectionsOf('', userSchema(schema), elsewhere).map((section) => renderSection(section, seen, elsewhere)),
  ].join('\n\n');
}

interface Section {
  /** As it is written: `pools.NAME.health`, `routes[].match`. */
  readonly path: string;
  readonly schema: JsonSchema;
}

/** @param seen tables of this page, so that none is printed twice. */
function renderSection(
  { path, schema }: Section,
  seen: Map<string, string>,
  elsewhere: Readonly<Record<string, string>>,
): string {
  const { properties = {}, required = [], description = '' } = schema;
  const heading = path === '' ? '## Top level' : `## ${code(path)}`;
  const table = JSON.stringify(properties);
  const before = seen.get(table) ?? path;
  seen.set(table, before);
  const instead = elsewhere[path] ?? (before === path ? undefined : `As ${code(before)}.`);
  if (instead !== undefined) return paragraphs(heading, description, instead);
  const rows = Object.entries(properties).map(([key, part]) => {
    const cells = [code(key), nounOf(part).one, required.includes(key) ? 'required' : defaultOf(part), meaningOf(part)];
    return `| ${cells.map(cell).join(' | ')} |`;
  });
  return paragraphs(
    heading,
    description,
    ['| key | value | default | meaning |', '| --- | --- | --- | --- |', ...rows].join('\n'),
  );
}

const paragraphs = (...parts: readonly string[]) => parts.filter((part) => part !== '').join('\n\n');

/** This object's table, then those of the objects within it. */
function sectionsOf(path: string, schema: JsonSchema, elsewhere: Readonly<Record<string, string>>): Section[] {
  if (path in elsewhere) return [{ path, schema }];
  const below = Object.entries(schema.properties ?? {}).flatMap(([key, part]) =>
    objectsIn(part).flatMap(({ suffix, object }) =>
      sectionsOf((path === '' ? key : `${path}.${key}`) + suffix, object, elsewhere),
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

/** What one writes, alone and in a list. */
interface Noun {
  readonly one: string;
  readonly many: string;
}

function nounOf(schema: JsonSchema): Noun {
  const { title, anyOf, items, patternProperties } = schema;
  if (title !== undefined) return { one: describe({ title }), many: title.endsWith('s') ? title : `${title}s` };
  if (anyOf !== undefined) {
    const nouns = anyOf.map(nounOf);
    return { one: either(nouns.map((noun) => noun.one)), many: either(nouns.map((noun) => noun.many)) };
  }
  if (schema.enum !== undefined) return same(either(schema.enum.map((word) => code(String(word)))));
  if ('const' in schema) return same(code(String(schema.const)));
  if (schema.type === 'array') {
    const of = items === undefined ? '' : ` of ${nounOf(items).many}`;
    return { one: `a list${of}`, many: `lists${of}` };
  }
  const [each] = Object.values(patternProperties ?? {});
  if (each !== undefined) return same(`by name: ${nounOf(each).one}`);
  if (schema.type === 'object') return { one: 'an object', many: 'objects' };
  if (schema.type === 'integer') return { one: 'a whole number', many: 'whole numbers' };
  if (schema.type === 'string') return { one: 'text', many: 'texts' };
  return same(describe(schema));
}

const same = (text: string): Noun => ({ one: text, many: text });
const either = (texts: readonly string[]) => {
  const different = [...new Set(texts)];
  return different.length < 2 ? different.join() : `${different.slice(0, -1).join(', ')} or ${different.at(-1)}`;
};

/** A bound belongs to what one may write. */
function meaningOf({ description = '', minimum, maximum }: JsonSchema): string {
  const bounds = [
    minimum === undefined ? '' : `At least ${minimum}`,
    maximum === undefined ? '' : `${minimum === undefined ? 'At' : 'at'} most ${maximum}`,
  ].filter((part) => part !== '');
  return bounds.length === 0 ? description : `${description} ${bounds.join(', ')}.`.trim();
}

function defaultOf({ default: written }: JsonSchema): string {
  if (written === undefined || isEmptyObject(written)) return '';
  return code(typeof written === 'string' ? written : JSON.stringify(written));
}

const isEmptyObject = (value: unknown) => JSON.stringify(value) === '{}';
const code = (text: string) => `\`${text}\``;
const cell = (text: string) => text.replaceAll('|', '\\|');
