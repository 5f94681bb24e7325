/** What browsers are asked to keep, by the way they came. */
import { describe, expect, it } from 'vitest';
import { RequestView } from '../../../src/data/match/request-view.ts';
import { Cookies } from './cookies.ts';
import type { CookieOptions } from './schema.ts';

const OPTIONS: CookieOptions = {
  name: 'aya-session',
  secret: 'x'.repeat(32),
  sameSite: 'lax',
  maxAge: 1000,
  idle: 1000,
};

function asked(scheme: 'http' | 'https', cookie = '') {
  const fields = cookie === '' ? [] : ['Cookie', cookie];
  const view = new RequestView('GET', 'shop.example.com', '/', '', fields, '127.0.0.1', 'http');
  return {
    scheme,
    cookie: (name: string) => view.cookie(name),
    header: (name: string) => view.header(name),
  };
}

const cookies = (options: Partial<CookieOptions> = {}, origin?: string) =>
  new Cookies({ ...OPTIONS, ...options }, origin);

const sent = (setCookies: readonly string[]) => setCookies.map((line) => line.split(';')[0]!).join('; ');

describe('a session cookie', () => {
  it.each<[string, string[]]>([
    ['aya-session=1.abc; Path=/; Max-Age=60; HttpOnly; SameSite=Lax', cookies().write(asked('http'), 'abc', 60_000)!],
    [
      '__Host-aya-session=1.abc; Path=/; Max-Age=60; HttpOnly; SameSite=Lax; Secure',
      cookies().write(asked('https'), 'abc', 60_000)!,
    ],
    [
      '__Secure-aya-session=1.abc; Path=/; Max-Age=60; HttpOnly; SameSite=None; Domain=example.com; Secure',
      cookies({ domain: 'example.com', sameSite: 'none' }).write(asked('https'), 'abc', 60_000)!,
    ],
    [
      '__Host-aya-session=1.abc; Path=/; Max-Age=60; HttpOnly; SameSite=Lax; Secure',
      cookies({}, 'https://shop.example.com').write(asked('http'), 'abc', 60_000)!,
    ],
  ])('is written as %s', (line, written) => {
    expect(written).toEqual([line]);
  });

  it('that a page without TLS could have set is not read with TLS', () => {
    expect(cookies().has(asked('https', 'aya-session=1.abc'))).toBe(false);
  });

  it.each([1, 3800, 3801, 11_400])('of %i bytes is read as it was written', (length) => {
    const text = Array.from({ length }, (_, at) => 'abcdefghij'[at % 10]).join('');
    const written = cookies().write(asked('https'), text, 60_000)!;
    for (const line of written) expect(line.length).toBeLessThan(4096);
    expect(cookies().read(asked('https', sent(written)))).toBe(text);
  });

  it('that no browser would keep is not written', () => {
    expect(cookies().write(asked('https'), 'x'.repeat(11_401), 60_000)).toBeUndefined();
  });

  it('takes the parts back that it does not need any more', () => {
    const before = asked('http', 'aya-session=3.a; aya-session.1=b; aya-session.2=c');
    expect(sent(cookies().write(before, 'abc', 60_000)!)).toBe('aya-session=1.abc; aya-session.1=; aya-session.2=');
    expect(
      cookies()
        .clear(before)
        .every((line) => line.includes('Max-Age=0')),
    ).toBe(true);
    expect(cookies().clear(before)).toHaveLength(3);
  });
});
