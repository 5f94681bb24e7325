import { describe, expect, test } from 'vitest';
import { decodeHealthResponse, encodeHealthRequest } from './health-messages.ts';

const frame = (...message: number[]) => Buffer.from([0, 0, 0, 0, message.length, ...message]);

describe('a question', () => {
  test('about a service holds its name', () => {
    expect(encodeHealthRequest('a.B')).toEqual(frame(0x0a, 3, 0x61, 0x2e, 0x42));
  });

  test('about the whole server is empty', () => {
    expect(encodeHealthRequest('')).toEqual(frame());
  });

  test('with a name of more than 127 bytes says its length in two', () => {
    const bytes = encodeHealthRequest('é'.repeat(100));
    expect([...bytes.subarray(0, 8)]).toEqual([0, 0, 0, 0, 203, 0x0a, 200, 1]);
    expect(bytes.subarray(8).toString()).toBe('é'.repeat(100));
  });
});

describe('an answer', () => {
  test.each([
    ['SERVING', frame(0x08, 1)],
    ['NOT_SERVING', frame(0x08, 2)],
    ['SERVICE_UNKNOWN', frame(0x08, 3)],
    ['UNKNOWN', frame()],
    ['status 9', frame(0x08, 9)],
  ])('says %s', (name, bytes) => expect(decodeHealthResponse(bytes)).toBe(name));

  test('may hold fields that are not known yet, and the last of a repeated one counts', () => {
    const bytes = frame(
      0x12,
      2,
      9,
      9,
      0x08,
      2,
      0x25,
      1,
      2,
      3,
      4,
      0x08,
      1,
      0x18,
      0x96,
      0x01,
      0x21,
      1,
      2,
      3,
      4,
      5,
      6,
      7,
      8,
    );
    expect(decodeHealthResponse(bytes)).toBe('SERVING');
  });

  test.each([
    ['nothing', Buffer.alloc(0)],
    ['half a frame', Buffer.from([0, 0, 0])],
    ['compressed', Buffer.from([1, 0, 0, 0, 2, 8, 1])],
    ['shorter than it says', Buffer.from([0, 0, 0, 0, 3, 8, 1])],
    ['two messages', Buffer.concat([frame(8, 1), frame(8, 1)])],
    ['a field without a value', frame(0x08)],
    ['a number without end', frame(0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1)],
    ['a number that is negative', frame(0x08, 0xff, 0xff, 0xff, 0xff, 0x0f)],
    ['field zero', frame(0x00, 1)],
    ['a text that is longer than the message', frame(0x12, 9, 1)],
    ['a group', frame(0x0b)],
  ])('that is %s is none', (_, bytes) => expect(decodeHealthResponse(bytes)).toBeUndefined());
});
