import { describe, expect, it } from 'vitest';
import { NotJson, readJson } from './json.ts';

const LIMITS = { depth: 32, duplicateKeys: 'refuse' } as const;
const read = (text: string | Buffer, limits: Partial<Parameters<typeof readJson>[1]> = {}) =>
  readJson(Buffer.from(text as string), { ...LIMITS, ...limits });

const refusal = (text: string | Buffer, limits = {}) => {
  try {
    read(text, limits);
    return undefined;
  } catch (error) {
    if (error instanceof NotJson) return error.message;
    throw error;
  }
};

describe('JSON that every reader reads alike', () => {
  it.each([
    ['{"a":[1,-0.5e+3,true,null,"x\\"y\\\\",{}]}'],
    ['[{"a":1},{"a":2},{"b":{"a":3}}]'],
    ['"\\ud83d\\ude00 \\u0000"'],
    [' [1 , 2 ]\n'],
    ['{"a":{"b":1},"b":[{"a":1}],"c":"a"}'],
    ['{"1":"{\\"1\\":1,\\"1\\":2}"}'],
    [`${'['.repeat(32)}${']'.repeat(32)}`],
    ['1e308'],
    ['{"__proto__":{"polluted":true},"constructor":1}'],
  ])('is read: %s', (text) => {
    expect(read(text)).toEqual(JSON.parse(text));
  });

  it('never touches a prototype', () => {
    const value = read('{"__proto__":{"polluted":true}}') as object;
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
  });
});

describe('what readers read differently', () => {
  it.each([
    ['a key twice', '{"a":1,"b":2,"a":3}', /key 'a' twice/],
    ['a key twice, once escaped', '{"qty":1,"\\u0071ty":2}', /key 'qty' twice/],
    ['a key twice behind a nested object', '{"a":{"a":1},"a":2}', /key 'a' twice/],
    ['a key twice behind a list', '{"a":[{"a":1},{"a":1}],"a":2}', /key 'a' twice/],
    ['__proto__ twice', '{"__proto__":1,"__proto__":2}', /twice/],
    ['a number beyond all numbers', '{"a":1e999}', /1e308/],
    ['its negative', '-1E+400', /1e308/],
    ['five megabytes of digits', `[${'9'.repeat(5_000_000)}]`, /1e308/],
    ['half a surrogate pair', '"\\ud83d"', /surrogate/],
    ['the other half', '"\\ude00\\ud83d"', /surrogate/],
    ['half a pair in a key', '{"\\udc00":1}', /surrogate/],
    ['bytes that are not UTF-8', Buffer.from([0x22, 0xc3, 0x28, 0x22]), /UTF-8/],
    ['a surrogate as UTF-8', Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22]), /UTF-8/],
    ['UTF-16', Buffer.from('{"a":1}', 'utf16le'), /well-formed/],
    ['a byte order mark', '\ufeff{}', /byte order mark/],
    ['33 levels', `${'['.repeat(33)}${']'.repeat(33)}`, /deeper than 32 \(validate\.depth\)/],
    ['a hundred thousand levels', '['.repeat(100_000), /deeper than 32/],
    ['a hundred thousand objects', '{"a":'.repeat(100_000), /deeper than 32/],
    ['nothing', '', /well-formed/],
    ['two values', '{}{}', /well-formed/],
    ['a trailing comma', '[1,]', /well-formed/],
    ['NaN', 'NaN', /well-formed/],
    ['an open string', '"abc', /well-formed/],
    ['an escape that is none', '{"\\x":1}', /well-formed/],
    ['a unicode escape that is none', '"\\uZZZZ"', /well-formed/],
    ['more closed than opened', ']]]}}}', /well-formed/],
    ['a control character in a string', '"a\nb"', /well-formed/],
  ])('is refused: %s', (_, text, message) => {
    expect(refusal(text)).toMatch(message);
  });

  it('quotes no value and no endless key', () => {
    expect(refusal('{"password":"hunter2"')).toBe('must be well-formed JSON');
    const key = 'k'.repeat(10_000);
    expect(refusal(`{"${key}":1,"${key}":2}`)!.length).toBeLessThan(150);
  });

  it('lets keys stand twice where the route allows it', () => {
    expect(read('{"a":1,"a":2}', { duplicateKeys: 'allow' })).toEqual({ a: 2 });
  });
});
