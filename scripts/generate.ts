/**
 * Writes what follows from the schemas: JSON Schema for editors (routes.d/*schema.json)
 * and the reference pages (docs/reference/). `--check` writes nothing and fails where a file would change.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { format, resolveConfig } from 'prettier';
import { scanLanguage } from '../src/config/language.ts';
import { referencePage } from '../src/config/reference.ts';
import { editorSchema } from '../src/config/user-schema.ts';

const ROOT = new URL('../', import.meta.url);
const DRAFT = 'http://json-schema.org/draft-07/schema#';

const { schemas } = await scanLanguage();

const files: Readonly<Record<string, string>> = {
  'routes.d/schema.json': JSON.stringify({ $schema: DRAFT, ...editorSchema(schemas.routeFile) }),
  'routes.d/gateway.schema.json': JSON.stringify({ $schema: DRAFT, ...editorSchema(schemas.gatewayFile) }),
  'routes.d/consumers.schema.json': JSON.stringify({ $schema: DRAFT, ...editorSchema(schemas.consumerFile) }),
  'docs/reference/routes.md': referencePage(
    'Route files',
    'One file per service in `routes.d/`, each with the pools and routes of that service.',
    schemas.routeFile,
  ),
  'docs/reference/gateway.md': referencePage(
    'gateway.yaml',
    'What concerns the process as a whole. The file may be left out: every key has a default.',
    schemas.gatewayFile,
    {
      'consumers[]': 'The keys are those of [a file of consumers.d](consumers.md).',
      defaults: 'The keys are those of [a route](routes.md) that are not its own.',
    },
  ),
  'docs/reference/consumers.md': referencePage(
    'Consumers',
    'Known callers: under `consumers` in `gateway.yaml`, and in any number of files in `consumers.d/`. `aya consumer` writes them.',
    schemas.consumerFile,
  ),
};

const isCheck = process.argv.includes('--check');
const outdated: string[] = [];
for (const [file, text] of Object.entries(files)) {
  const path = fileURLToPath(new URL(file, ROOT));
  const formatted = await format(text, { ...(await resolveConfig(path)), filepath: path });
  if ((await readFile(path, 'utf8').catch(() => '')) === formatted) continue;
  outdated.push(file);
  if (isCheck) continue;
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, formatted);
}

for (const file of outdated) console.log(`${isCheck ? 'is not up to date' : 'written'}: ${file}`);
if (isCheck && outdated.length > 0) {
  console.error('run: npm run generate');
  process.exitCode = 1;
}
