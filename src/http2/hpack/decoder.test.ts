import { expect, it } from 'vitest';
import { HpackDecoder } from './decoder.ts';

const ENOUGH = 16_384;

const decode = (decoder: HpackDecoder, hex: string) => {
  const block = Buffer.from(hex.replaceAll(' ', ''), 'hex');
  return decoder.decode(block, 0, block.length, ENOUGH).fields;
};

it('reads the examples of RFC 7541 C.4, one after the other', () => {
  const decoder = new HpackDecoder();
  const pseudo = [':method', 'GET', ':scheme', 'http', ':path', '/', ':authority', 'www.example.com'];
  expect(decode(decoder, '8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff')).toEqual(pseudo);
  expect(decode(decoder, '8286 84be 5886 a8eb 1064 9cbf')).toEqual([...pseudo, 'cache-control', 'no-cache']);
  expect(decode(decoder, '8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf')).toEqual([
    ...[':method', 'GET', ':scheme', 'https', ':path', '/index.html', ':authority', 'www.example.com'],
    ...['custom-key', 'custom-value'],
  ]);
});

it('forgets the oldest fields when the table is full, and all when it is told to', () => {
  const decoder = new HpackDecoder();
  const remember = (name: string, bytes: number) =>
    Buffer.concat([
      Buffer.from([0x40, 1]),
      Buffer.from(name),
      Buffer.from([0x7f, ...number(bytes - 127)]),
      Buffer.alloc(bytes, 'x'),
    ]);
  const number = (value: number) => (value < 128 ? [value] : [(value % 128) | 0x80, Math.floor(value / 128)]);
  decode(decoder, Buffer.concat([remember('a', 2_000), remember('b', 1_900)]).toString('hex'));
  expect(decode(decoder, 'bf')[0]).toBe('a');
  decode(decoder, remember('c', 200).toString('hex'));
  expect(decode(decoder, 'be bf').filter((_, at) => at % 2 === 0)).toEqual(['c', 'b']);
  expect(() => decode(decoder, 'c0')).toThrow('beyond the table');
  expect(decode(decoder, '20 82')).toEqual([':method', 'GET']);
  expect(() => decode(decoder, 'be')).toThrow('beyond the table');
});

it('keeps no more of a section than is allowed, and reads on all the same', () => {
  const decoder = new HpackDecoder();
  const block = Buffer.from(`40 01 61 01 31 ${'be '.repeat(1_000)} 40 01 62 01 32`.replaceAll(' ', ''), 'hex');
  const { bytes, fields } = decoder.decode(block, 0, block.length, 340);
  expect(fields).toHaveLength(2 * 10);
  expect(bytes).toBe(1_002 * 34);
  expect(decode(decoder, 'be')).toEqual(['b', '2']);
});

it.each([
  ['index 0', '80'],
  ['an index beyond the static table', 'be'],
  ['a name beyond the table', '7e 01 61'],
  ['a number that does not end', 'ff ff'],
  ['a number beyond all bounds', 'ff ff ff ff ff ff ff ff 7f'],
  ['a string longer than its block', '00 05 61'],
  ['a value that is missing', '00 01 61'],
  ['a table larger than allowed', '3f e2 1f'],
  ['a table size behind a field', '82 20'],
  ['Huffman padding of eight bits', '00 82 1f ff 01 61'],
  ['Huffman padding of zeros', '00 81 18 01 61'],
  ['the end of Huffman inside a string', '00 84 ff ff ff ff 01 61'],
])('calls unreadable: %s', (_, hex) => {
  expect(() => decode(new HpackDecoder(), hex)).toThrow();
});

it.each([
  ['upper case', '00 01 41 01 31'],
  ['no name', '00 00 01 31'],
  ['a colon inside a name', '00 03 61 3a 62 01 31'],
  ['a line end in a value', '00 01 61 03 31 0d 0a'],
  ['white space around a value', '00 01 61 02 20 31'],
  ['a bad value that came before', '40 01 61 01 00 be'],
])('calls malformed: %s', (_, hex) => {
  const block = Buffer.from(hex.replaceAll(' ', ''), 'hex');
  expect(new HpackDecoder().decode(block, 0, block.length, ENOUGH).isMalformed).toBe(true);
});
