import { execFile } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Ajv } from 'ajv';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { load } from './load.ts';

const ROOT = join(import.meta.dirname, '../..');
const routeFiles = (await readdir(join(ROOT, 'routes.d'))).filter((name) => name.endsWith('.yaml'));
const examples = [
  {
    file: 'gateway.yaml',
    schema: 'routes.d/gateway.schema.json',
    comment: '# yaml-language-server: $schema=routes.d/gateway.schema.json\n',
  },
  ...routeFiles.map((name) => ({
    file: `routes.d/${name}`,
    schema: 'routes.d/schema.json',
    comment: '# yaml-language-server: $schema=schema.json\n',
  })),
];

const read = (file: string) => readFile(join(ROOT, file), 'utf8');

async function editorAccepts(schema: string): Promise<(value: unknown) => boolean> {
  return new Ajv({ strict: false }).compile(JSON.parse(await read(schema)) as object);
}

describe('the example fleet', () => {
  it('loads without an error or a warning', async () => {
    const { config, problems } = await load(ROOT);
    expect(problems).toEqual([]);
    expect(config?.pools.map(({ name }) => name)).toEqual(['catalogue', 'catalogue-next', 'orders', 'users']);
  });

  it('takes other addresses from the environment', async () => {
    const { config } = await load(ROOT, { env: { USERS_2: 'users-2:8080' } });
    const users = config?.pools.find(({ name }) => name === 'users');
    expect(users?.endpoints.map(({ url }) => url)).toEqual([
      'http://127.0.0.1:7101',
      'http://users-2:8080',
      'http://127.0.0.1:7103',
    ]);
  });

  it.each(examples)('$file satisfies the schema that it tells editors of', async ({ file, schema, comment }) => {
    const text = await read(file);
    const accepts = await editorAccepts(schema);
    expect(text.startsWith(comment)).toBe(true);
    expect(accepts(parse(text))).toBe(true);
  });
});

describe('the schema for editors', () => {
  it('marks an unknown key and a wrong word, and lets a placeholder stand for a number', async () => {
    const accepts = await editorAccepts('routes.d/gateway.schema.json');
    expect(accepts({ listen: [{ port: '${PORT:-8080}' }], drain: { delay: '${DELAY}' } })).toBe(true);
    expect(accepts({ listen: [{ port: '8080' }] })).toBe(false);
    expect(accepts({ drain: { delay: 'soon' } })).toBe(false);
    expect(accepts({ listn: [] })).toBe(false);
  });

  it('and the reference pages are those of the code', async () => {
    const check = promisify(execFile)(process.execPath, ['scripts/generate.ts', '--check'], { cwd: ROOT });
    await expect(check).resolves.toMatchObject({ stdout: '' });
  });
});
