import { mkdtemp, mkdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { cleanup } from '../../test/support/cleanup.ts';
import { systemClock } from '../clock.ts';
import { fileSource } from './file-source.ts';

async function directory() {
  const dir = await mkdtemp(join(tmpdir(), 'aya-source-'));
  cleanup(() => rm(dir, { recursive: true, force: true }));
  await mkdir(join(dir, 'routes.d'));
  const write = (file: string, text: string) => writeFile(join(dir, 'routes.d', file), text);
  return { source: fileSource(dir, {}, systemClock), write };
}

const service = (name: string, weight = 1) => `
pools: { ${name}: { endpoints: [{ url: "http://10.0.0.1:8080", weight: ${weight} }] } }
routes: [{ name: ${name}, match: { path: /${name}/* }, pool: ${name} }]
`;

test('a file that has become wrong serves as it was, and the others’ changes are told', async () => {
  const { source, write } = await directory();
  await write('orders.yaml', service('orders'));
  await write('users.yaml', service('users'));
  const first = await source.load();
  await write('orders.yaml', 'routes: [{ nam: orders }]');
  await write('users.yaml', service('users', 3));
  const second = await source.load(first);
  expect(second.staleFiles).toEqual(['routes.d/orders.yaml']);
  expect(second.config!.routes.map(({ name }) => name)).toEqual(['orders', 'users']);
  expect(source.diff(first.config!, second.config!)).toEqual(["endpoint 'users http://10.0.0.1:8080' changed: weight"]);
});

test('at the start a wrong file refuses all', async () => {
  const { source, write } = await directory();
  await write('orders.yaml', 'routes: [{ nam: orders }]');
  expect((await source.load()).config).toBeUndefined();
});
