import { expect, it } from 'vitest';
import { openLog, writeInBlocks } from './log.ts';

const LINES = ['one\n', 'three\n', 'a line that is longer than a block\n', 'two\n', 'é\n'];

function blocksOf(lines: readonly string[], most: number): string[] {
  const blocks: string[] = [];
  writeInBlocks(lines.join(''), most, (block) => void blocks.push(block));
  return blocks;
}

it('lines go out whole and in order, as many at once as a block holds, and one that no block holds by itself', () => {
  expect(blocksOf(LINES, 10)).toEqual(['one\nthree\n', LINES[2], 'two\né\n']);
  expect(blocksOf(LINES, 9)).toEqual(['one\n', 'three\n', LINES[2], 'two\né\n']);
  expect(blocksOf(LINES, 1000)).toEqual([LINES.join('')]);
  expect(blocksOf([], 10)).toEqual([]);
  // Nobody sends half a line; it would not hold up the control plane if somebody did.
  expect(blocksOf(['one\n', 'half'], 3)).toEqual(['one\n', 'half']);
});

it('whoever takes the log himself gets each line by itself, among those of the logger', () => {
  const got: string[] = [];
  const { log, writeLines } = openLog((line) => void got.push(line));
  log.info({ event: 'before' }, 'before');
  writeLines(LINES.join(''));
  log.info({ event: 'after' }, 'after');
  expect(got.slice(1, -1)).toEqual(LINES);
  expect([got[0], got.at(-1)].map((line) => (JSON.parse(line!) as { event: string }).event)).toEqual([
    'before',
    'after',
  ]);
});
