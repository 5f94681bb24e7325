import { describe, expect, it } from 'vitest';
import { compileOrigins, originFault } from './origins.ts';

describe('an origin is contained', () => {
  it.each([
    ['https://app.test', 'https://app.test'],
    ['https://app.test', 'https://app.test:443'],
    ['https://app.test:443', 'https://app.test'],
    ['https://App.Test', 'https://app.test'],
    ['https://app.test', 'HTTPS://APP.TEST'],
    ['http://app.test:8080', 'http://app.test:8080'],
    ['http://[::1]:3000', 'http://[::1]:3000'],
    ['capacitor://localhost', 'capacitor://localhost'],
    ['https://*.app.test', 'https://www.app.test'],
    ['https://*.app.test', 'https://a.b.c.app.test'],
    ['https://*.app.test:8443', 'https://www.app.test:8443'],
    ['https://*', 'https://whoever.test'],
    ['https://*', 'https://10.0.0.1'],
    ['null', 'null'],
  ])('in %s: %s', (listed, origin) => expect(compileOrigins([listed]).contains(origin)).toBe(true));

  it.each([
    ['https://app.test', 'http://app.test'],
    ['https://app.test', 'https://app.test:8443'],
    ['https://app.test', 'https://app.test.evil.test'],
    ['https://app.test', 'https://evil.test/https://app.test'],
    ['https://app.test', 'https://app.test@evil.test'],
    ['https://app.test', 'https://app.test, https://evil.test'],
    ['https://*.app.test', 'https://app.test'],
    ['https://*.app.test', 'https://evilapp.test'],
    ['https://*.app.test', 'https://.app.test'],
    ['https://*.app.test', 'https://www.app.test:8443'],
    ['https://*.app.test', 'http://www.app.test'],
    ['https://*.app.test', 'https://evil.test/.app.test'],
    ['https://*.app.test', 'https://evil.test#.app.test'],
    ['https://*.app.test', 'https://a@b.app.test'],
    ['https://*', 'http://whoever.test'],
    ['https://*', 'https://'],
    ['https://*', 'null'],
    ['https://*', ''],
    ['https://*.app.test', 'null'],
  ])('not in %s: %s', (listed, origin) => expect(compileOrigins([listed]).contains(origin)).toBe(false));
});

describe('what is listed and is no origin is named, with what to write', () => {
  it.each([
    ['app.test', 'as https://app.test'],
    ['https://app.test/', 'write https://app.test'],
    ['https://app.test/x?y', 'write https://app.test'],
    ['https://*.app.test/', 'write https://*.app.test'],
    ['https://*app.test', 'whole labels at the left'],
    ['https://www.*.test', 'whole labels at the left'],
    ['*', 'https://*'],
    ['https://a b', 'write https://app.example.com'],
    ['https://app.test:99999', 'write https://app.example.com'],
    ['https://*:99999', 'whole labels at the left'],
  ])('%j: %s', (listed, said) => expect(originFault(listed)).toContain(said));

  it.each(['https://app.test', 'http://localhost:3000', 'https://*.app.test', 'https://*', 'null', 'http://[::1]:80'])(
    'not %s',
    (listed) => expect(originFault(listed)).toBeUndefined(),
  );
});
