import { gzipSync } from 'node:zlib';
import { expect, it } from 'vitest';
import { decode } from './decode.ts';

it('bodies that wait are not decoded once nobody wants them', async () => {
  const sent = gzipSync(Buffer.alloc(4 * 1024 * 1024));
  const decoded: string[] = [];
  const run = (name: string, isWanted: () => boolean) =>
    new Promise<void>((resolve) => {
      decode(sent, ['gzip'], sent.length * 2_000, isWanted, () => {
        decoded.push(name);
        resolve();
      });
    });
  let isThere = true;
  const first = ['a', 'b', 'c', 'd'].map((name) => run(name, () => true));
  for (const name of ['left', 'left too']) void run(name, () => isThere);
  const last = run('last', () => true);
  isThere = false;
  await Promise.all([...first, last]);
  expect(decoded.sort()).toEqual(['a', 'b', 'c', 'd', 'last']);
});
