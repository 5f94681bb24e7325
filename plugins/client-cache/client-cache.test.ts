import { createHash } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { gatewayFixture, type GatewayFixture } from '../../test/support/gateway.ts';
import { startUpstream } from '../../test/support/upstream.ts';
import { checkClientCache } from './index.ts';
import type { ClientCacheOptions } from './schema.ts';

let gateway: GatewayFixture;

beforeAll(async () => {
  // Answers what its query says: a status, and fields.
  const service = await startUpstream('service', (request, response) => {
    const { status = '200', ...fields } = Object.fromEntries(new URL(request.url!, 'http://service').searchParams);
    response.writeHead(Number(status), fields).end(status === '304' ? undefined : 'good');
  });
  const route = (name: string, clientCache: object, more: object = {}) => ({
    name,
    match: { path: `/${name}/*` },
    pool: 'service',
    clientCache,
    ...more,
  });
  const open = { privacy: 'public', expiresIn: '5m', serverExpiresIn: '1h' };
  const auth = { apiKey: { header: 'x-api-key' }, optional: true };
  gateway = await gatewayFixture({
    gateway: {
      consumers: [{ name: 'anna', apiKeys: [{ sha256: createHash('sha256').update(KEY).digest('hex') }] }],
    },
    files: {
      'service.yaml': {
        pools: { service: { endpoints: [service.url] }, none: { endpoints: [] } },
        routes: [
          route('private', { privacy: 'private', expiresIn: '5m', expires: true }),
          route('public', open),
          route('overriding', { ...open, override: true }),
          route('closing', { privacy: 'no-store', override: true }),
          route('asking', { privacy: 'no-cache' }),
          route('known', open, { auth }),
          route('stored', open, { cache: { ttl: '1h' } }),
          route('empty', open, { pool: 'none' }),
          route('away', open, { pool: undefined, redirect: { to: 'https://else.test/' } }),
        ],
      },
    },
  });
});

const KEY = 'annas-own-key-0001';

async function told(target: string, headers: Record<string, string> = {}): Promise<Headers> {
  const response = await fetch(gateway.url + target, { headers, redirect: 'manual' });
  await response.arrayBuffer();
  return response.headers;
}

const control = async (target: string, headers?: Record<string, string>) =>
  (await told(target, headers)).get('cache-control');

describe('what clients are told', () => {
  it('is what the route says, where the service says nothing', async () => {
    expect(await control('/public/')).toBe('public, max-age=300, s-maxage=3600');
    expect(await control('/asking/')).toBe('no-cache');
    const headers = await told('/private/');
    expect(headers.get('cache-control')).toBe('private, max-age=300');
    const leftMs = Date.parse(headers.get('expires')!) - Date.parse(headers.get('date')!);
    // Both have whole seconds.
    expect(Math.abs(leftMs - 300_000)).toBeLessThanOrEqual(2_000);
  });

  it.each(['cache-control=max-age=7', 'expires=Thu, 01 Jan 2099 00:00:00 GMT', 'pragma=no-cache'])(
    'is what the service says: %s',
    async (said) => {
      const [name = '', value = ''] = said.split(/=(.*)/);
      const target = `?${new URLSearchParams({ [name]: value }).toString()}`;
      const kept = await told(`/public/${target}`);
      expect(kept.get(name)).toBe(value);
      expect(kept.get('cache-control')).toBe(name === 'cache-control' ? value : null);
      const replaced = await told(`/overriding/${target}`);
      expect(replaced.get('cache-control')).toBe('public, max-age=300, s-maxage=3600');
      expect(replaced.get('expires') ?? replaced.get('pragma')).toBeNull();
    },
  );

  it.each(['private', 'no-store', 'max-age=5, PRIVATE', 'no-store, max-age=0'])(
    'never opens what the service has closed: %s',
    async (said) => {
      const target = `?cache-control=${encodeURIComponent(said)}`;
      expect(await control(`/overriding/${target}`)).toBe(said);
      expect(await control(`/closing/${target}`)).toBe('no-store');
    },
  );

  it('is private where it concerns one caller: one who is known, or gets a cookie', async () => {
    expect(await control('/public/?set-cookie=a')).toBe('private, max-age=300');
    expect(await control('/known/', { 'x-api-key': KEY })).toBe('private, max-age=300');
    expect(await control('/known/')).toBe('public, max-age=300, s-maxage=3600');
  });

  it('is nothing about errors and redirects, whoever makes them; a 304 says what its 200 would', async () => {
    for (const target of ['/public/?status=404', '/public/?status=500', '/public/?status=302', '/away/']) {
      expect(await control(target)).toBeNull();
    }
    expect(await control('/public/?status=304')).toBe('public, max-age=300, s-maxage=3600');
    // Problems say so themselves.
    expect(await control('/empty/')).toBe('no-store');
    expect(await control('/known/', { 'x-api-key': 'a stranger' })).toBe('no-store');
  });

  it('does not shrink with the age of what the gateway had stored', async () => {
    await told('/stored/?age=100');
    const headers = await told('/stored/?age=100');
    const age = Number(headers.get('age'));
    expect(headers.get('cache-status')).toMatch(/hit/);
    expect(age).toBeGreaterThanOrEqual(100);
    expect(headers.get('cache-control')).toBe(`public, max-age=${300 + age}, s-maxage=${3600 + age}`);
  });
});

describe('policies that make no sense are named', () => {
  const rest = { expires: false, override: false };
  it.each<[Omit<ClientCacheOptions, 'override' | 'expires'> & { expires?: boolean }, string]>([
    [{ privacy: 'no-store', expiresIn: 60_000 }, 'expiresIn'],
    [{ privacy: 'private', serverExpiresIn: 60_000 }, 'serverExpiresIn'],
    [{ privacy: 'private', expiresIn: 10 }, 'expiresIn'],
    [{ privacy: 'public', expires: true }, 'expires'],
  ])('%j', (options, key) => {
    expect(checkClientCache({ ...rest, ...options }).map(({ path }) => path)).toEqual([[key]]);
  });

  it('others are let', () => {
    expect(checkClientCache({ ...rest, privacy: 'public', expiresIn: 60_000, serverExpiresIn: 60_000 })).toEqual([]);
  });
});
