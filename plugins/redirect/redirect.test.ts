import type { FastifyReply } from 'fastify';
import { describe, expect, it } from 'vitest';
import type { RouteConfig } from '../../src/config/schema.ts';
import type { Exchange } from '../../src/data/exchange.ts';
import type { PluginContext } from '../../src/extension.ts';
import redirect, { checkRedirect, compileLocation } from './index.ts';
import type { RedirectConfig } from './schema.ts';

type Options = Omit<RedirectConfig, 'status'>;

const asked = {
  scheme: 'http' as 'http' | 'https',
  host: 'example.org',
  port: 80,
  path: '/original/path',
  matchedPrefix: '/original',
  search: '',
};
const locate = (options: Options, request: Partial<typeof asked> = {}): string =>
  compileLocation({ status: 302, ...options })({ ...asked, ...request });

describe('the location', () => {
  // HTTPRouteRedirectScheme, …Port, …PortAndScheme, …HostAndStatus, …Path of the Gateway API's conformance suite.
  it.each<[Options, Partial<typeof asked>, string]>([
    [{ scheme: 'https' }, {}, 'https://example.org/original/path'],
    [{ scheme: 'https', host: 'example.com' }, {}, 'https://example.com/original/path'],
    [{ port: 8083 }, {}, 'http://example.org:8083/original/path'],
    [{ port: 8083, host: 'example.com' }, {}, 'http://example.com:8083/original/path'],
    [{ host: 'example.com' }, { port: 8080 }, 'http://example.com:8080/original/path'],
    [{ port: 80 }, { port: 8080 }, 'http://example.org/original/path'],
    [{ scheme: 'https' }, { port: 8080 }, 'https://example.org/original/path'],
    [{ scheme: 'https', port: 443 }, { port: 8080 }, 'https://example.org/original/path'],
    [{ scheme: 'https', port: 8443 }, {}, 'https://example.org:8443/original/path'],
    [{ scheme: 'http' }, { scheme: 'https', port: 443 }, 'http://example.org/original/path'],
    [{ scheme: 'http', port: 443 }, {}, 'http://example.org:443/original/path'],
    [{ host: 'example.com' }, { scheme: 'https', port: 443 }, 'https://example.com/original/path'],
    [{ prefix: '/replacement-prefix' }, { path: '/original-prefix/lemon', matchedPrefix: '/original-prefix' }, 'http://example.org/replacement-prefix/lemon'],
    [{ path: '/full-path-replacement' }, { path: '/full/path/original' }, 'http://example.org/full-path-replacement'],
    [{ prefix: '/replacement-prefix', host: 'example.com' }, {}, 'http://example.com/replacement-prefix/path'],
    [{ prefix: '/' }, { path: '/original' }, 'http://example.org/'],
    [{ path: '' }, {}, 'http://example.org/'],
  ])('%j of %j is %s', (options, request, location) => expect(locate(options, request)).toBe(location)); // prettier-ignore

  it('keeps the query of the request in all but a fixed URL', () => {
    expect(locate({ path: '/x' }, { search: 'a=1&b' })).toBe('http://example.org/x?a=1&b');
    expect(locate({ to: 'https://docs.test/x?y#z' }, { search: 'a=1' })).toBe('https://docs.test/x?y#z');
  });

  it('stays on its host and one line, whatever the path holds', () => {
    const path = '/original/%0D%0Aset-cookie:%20a@evil.test';
    expect(locate({ prefix: '/' }, { path })).toBe('http://example.org/%0D%0Aset-cookie:%20a@evil.test');
  });
});

describe('the answer', () => {
  it.each([301, 302, 303, 307, 308] as const)('has status %i, the location and no body', (status) => {
    const said: unknown[] = [];
    const reply = {
      code: (code: number) => (said.push(code), reply),
      header: (name: string, value: string) => (said.push([name, value]), reply),
      send: (body?: unknown) => (said.push(body), reply),
    };
    redirect.create({ status, to: 'https://a.test/' }, {} as PluginContext).onRequest!(
      { ...asked, upstream: { target: asked.path } } as unknown as Exchange,
      reply as unknown as FastifyReply,
      () => said.push('went on'),
    );
    expect(said).toEqual([status, ['location', 'https://a.test/'], ['content-length', '0'], undefined]);
  });
});

describe('a redirect that cannot be meant is named', () => {
  const prefix = { match: [{ path: '/x/*' }] } as RouteConfig;
  const exact = { match: [{ path: '/x' }] } as RouteConfig;
  it.each<[Options, RouteConfig, (string | number)[], string]>([
    [{}, exact, [], 'needs to, or one of'],
    [{ to: 'https://a.test', host: 'b.test' }, exact, ['host'], 'excludes to'],
    [{ to: 'https://a b' }, exact, ['to'], 'is not a URL'],
    [{ to: 'https://a.test/\r\nx: y' }, exact, ['to'], 'is not a URL'],
    [{ host: 'b.test:80' }, exact, ['host'], 'the port is a key of its own'],
    [{ host: 'b@c' }, exact, ['host'], "'b@c' is not a host"],
    [{ path: '//evil.test' }, exact, ['path'], 'is not a path in normal form'],
    [{ path: '/a', prefix: '/b' }, prefix, ['prefix'], 'excludes path'],
    [{ prefix: '/b' }, exact, ['prefix'], 'needs a match on a prefix'],
    [{ port: 81 }, { ...exact, pool: 'p' } as RouteConfig, [], 'has no pool'],
    [{ port: 81 }, { ...exact, rewrite: { path: '/' } } as RouteConfig, [], 'has no rewrite'],
  ])('%j', (options, route, path, message) => {
    const faults = checkRedirect({ status: 302, ...options }, route);
    expect(faults.map((fault) => fault.path)).toEqual([path]);
    expect(faults[0]?.message).toContain(message);
  });

  it('sound ones have no fault', () => {
    expect(checkRedirect({ status: 301, to: 'https://docs.example.com' }, exact)).toEqual([]);
    expect(checkRedirect({ status: 308, scheme: 'https', prefix: '/new' }, prefix)).toEqual([]);
  });
});
