import { describe, expect, it } from 'vitest';
import { poolConfig } from '../../test/support/config.ts';
import { candidatesOf, crowdOf, type LivePool } from './candidates.ts';

const THREE = ['http://a', 'http://b', 'http://c'];

/** What the admin server would say, when only these are in trouble. */
function live(urls: readonly string[], ...troubled: readonly string[]): LivePool {
  return {
    name: 'orders',
    endpoints: urls.map((url) => ({
      url,
      state: troubled.includes(url) ? 'unhealthy' : 'available',
      reason: troubled.includes(url) ? 'connection refused' : '',
      since: '2026-11-20T10:00:00.000Z',
      inFlight: 3,
      averageMs: 12.5,
    })),
  };
}

/** Those considered, and the reasons of the others. */
function sorted(...[pool, state]: Parameters<typeof candidatesOf>) {
  const candidates = candidatesOf(pool, state);
  return {
    considered: candidates.filter(({ considered }) => considered).map(({ url }) => url),
    skipped: Object.fromEntries(
      candidates.filter(({ considered }) => !considered).map(({ url, reason }) => [url, reason]),
    ),
  };
}

describe('the endpoints that a request could go to', () => {
  it('are all, when no gateway tells their states', () => {
    expect(sorted(poolConfig(THREE), undefined)).toEqual({ considered: THREE, skipped: {} });
  });

  it('are those available; the reason of each other one is the health monitor’s', () => {
    expect(sorted(poolConfig(THREE), live(THREE, 'http://b'))).toEqual({
      considered: ['http://a', 'http://c'],
      skipped: { 'http://b': 'unhealthy since 2026-11-20T10:00:00.000Z: connection refused' },
    });
  });

  it('are all in a panic, and it says so', () => {
    const candidates = candidatesOf(poolConfig(THREE), live(THREE, 'http://a', 'http://b'));
    expect(candidates.map(({ considered }) => considered)).toEqual([true, true, true]);
    expect(candidates[0]!.reason).toMatch(/^panic: .*unhealthy since/);
    expect(candidates[2]!.reason).toBe('');
  });

  it('do not include backups or weight 0 while others are available', () => {
    const pool = poolConfig([{ url: 'http://a' }, { url: 'http://b', backup: true }, { url: 'http://c', weight: 0 }]);
    expect(sorted(pool, live(THREE))).toEqual({
      considered: ['http://a'],
      skipped: { 'http://b': 'backup: others are available', 'http://c': 'weight 0 takes no traffic' },
    });
  });

  it('are not those that have as much as they take', () => {
    const { endpoints, ...pool } = live(THREE);
    const full = { ...pool, endpoints: endpoints.map((one, at) => ({ ...one, maxInFlight: at === 0 ? 3 : 4 })) };
    expect(sorted(poolConfig(THREE), full)).toEqual({
      considered: ['http://b', 'http://c'],
      skipped: { 'http://a': 'at its limit: 3 of 3 in flight' },
    });
  });

  it('would have to be waited for when the pool has as much as it takes', () => {
    const crowd = (saturation: LivePool['saturation']) =>
      crowdOf({ ...live(THREE), ...(saturation && { saturation }) });
    expect(crowd(undefined)).toBeUndefined();
    expect(crowd({ inFlight: 3, limit: 4, waiting: 0 })).toBeUndefined();
    expect(crowd({ inFlight: 4, limit: 4, waiting: 0 })).toBe('4 of 4 in flight, 0 wait for a place');
    expect(crowd({ inFlight: 3, waiting: 2 })).toBe('3 in flight, 2 wait for a place');
  });

  it('are the backups when no other is available', () => {
    const pool = poolConfig(['http://a', { url: 'http://b', backup: true }]);
    expect(sorted(pool, live(['http://a', 'http://b'], 'http://a')).considered).toEqual(['http://b']);
  });

  it('leave out those whose breaker is not closed, and say why it is not', () => {
    const [a, b] = live(['http://a', 'http://b']).endpoints;
    const since = '2026-11-20T11:00:00.000Z';
    const breaker = { state: 'open', reason: '3 failures in a row; open for 10.4 s', since };
    const state = { ...a!, state: 'breaker open', reason: 'breaker open: 3 failures in a row', breaker };
    expect(sorted(poolConfig(['http://a', 'http://b']), { name: 'orders', endpoints: [state, b!] })).toEqual({
      considered: ['http://b'],
      skipped: { 'http://a': `breaker open since ${since}: 3 failures in a row; open for 10.4 s` },
    });
  });

  it('are none while the breaker of the pool is not closed', () => {
    const breaker = { state: 'half-open', reason: 'a request finds out whether it is over' };
    const { considered, skipped } = sorted(poolConfig(['http://a']), { ...live(['http://a']), breaker });
    expect(considered).toEqual([]);
    expect(skipped['http://a']).toBe(
      'the pool’s breaker is half-open since the start: a request finds out whether it is over',
    );
  });

  it('leave out whom an agent leaves no weight', () => {
    const [a, b] = live(['http://a', 'http://b']).endpoints;
    const state = { ...a!, agent: { share: 0, said: '0%' } };
    expect(sorted(poolConfig(['http://a', 'http://b']), { name: 'orders', endpoints: [state, b!] })).toEqual({
      considered: ['http://b'],
      skipped: { 'http://a': 'weight 0 by its agent: 0%' },
    });
  });

  it('include one that the running gateway does not have yet, and it says so', () => {
    const [, added] = candidatesOf(poolConfig(['http://a', 'http://new']), live(['http://a']));
    expect(added).toMatchObject({ considered: true, reason: 'not in the running gateway yet' });
  });

  it('are also those that the running gateway has found; one that joins waits', () => {
    const found = { ...live(['http://a', 'http://x', 'http://y']), name: 'orders' };
    const endpoints = found.endpoints.map((endpoint) => ({
      ...endpoint,
      ...(endpoint.url === 'http://a' ? {} : { discoveredBy: 'dns orders.internal', weight: 2 }),
      ...(endpoint.url === 'http://y' ? { state: 'joining', reason: 'joined' } : {}),
    }));
    const pool = { ...poolConfig(['http://a']), discover: { kind: 'dns', dns: 'orders.internal', max: 10 } };
    expect(sorted(pool, { ...found, endpoints })).toEqual({
      considered: ['http://a', 'http://x'],
      skipped: { 'http://y': 'joining since 2026-11-20T10:00:00.000Z: joined' },
    });
    expect(candidatesOf(pool, { ...found, endpoints })[1]).toMatchObject({
      weight: 2,
      discoveredBy: 'dns orders.internal',
    });
    const alone = { ...found, endpoints: endpoints.slice(2) };
    expect(sorted({ ...pool, endpoints: [] }, alone)).toEqual({ considered: ['http://y'], skipped: {} });
  });
});
