import { describe, expect, it } from 'vitest';
import { BINARY, CLOSE, frame, PING, TEXT } from '../../test/support/web-socket.ts';
import { FrameBorders } from './frame-borders.ts';

const SIZES = [0, 1, 125, 126, 127, 65_535, 65_536, 200_000];

/** After which numbers of bytes a frame may follow. */
function borders(bytes: Buffer, step: number): number[] {
  const followed = new FrameBorders();
  const at: number[] = [];
  for (let sent = 0; sent < bytes.length; sent += step) {
    followed.pass(bytes.subarray(sent, sent + step));
    if (followed.admitsFrame) at.push(Math.min(sent + step, bytes.length));
  }
  return at;
}

describe('a frame may be put in', () => {
  it.each([false, true])('only behind whole frames of any length (masked: %s)', (masked) => {
    const frames = SIZES.map((size) => frame(BINARY, Buffer.alloc(size, 0x88), { masked }));
    let sum = 0;
    const ends = frames.map(({ length }) => (sum += length));
    expect(borders(Buffer.concat(frames), 1)).toEqual(ends);
    expect(borders(Buffer.concat(frames), 7)).toEqual(ends.filter((end) => end % 7 === 0 || end === sum));
  });

  it('before the first one', () => {
    expect(new FrameBorders().admitsFrame).toBe(true);
  });

  it('between the fragments of a message', () => {
    const first = frame(TEXT, 'hel', { fin: false });
    expect(borders(Buffer.concat([first, frame(PING), frame(0, 'lo')]), 1)[0]).toBe(first.length);
  });

  it('no more once a close frame has begun', () => {
    expect(borders(Buffer.concat([frame(CLOSE, Buffer.from([3, 232])), frame(TEXT, 'x')]), 1)).toEqual([]);
  });

  it('not behind a length that no stream reaches', () => {
    const followed = new FrameBorders();
    followed.pass(Buffer.from([0x82, 127, 255, 255, 255, 255, 255, 255, 255, 255]));
    followed.pass(Buffer.alloc(100_000));
    expect(followed.admitsFrame).toBe(false);
  });
});
