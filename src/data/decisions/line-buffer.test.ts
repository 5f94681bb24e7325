import { expect, it } from 'vitest';
import { LineBuffer } from './line-buffer.ts';

const text = (lines: LineBuffer) => Buffer.from(lines.take()).toString();

it('gives out what it was given, once', () => {
  const lines = new LineBuffer(64);
  expect([lines.append('one\n'), lines.append('zwö\u2028\n'), lines.count]).toEqual([true, true, 2]);
  const taken = lines.take();
  lines.append('three\n');
  expect(Buffer.from(taken).toString()).toBe('one\nzwö\u2028\n');
  expect([text(lines), lines.count, text(lines)]).toEqual(['three\n', 0, '']);
});

it('takes a line whole or not at all', () => {
  const lines = new LineBuffer(20);
  expect([lines.append('\u2028\u2028\u2028\u2028\n'), lines.append('\u2028\u2028\n')]).toEqual([true, false]);
  expect([lines.append('ab'), text(lines)]).toEqual([true, '\u2028\u2028\u2028\u2028\nab']);
});
