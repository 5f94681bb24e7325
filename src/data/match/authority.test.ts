import { describe, expect, it } from 'vitest';
import { parseAuthority } from './authority.ts';

describe('an authority', () => {
  it.each([
    ['example.com', 'example.com', undefined],
    ['Example.COM.', 'example.com', undefined],
    ['example.com.:8080', 'example.com', 8080],
    ['my_service-1:80', 'my_service-1', 80],
    ['10.0.0.1:65535', '10.0.0.1', 65535],
    ['[::1]', '[::1]', undefined],
    ['[2001:DB8:0:0::0:1]:443', '[2001:db8::1]', 443],
  ])('%s names host %s and port %s', (text, host, port) => {
    expect(parseAuthority(text)).toEqual({ host, port });
  });

  it.each([
    '', '.', '..', 'a..b', '.a', 'a..', ':80', 'a:', 'a:0', 'a:65536', 'a:080000', 'a:8o', 'a:-1', 'a:1:2', 'user@a',
    'a b', ' a', 'a ', 'a/b', 'a?b', 'a#b', 'a,b', 'a\\b', 'a\tb', 'a%2eb', 'é', '[::1', '::1', '[::1]x', '[::1]:', '[fe80::1%25eth0]',
    '[1.2.3.4]', '[]', 'a[', '*', `${'a'.repeat(256)}`,
  ])('is not %j', (text) => expect(parseAuthority(text)).toBeUndefined()); // prettier-ignore
});
