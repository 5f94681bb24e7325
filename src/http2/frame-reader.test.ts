import { expect, it } from 'vitest';
import { frame, PREFACE } from '../../test/support/h2-frames.ts';
import { seededRandom } from '../clock.ts';
import { FrameReader } from './frame-reader.ts';

it('hands out the same frames, however the bytes were cut', () => {
  const random = seededRandom(3);
  const below = (most: number) => Math.floor(random() * most);
  for (let round = 0; round < 50; round++) {
    const sent = Array.from({ length: 20 }, () => {
      const payload = Buffer.alloc(below(4) === 0 ? below(16_385) : below(20), below(256));
      return { type: below(10), flags: below(256), stream: below(2 ** 31), payload };
    });
    const frames = sent.map(({ type, flags, stream, payload }) => frame(type, flags, stream, payload));
    const bytes = Buffer.concat([PREFACE, ...frames]);
    const read: { type: number; flags: number; stream: number; payload: Buffer }[] = [];
    const reader = new FrameReader({
      onFrame: (type, flags, stream, from, start, end) =>
        read.push({ type, flags, stream, payload: from.subarray(start, end) }),
    });
    for (let at = 0; at < bytes.length;) {
      const next = at + 1 + below(round % 2 === 0 ? 40 : 30_000);
      // What was read before is not written over.
      reader.read(Buffer.from(bytes.subarray(at, next)));
      at = next;
    }
    expect(read).toEqual(sent);
  }
});
