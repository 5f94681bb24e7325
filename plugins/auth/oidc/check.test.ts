/** What is wrong with options, told where they are loaded. */
import { describe, expect, it } from 'vitest';
import type { RouteConfig } from '../../../src/config/schema.ts';
import { checkOptions } from './check.ts';
import type { OidcOptions } from './schema.ts';

const COOKIE = {
  name: 'aya-session',
  secret: 's'.repeat(32),
  sameSite: 'lax',
  maxAge: 8 * 3_600_000,
  idle: 3_600_000,
} as const;

const OPTIONS: OidcOptions = {
  issuer: 'https://id.example.com',
  clientId: 'shop',
  clientSecret: 'secret',
  clientAuthentication: 'basic',
  scopes: ['openid'],
  authorizationParameters: {},
  login: true,
  path: '/oidc',
  introspection: false,
  cookie: COOKIE,
};

function faults(options: Partial<OidcOptions>, match: object = { path: '/*' }): string[] {
  const route = { name: 'shop', match: [match].flat() } as unknown as RouteConfig;
  return checkOptions({ ...OPTIONS, ...options }, route).map(({ path, message }) => `${path.join('.')}: ${message}`);
}

describe('options of oidc', () => {
  it('are right', () => {
    expect(faults({})).toEqual([]);
    expect(faults({ issuer: 'http://127.0.0.1:9000' })).toEqual([]);
    expect(faults({ login: false, path: '/elsewhere' }, { path: '/api/*' })).toEqual([]);
    expect(faults({}, [{ path: '/shop/*' }, { path: '/oidc/*', methods: ['GET'] }])).toEqual([]);
  });

  it.each<[Partial<OidcOptions>, RegExp]>([
    [{ issuer: 'id.example.com' }, /^issuer: 'id.example.com' is not a URL/],
    [{ issuer: 'http://id.example.com' }, /^issuer: .* is not https/],
    [{ issuer: 'http://127.0.0.1.evil.example' }, /^issuer: .* is not https/],
    [{ issuer: 'https://a:b@id.example.com' }, /^issuer: holds a user name/],
    [{ issuer: 'https://id.example.com/?a=1' }, /^issuer: .* has a query/],
    [{ cookie: { ...COOKIE, secret: 's'.repeat(31) } }, /^cookie.secret: has 31 bytes: it needs 32/],
    [{ cookie: { ...COOKIE, previousSecret: 's' } }, /^cookie.previousSecret: has 1 bytes/],
    [{ cookie: { ...COOKIE, idle: 9 * 3_600_000 } }, /^cookie.idle: is longer than maxAge/],
    [{ cookie: { ...COOKIE, domain: 'example.com; Path=/x' } }, /^cookie.domain: .* is not a domain/],
    [{ scopes: ['profile'] }, /^scopes: need openid/],
    [{ authorizationParameters: { state: 'x' } }, /^authorizationParameters.state: is what each login says itself/],
    [{ path: '/oidc/' }, /^path: '\/oidc\/' is not a path in normal form/],
    [{ path: '/a/../oidc' }, /^path: .* is not a path in normal form/],
    [{ origin: 'https://shop.example.com/' }, /^origin: .* is not an origin/],
    [{ afterLogout: '//evil.example' }, /^afterLogout: .* is not a path of this site/],
    [{ introspection: { cacheFor: 1000 }, clientSecret: undefined } as never, /^introspection: needs a clientSecret/],
  ])('%j are told', (options, sentence) => {
    expect(faults(options)).toEqual([expect.stringMatching(sentence)]);
  });

  it('need a cookie for logins, and something to accept', () => {
    const { cookie: _, ...without } = OPTIONS;
    const route = { name: 'shop', match: [{ path: '/*' }] } as unknown as RouteConfig;
    expect(checkOptions(without, route)[0]!.message).toMatch(/is needed for logins/);
    expect(checkOptions({ ...without, login: false }, route)[0]!.message).toMatch(/accepts nothing/);
  });

  it.each<[object, RegExp]>([
    [{ path: '/shop/*' }, /^path: the route does not match GET \/oidc\/callback: write path: \/shop\/oidc, or/],
    [{ path: '/shop' }, /add \{ path: \/oidc\/\* \} to its match/],
    [{ path: '/*', methods: ['POST'] }, /^path: the route does not match GET \/oidc\/callback/],
    [{ path: '/*', headers: { 'x-a': '1' } }, /^path: the route does not match GET \/oidc\/callback/],
  ])('say where the provider’s redirect would not arrive: %j', (match, sentence) => {
    expect(faults({}, match)).toEqual([expect.stringMatching(sentence)]);
  });
});
