import { describe, expect, it } from 'vitest';
import type { MatchConfig } from '../config/schema.ts';
import type { GatewayError } from '../errors.ts';
import type { RewriteConfig } from '../config/rewrite-schema.ts';
import { checkRewrite, compileRewrite, replacePrefix } from './rewrite.ts';

/** What is sent, or the error. */
function rewrite(config: RewriteConfig, path: string, { matchedPrefix = '', search = '' } = {}): string | GatewayError {
  const request = { target: search === '' ? path : `${path}?${search}`, fields: ['host', 'asked.test'] };
  return compileRewrite(config)({ path, matchedPrefix }, request) ?? request.target;
}

describe('replacing a prefix', () => {
  // The table of HTTPPathModifier in the Gateway API's reference, whose `/foo/` as a match is our `/foo/*` as well.
  it.each([
    ['/foo/bar', '/foo', '/xyz', '/xyz/bar'],
    ['/foo/bar', '/foo', '/xyz/', '/xyz/bar'],
    ['/foo', '/foo', '/xyz', '/xyz'],
    ['/foo/', '/foo', '/xyz', '/xyz/'],
    ['/foo/bar', '/foo', '', '/bar'],
    ['/foo/', '/foo', '', '/'],
    ['/foo', '/foo', '', '/'],
    ['/foo/', '/foo', '/', '/'],
    ['/foo', '/foo', '/', '/'],
    ['/foo/bar', '/foo', '/', '/bar'],
    ['/foo/bar', '', '/xyz', '/xyz/foo/bar'],
    ['/', '', '/xyz', '/xyz/'],
    ['/', '', '/', '/'],
  ])('%s, of which %j was matched, by %j gives %s', (path, matchedPrefix, replacement, expected) => {
    expect(replacePrefix({ path, matchedPrefix }, replacement)).toBe(expected);
  });

  // HTTPRouteRewritePath of the conformance suite.
  it.each([
    ['/prefix/one/two', '/prefix/one', { prefix: '/one' }, '/one/two'],
    ['/strip-prefix/three', '/strip-prefix', { prefix: '/' }, '/three'],
    ['/strip-prefix', '/strip-prefix', { prefix: '/' }, '/'],
    ['/full/one/two', '/full/one', { path: '/one' }, '/one'],
    ['/full/rewrite-path-and-modify-headers/test', '/full', { path: '/test' }, '/test'],
  ])('as the conformance suite has it: %s', (path, matchedPrefix, config, expected) => {
    expect(rewrite(config, path, { matchedPrefix })).toBe(expected);
  });
});

describe('other rewrites of the path', () => {
  it('the query is kept', () => {
    expect(rewrite({ path: '/whole' }, '/a', { search: 'b=%2F..&c' })).toBe('/whole?b=%2F..&c');
  });

  it.each<[RewriteConfig, string, string]>([
    [{ stripPrefix: '/api' }, '/api/x', '/x'],
    [{ stripPrefix: '/api/' }, '/api/x', '/x'],
    [{ stripPrefix: '/api' }, '/api', '/'],
    [{ stripPrefix: '/api' }, '/apix/y', '/apix/y'],
    [{ stripPrefix: '/api' }, '/other', '/other'],
    [{ addPrefix: '/v1' }, '/x', '/v1/x'],
    [{ addPrefix: '/v1/' }, '/', '/v1/'],
    [{ stripPrefix: '/api', addPrefix: '/v1' }, '/api/x', '/v1/x'],
  ])('%j of %s gives %s', (config, path, expected) => expect(rewrite(config, path)).toBe(expected));

  it('stripPrefix: true removes what was matched, parameters and all', () => {
    expect(rewrite({ stripPrefix: true }, '/api;v=1/x', { matchedPrefix: '/api;v=1' })).toBe('/x');
  });

  it.each([
    ['^/users/(\\d+)/(.*)$', '/u/$1/$2', '/users/7/x/y', '/u/7/x/y'],
    ['^/users/(\\d+)$', '/u/\\1', '/users/7', '/u/7'],
    ['^/(a)(b)?$', '/${1}0$2', '/a', '/a0'],
    ['/old', '/new', '/old/old/x', '/new/new/x'],
    ['x', '$$1', '/ax', '/a$1'],
    ['none', '/y', '/x', '/x'],
  ])('regex %s to %s of %s gives %s', (regex, to, path, expected) => {
    expect(rewrite({ regex, to }, path)).toBe(expected);
  });

  it('captures are pasted exactly: escapes stay, & and $1 in them mean nothing', () => {
    expect(rewrite({ regex: '^/f/(.*)$', to: '/g/$1' }, '/f/a%0D%0Ab%25&$1$$')).toBe('/g/a%0D%0Ab%25&$1$$');
  });
});

describe('a rewrite that makes an unsafe path is refused', () => {
  it.each<[RewriteConfig, string]>([
    [{ regex: '^/api', to: '' }, '/api../admin'],
    [{ regex: '^/api/x', to: '/' }, '/api/x../admin'],
    [{ regex: '^/api(.*)', to: '/$1' }, '/api/evil.test'],
    [{ regex: 'x', to: '' }, '/.x./admin'],
    [{ regex: '%25', to: '%' }, '/%252e%252e/admin'],
    [{ regex: '.*', to: '' }, '/a'],
    [{ regex: 'q', to: ' ' }, '/q'],
    [{ regex: '(%2)F', to: '$1' }, '/a%2Fb'],
  ])('%j of %s', (config, path) => expect(rewrite(config, path)).toMatchObject({ status: 400 }));
});

describe('the host', () => {
  it('is replaced where it stands, the path left alone', () => {
    const request = { target: '/x?y', fields: ['Host', 'asked.test', 'a', 'b'] };
    compileRewrite({ host: 'inner.test:81' })({ path: '/x', matchedPrefix: '' }, request);
    expect(request).toEqual({ target: '/x?y', fields: ['Host', 'inner.test:81', 'a', 'b'] });
  });
});

describe('rewrites that cannot be meant are named', () => {
  const prefixes: MatchConfig[] = [{ path: '/x/*' }, {}];
  const exact: MatchConfig[] = [{ path: '/x/*' }, { path: '/x' }];
  it.each<[RewriteConfig, MatchConfig[], string[], string]>([
    [{ prefix: '/a', path: '/b' }, prefixes, [], 'prefix and path exclude each other'],
    [{ path: '/a', addPrefix: '/b' }, prefixes, [], 'path and stripPrefix or addPrefix exclude each other'],
    [{ prefix: '/a' }, exact, ['prefix'], 'needs a match on a prefix: path: /x/*'],
    [{ stripPrefix: true }, [{ path: { regex: '/x' } }], ['stripPrefix'], 'needs a match on a prefix: path: /x/*'],
    [{ path: '/a/../b' }, exact, ['path'], "'/a/../b' is not a path in normal form"],
    [{ addPrefix: '//evil.test' }, exact, ['addPrefix'], "'//evil.test' is not a path in normal form"],
    [{ regex: '(', to: '/' }, exact, ['regex'], 'is not an RE2 regular expression'],
    [{ regex: 'a' }, exact, ['regex'], 'needs to'],
    [{ to: '/a' }, exact, ['to'], 'needs regex'],
    [{ regex: '(a)', to: '/$2' }, exact, ['to'], 'names group 2; the regex has 1'],
    [{ host: 'a b' }, exact, ['host'], "'a b' is not host or host:port"],
  ])('%j', (config, match, path, message) => {
    const faults = checkRewrite(config, { match });
    expect(faults.map((fault) => fault.path)).toEqual([path]);
    expect(faults[0]?.message).toContain(message);
  });

  it('sound ones have no fault', () => {
    expect(checkRewrite({ prefix: '/v1', host: 'a.test' }, { match: prefixes })).toEqual([]);
    expect(checkRewrite({ stripPrefix: '/a', addPrefix: '/b' }, { match: exact })).toEqual([]);
    expect(checkRewrite({ regex: '(a)', to: '/$1' }, { match: exact })).toEqual([]);
  });
});
