/** No spelling of a guarded path reaches a service by a route that does not guard it. */
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startFaultyUpstream, type FaultyUpstream } from '../support/faulty-upstream.ts';
import { gatewayFixture, type GatewayFixture } from '../support/gateway.ts';
import { ask, request } from '../support/raw-client.ts';
import { isGuarded, isGuardedPath, PLAIN, readOnce, SPELLINGS } from './spellings.ts';

let guarded: FaultyUpstream;
let open: FaultyUpstream;
let gateway: GatewayFixture;

beforeAll(async () => {
  [guarded, open] = await Promise.all([startFaultyUpstream('guarded'), startFaultyUpstream('open')]);
  const pool = ({ url }: FaultyUpstream) => ({ endpoints: [url], health: { passive: false } });
  gateway = await gatewayFixture({
    gateway: { accessLog: { enabled: false } },
    files: {
      'paths.yaml': {
        pools: { guarded: pool(guarded), open: pool(open) },
        routes: [
          { name: 'admin', match: { path: '/admin/*' }, pool: 'guarded' },
          { name: 'slashes', match: { path: '/files/*' }, pool: 'open', limits: { encodedSlashes: 'allow' } },
          { name: 'stripped', match: { path: '/strip/*' }, pool: 'open', rewrite: { prefix: '/' } },
          { name: 'prefixed', match: { path: '/v1/*' }, pool: 'open', rewrite: { prefix: '/v2' } },
          {
            name: 'captured',
            match: { path: { regex: '/captured/.*' } },
            pool: 'open',
            rewrite: { regex: '^/captured/(.*)$', to: '/found/$1' },
          },
          { name: 'rest', pool: 'open' },
        ],
      },
    },
  });
});

beforeEach(() => {
  guarded.clear();
  open.clear();
});

const get = async (target: string) =>
  (await ask(gateway.port, request('GET', target, 'any.test', ['Connection: close']), { answers: 0 })).responses[0];

describe('a guarded path', () => {
  it.each(PLAIN)('is served by its own route: %s', async (target) => {
    expect((await get(target))?.status).toBe(200);
    expect(guarded.seen).toHaveLength(1);
  });

  it.each(SPELLINGS)('is not reached past its guard: %s', async (target) => {
    const answer = await get(target);
    expect(answer, 'some answer').toBeDefined();
    expect(answer!.status).not.toBe(500);
    for (const { target: arrived } of open.seen) {
      expect(isGuarded(arrived), `${arrived} as it is`).toBe(false);
      expect(isGuardedPath(readOnce(arrived)), `${arrived} read once`).toBe(false);
    }
  });

  it.each(SPELLINGS.filter((target) => target.startsWith('/')))(
    'is not reached through a rewrite: %s',
    async (target) => {
      for (const prefix of ['/strip', '/strip/..', '/strip/x/..']) {
        await get(prefix + target);
      }
      const reached = open.seen.map(({ target: arrived }) => arrived);
      // `/strip/admin/secret` itself is the operator's own rule: what it must not do is climb or hide.
      for (const arrived of reached) {
        expect(arrived).toMatch(/^\/(?!\/)/);
        expect(arrived.split('?')[0]).not.toMatch(/\/\.{1,2}(;[^/]*)?(\/|$)|\/\/|%2e|%2f|%5c|%00|\\/i);
      }
    },
  );
});

describe('a path', () => {
  it.each([
    ['/a/b/../c', '/a/c'],
    ['/a/./b', '/a/b'],
    ['/%61bc', '/abc'],
    ['/a%7Eb', '/a~b'],
    ['/a%2db%2ec%5f', '/a-b.c_'],
    ['/caf%c3%a9', '/caf%C3%A9'],
    ['/a%20b', '/a%20b'],
    ['/a?x=/../y&z=%2e%2e', '/a?x=/../y&z=%2e%2e'],
    ['/a//b', '/a/b'],
  ])('arrives normalised or is refused, and what is sent is what was matched: %s', async (target, normal) => {
    const answer = await get(target);
    if (answer?.status !== 200) expect(answer?.status).toBe(400);
    else expect(open.seen[0]?.target.toLowerCase()).toBe(normal.toLowerCase());
  });

  it.each(['/a%2fb', '/a%2Fb', '/a%5cb', '/a%00b', '/a%2500b/%00'])(
    'that hides a separator or a control byte is refused: %s',
    async (target) => {
      expect((await get(target))?.status).toBe(400);
      expect(open.seen).toEqual([]);
    },
  );

  it('with encoded line ends is refused or keeps them encoded: no field is made of it', async () => {
    const answer = await get('/a%0d%0aX-Injected:%201');
    if (answer?.status !== 200) expect(answer?.status).toBe(400);
    for (const { target, fields } of open.seen) {
      expect(target).toMatch(/%0d%0a/i);
      expect(fields.join()).not.toMatch(/x-injected/i);
    }
  });

  it('may hold encoded slashes where its route allows them, and they arrive as they were', async () => {
    expect((await get('/files/a%2Fb'))?.status).toBe(200);
    expect(open.seen[0]?.target).toMatch(/^\/files\/a%2fb$/i);
  });

  it.each([
    '/files/..%2fadmin/secret',
    '/files/%2e%2e%2fadmin/secret',
    '/files/x%2f..%2f..%2fadmin/secret',
    '/files/..%5cadmin',
  ])('that climbs by encoded slashes is refused even there: %s', async (target) => {
    const answer = await get(target);
    for (const { target: arrived } of open.seen) expect(isGuardedPath(readOnce(arrived)), arrived).toBe(false);
    expect(answer?.status).not.toBe(500);
  });

  it.each(['/strip//evil.test/x', '/strip/..//x', '/v1/..%2fadmin', '/v1../admin/secret', '/v1/..;/admin/secret'])(
    'that a rewrite would turn into a climb is refused or normal: %s',
    async (target) => {
      await get(target);
      for (const { target: arrived } of open.seen) expect(arrived.split('?')[0]).not.toMatch(/\/\.\.|\/\/|;|%2f/i);
    },
  );

  it.each([
    ['/captured/a%20b', '/found/a%20b'],
    ['/captured/a%26b%25c', '/found/a%26b%25c'],
    ['/captured/$1', '/found/$1'],
    ['/captured/x?y=$1', '/found/x?y=$1'],
  ])('is captured and written by a regex rewrite without being decoded: %s', async (target, rewritten) => {
    expect((await get(target))?.status).toBe(200);
    expect(open.seen[0]?.target).toBe(rewritten);
  });

  it.each(['/captured/a%0d%0aX-Injected:%201', '/captured/%00', '/captured/..', '/captured/%2e%2e/%2e%2e/admin'])(
    'that would inject or climb through a capture never does: %s',
    async (target) => {
      await get(target);
      for (const { target: arrived, fields } of open.seen) {
        expect(fields.join()).not.toMatch(/x-injected/i);
        expect(isGuardedPath(readOnce(arrived))).toBe(false);
      }
    },
  );

  it.each(['//evil.test/', 'http://evil.test/', '//evil.test:80/x', 'http://evil.test@any.test/'])(
    'never chooses the upstream: %s',
    async (target) => {
      const answer = await get(target);
      expect(answer?.status).toBeLessThan(500);
    },
  );
});
