import { describe, expect, it } from 'vitest';
import type { Exchange } from '../../src/data/exchange.ts';
import type { Principal } from '../../src/data/principal.ts';
import { routeConfig } from '../../test/support/config.ts';
import { Keys } from './key.ts';
import type { CacheOptions } from './schema.ts';

const options = { key: { query: 'all', headers: [] }, partition: 'principal' } as unknown as CacheOptions;

const ANN: Principal = {
  method: 'jwt',
  subject: 'ann',
  consumer: undefined,
  groups: ['a', 'b'],
  scopes: ['read'],
  claims: { iss: 'https://one.test', sub: 'ann', iat: 1, exp: 2, jti: 'x' },
  ambient: false,
};

function partition(principal: Principal | undefined, more: Partial<CacheOptions> = {}): string | undefined {
  return new Keys(routeConfig('orders'), { ...options, ...more }).partition({ principal } as Exchange);
}

describe('the partition of a known caller', () => {
  it('is the same with its next token', () => {
    const next = { ...ANN, groups: ['b', 'a'], claims: { ...ANN.claims, iat: 3, exp: 4, jti: 'y' } };
    expect(partition(next)).toBe(partition(ANN));
  });

  it.each<[string, Partial<Principal>]>([
    ['subject', { subject: 'bob' }],
    ['issuer', { claims: { ...ANN.claims, iss: 'https://two.test' } }],
    ['tenant', { claims: { ...ANN.claims, tenant: 'acme' } }],
    ['scope', { scopes: ['read', 'write'] }],
    ['group', { groups: ['a'] }],
    ['method', { method: 'basic' }],
  ])('is another with another %s', (_, change) => {
    expect(partition({ ...ANN, ...change })).not.toBe(partition(ANN));
  });

  it('is unknown where nobody has said its name: it shares nothing but public answers', () => {
    expect(partition({ ...ANN, subject: '' })).toBeUndefined();
  });

  it('is everybody’s where nobody was known, and where the route says so', () => {
    expect(partition(undefined)).toBe('');
    expect(partition(ANN, { partition: 'none' })).toBe('');
  });
});
