import { describe, expect, it } from 'vitest';
import { compileChoice, type Coding } from './accept-encoding.ts';

const choose = compileChoice(['zstd', 'br', 'gzip']);

describe('a client gets', () => {
  it.each<readonly [string, Coding | undefined]>([
    ['gzip', 'gzip'],
    ['gzip, deflate, br', 'br'],
    ['gzip, deflate, br, zstd', 'zstd'],
    ['GZIP', 'gzip'],
    ['x-gzip', 'gzip'],
    ['gzip;q=1.0, br;q=0.5', 'gzip'],
    ['gzip ; q=0.1,br; q=0.09', 'gzip'],
    ['br;q=0.001', 'br'],
    ['*', 'zstd'],
    ['*;q=0.5, gzip', 'gzip'],
    ['zstd;q=0, *', 'br'],
    ['gzip;q=0.5, *;q=0.1', 'gzip'],
    ['gzip, identity', 'gzip'],
    ['identity;q=0.5, gzip;q=0.8', 'gzip'],
    ['identity;q=0, gzip', 'gzip'],
    ['identity;q=0', undefined],
    ['*;q=0', undefined],
    ['identity;q=0, *;q=0', undefined],
    ['identity;q=1, gzip;q=0.5', undefined],
    ['', undefined],
    ['identity', undefined],
    ['deflate', undefined],
    ['compress, dcb, dcz', undefined],
    ['gzip;q=0', undefined],
    ['gzip;q=0.000, br;q=0', undefined],
  ])('for "%s": %s', (field, coding) => {
    expect(choose(field)).toBe(coding);
    // From memory too.
    expect(choose(field)).toBe(coding);
  });

  it.each([
    ...['gzip;q=2', 'gzip;q=1.001', 'gzip;q=-1', 'gzip;q=', 'gzip;q=0.0001', 'gzip;q=1;q=0', 'gzip;level=9', 'gz ip'],
    ...[
      ',,,',
      ';',
      ';q=1',
      '\x00',
      'gzip\x00',
      '"gzip"',
      'gzip/br',
      'ｇｚｉｐ',
      'q=1',
      ';'.repeat(9_000),
      ' \t '.repeat(5_000),
    ],
  ])('nothing for junk', (junk) => {
    expect(choose(junk)).toBeUndefined();
    expect(choose(`${junk}, br`)).toBe('br');
  });

  it('the first of what comes twice, and only what is offered', () => {
    expect(choose('gzip;q=0, gzip')).toBeUndefined();
    expect(compileChoice(['gzip'])('br, zstd, *;q=0.1')).toBe('gzip');
    expect(compileChoice(['gzip', 'br'])('br, gzip')).toBe('gzip');
  });

  it('the same, however many fields somebody invents', () => {
    for (let at = 0; at < 2_000; at++) expect(choose(`junk-${at}, br`)).toBe('br');
    expect(choose(`${'junk, '.repeat(2_000)}br`)).toBe('br');
  });
});
