import { describe, expect, it } from 'vitest';
import type { MatchConfig, RouteConfig } from './schema.ts';
import { findShadowed } from './shadow.ts';

/** Names of the shadowed routes, each with the one that shadows it; routes are named a, b, c … in their order. */
function shadowed(...matches: readonly (MatchConfig | MatchConfig[])[]): Record<string, string> {
  const routes = matches.map((match, index) => ({ name: 'abcdef'[index], match: [match].flat() }) as RouteConfig);
  return Object.fromEntries([...findShadowed(routes)].map(([route, by]) => [route.name, by.name]));
}

describe('a route that can never match is found', () => {
  it('behind an equal one', () => {
    expect(shadowed({ path: '/x' }, { path: '/x' })).toEqual({ b: 'a' });
    expect(shadowed({}, { path: '/*' })).toEqual({ b: 'a' });
  });

  it('behind one with more hosts or more methods', () => {
    expect(shadowed({ host: ['a.example', 'b.example'], path: '/x/*' }, { host: 'a.example', path: '/x/*' })).toEqual({
      b: 'a',
    });
    expect(shadowed({ path: '/x', methods: ['GET', 'PUT'] }, { path: '/x', methods: ['GET'] })).toEqual({ b: 'a' });
  });

  it('that says the same of gRPC in other words', () => {
    expect(shadowed({ grpc: 'shop.Orders' }, { grpc: 'shop.Orders/*' })).toEqual({ b: 'a' });
    expect(shadowed({ grpc: 'shop.Orders' }, { path: '/shop.Orders/*', methods: ['POST'] })).toEqual({});
  });

  it('when each of its alternatives is taken, by whichever route', () => {
    expect(shadowed({ path: '/x' }, { path: '/y' }, [{ path: '/x' }, { path: '/y' }])).toEqual({ c: 'a' });
    expect(shadowed({ path: '/x' }, [{ path: '/x' }, { path: '/y' }])).toEqual({});
  });

  it('with equal conditions in another order', () => {
    const headers = { 'x-a': '1', 'x-b': { regex: 'b' } };
    expect(shadowed({ headers }, { headers: { 'x-b': { regex: 'b' }, 'x-a': '1' } })).toEqual({ b: 'a' });
  });

  it('as a regex below a prefix, wherever it stands: prefixes come first', () => {
    expect(shadowed({ path: { regex: '/x/[0-9]+' } }, { path: '/x/*' })).toEqual({ a: 'b' });
    expect(shadowed({ path: { regex: '/x/y/[0-9]+' } }, { path: '/x/*' })).toEqual({ a: 'b' });
  });
});

describe('a route that may match is left alone', () => {
  it('because it is more specific than the one before it', () => {
    expect(shadowed({ path: '/x/*' }, { path: '/x' })).toEqual({});
    expect(shadowed({ path: '/x/*' }, { path: '/x/y/*' })).toEqual({});
    expect(shadowed({ path: '/x' }, { path: '/x', methods: ['GET'] })).toEqual({});
    expect(shadowed({ path: '/x' }, { path: '/x', headers: { a: '1' } })).toEqual({});
    expect(shadowed({ path: '/x' }, { path: '/x', host: 'a.example' })).toEqual({});
  });

  it('because it takes more than the one before it', () => {
    expect(shadowed({ path: '/x', methods: ['GET'] }, { path: '/x', methods: ['GET', 'PUT'] })).toEqual({});
    expect(shadowed({ path: '/x', host: 'a.example' }, { path: '/x', host: ['a.example', 'b.example'] })).toEqual({});
    expect(shadowed({ path: '/x', cookies: { a: '1' } }, { path: '/x' })).toEqual({});
  });

  it('as a regex that may match beside the prefix, or where the prefix has conditions', () => {
    expect(shadowed({ path: { regex: '/x.*' } }, { path: '/x/*' })).toEqual({});
    expect(shadowed({ path: { regex: '/x/[0-9]+|/y' } }, { path: '/x/*' })).toEqual({});
    expect(shadowed({ path: { regex: '/x/[0-9]+' } }, { path: '/x/*', methods: ['GET'] })).toEqual({});
    expect(shadowed({ path: { regex: '/x/[0-9]+' } }, { path: '/*' })).toEqual({});
    expect(shadowed({ host: 'a.example', path: { regex: '/x/[0-9]+' } }, { path: '/x/*' })).toEqual({});
  });
});
