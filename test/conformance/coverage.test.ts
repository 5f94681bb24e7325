/** The index of known faults names tests that exist, and docs/conformance.md shows it as it is. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { CORPUS } from './corpus.ts';
import { CHAOS } from './coverage-chaos.ts';
import { CVES } from './coverage-cves.ts';
import type { Row } from './coverage-rows.ts';
import { FAULTS } from './coverage.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const ROWS = [...FAULTS, ...CHAOS, ...Object.values(CVES).flat()];

const CORPUS_FILE = 'test/conformance/corpus.ts';

const read = (file: string) => readFileSync(ROOT + file, 'utf8');

it('every fault of the list has a row, once', () => {
  const from = (first: number, last: number) => Array.from({ length: last - first + 1 }, (_, at) => `F${first + at}`);
  const chaos = ['C5', 'C6', 'C7', 'C8', 'C9', 'C11', 'C12', 'C17', 'C20', 'C21'];
  const rows = [...FAULTS, ...CHAOS].map(({ id }) => id);
  expect(rows.toSorted()).toEqual([...from(1, 120), ...chaos].toSorted());
  expect(Object.values(CVES).map(({ length }) => length)).toEqual([17, 14, 18, 33]);
  expect(new Set(ROWS.map(({ id }) => id)).size).toBe(ROWS.length);
});

describe('a row', () => {
  it.each(ROWS.filter(({ tests }) => tests.length > 0))('names tests that exist: $id', ({ tests }) => {
    for (const [file, title] of tests) expect(hasTitle(file, title), `${file}: ${title}`).toBe(true);
  });

  it.each(ROWS)('says how it is held: $id', ({ tests, because }) => {
    expect(tests.length > 0 || because !== undefined).toBe(true);
  });
});

it('docs/conformance.md is the index as it is: written by this test with -u', async () => {
  await expect(page()).toMatchFileSnapshot('../../docs/conformance.md');
});

/** Whether a text of a test file, or of a table of cases, begins so; a case of the corpus is called so. */
function hasTitle(file: string, title: string): boolean {
  if (file === CORPUS_FILE) return CORPUS.some(({ name }) => name === title);
  const text = read(file);
  return [`'${title}`, `"${title}`, `\`${title}`].some((written) => text.includes(written));
}

function page(): string {
  const table = (rows: readonly Row[]) =>
    [
      '| | what | held by |',
      '|---|---|---|',
      ...rows.map((row) => `| ${row.id} | ${row.what} | ${heldBy(row)} |`),
    ].join('\n');
  const parts = Object.entries(CVES).map(([name, rows]) => `## ${name}\n\n${table(rows)}\n`);
  return `# What is held off, and by which test

Made from test/conformance/coverage.ts; a test checks that each test named here exists.

## Faults and attacks

${table(FAULTS)}

## A fleet that breaks

${table(CHAOS)}

${parts.join('\n')}`;
}

function heldBy(row: Row): string {
  const tests = row.tests.map(([file, title]) => `${file}: ${title.replaceAll('|', '\\|')}`);
  const reason = row.because === undefined ? [] : [`does not apply: ${row.because}`];
  return [...reason, ...tests].join('<br>');
}
