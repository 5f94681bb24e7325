import { expect, it } from 'vitest';
import { ReadBuffer } from './read-buffer.ts';

it('a buffer is read over again only when nobody needs what is in it, and it is nobody’s', () => {
  const buffer = ReadBuffer.take();
  buffer.keep();
  buffer.keep();
  expect(buffer.isKept).toBe(true);
  buffer.disconnect();
  buffer.release();
  const other = ReadBuffer.take();
  expect(other).not.toBe(buffer);
  buffer.release();
  expect(ReadBuffer.take()).toBe(buffer);
});

it('a buffer that is let go while its connection still reads into it stays with the connection', () => {
  const buffer = ReadBuffer.take();
  buffer.keep();
  buffer.release();
  expect(buffer.isKept).toBe(false);
  expect(ReadBuffer.take()).not.toBe(buffer);
});
