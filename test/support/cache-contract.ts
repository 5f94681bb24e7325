/** What is stored, and for whom: wherever answers are stored. */
import { describe, expect, it } from 'vitest';
import { gateway, get, give, isStored, nextPath, origin, path, SECRET, upstream, startCache } from './cache-fixture.ts';

/** @param store `cache.store` of gateway.yaml. */
export function storingContract(store: () => Promise<string>): void {
  startCache(store);

  describe('a fresh answer', () => {
    it('is given again without asking the upstream, by every thread, with its age', async () => {
      const first = await get();
      expect(first).toMatchObject({
        status: 200,
        body: 'answer 1',
        cache: 'aya; fwd=uri-miss; fwd-status=200; stored',
      });
      // Each on a connection of its own, so that both threads have their part.
      const others = await Promise.all(Array.from({ length: 20 }, () => get()));
      for (const { body, headers, cache } of others) {
        expect(body).toBe('answer 1');
        // The origin's Date has whole seconds.
        expect(headers['age']).toMatch(/^[01]$/);
        expect(cache).toMatch(/^aya; hit; ttl=(58|59|60)$/);
      }
      expect(upstream.requests).toBe(1);
    });

    it('answers a HEAD, a range, a condition, and several ranges as a whole', async () => {
      origin.play = give(
        { 'cache-control': 'max-age=60', etag: '"v1"', 'content-type': 'text/plain' },
        200,
        '0123456789',
      );
      await get();
      expect(await get(path, {}, 'HEAD')).toMatchObject({ status: 200, body: '', headers: { 'content-length': '10' } });
      expect(await get(path, { range: 'bytes=2-4' })).toMatchObject({
        status: 206,
        body: '234',
        headers: { 'content-range': 'bytes 2-4/10', 'content-length': '3' },
      });
      expect(await get(path, { range: 'bytes=-3' })).toMatchObject({ status: 206, body: '789' });
      expect(await get(path, { range: 'bytes=20-' })).toMatchObject({
        status: 416,
        headers: { 'content-range': 'bytes */10' },
      });
      expect(await get(path, { range: 'bytes=0-0,5-6' })).toMatchObject({ status: 200, body: '0123456789' });
      expect(await get(path, { range: `bytes=${Array.from({ length: 1000 }, () => '0-').join(',')}` })).toMatchObject({
        status: 200,
      });
      expect(await get(path, { range: 'bytes=2-4', 'if-range': '"v2"' })).toMatchObject({ status: 200 });
      const notModified = await get(path, { 'if-none-match': 'W/"v1"' });
      expect(notModified).toMatchObject({ status: 304, body: '', headers: { etag: '"v1"' } });
      expect(notModified.headers['content-type']).toBeUndefined();
      expect(await get(path, { 'if-none-match': '"v2"' })).toMatchObject({ status: 200 });
      expect(upstream.requests).toBe(1);
    });

    it('comes back whole from many pages', async () => {
      const body = Array.from({ length: 12_000 }, (_, at) => String(at % 10)).join('');
      origin.play = give({ 'cache-control': 'max-age=60' }, 200, body);
      await get();
      expect((await get()).body).toBe(body);
      expect(upstream.requests).toBe(1);
    });

    it('is stored with its length when the upstream announced none', async () => {
      origin.play = (_, response) => {
        response.writeHead(200, { 'cache-control': 'max-age=60' });
        response.write('in ');
        response.end('chunks');
      };
      await get();
      expect(await get()).toMatchObject({ body: 'in chunks', headers: { 'content-length': '9' } });
      expect(upstream.requests).toBe(1);
    });

    it('outlives a reload that leaves its route as it is, and no other', async () => {
      await get('/ttl/reloaded');
      await gateway.write('another.yaml', {
        routes: [{ name: 'another', match: { path: '/another' }, pool: 'origin' }],
      });
      await gateway.reload();
      expect((await get('/ttl/reloaded')).cache).toMatch(/^aya; hit/);
      expect(upstream.requests).toBe(1);
    });
  });

  describe('what is not stored', () => {
    it.each([
      ['nothing about its lifetime, and no validator', {}],
      ['no-store', { 'cache-control': 'no-store, max-age=60' }],
      ['private', { 'cache-control': 'private, max-age=60' }],
      ['private with an empty argument', { 'cache-control': 'private="", max-age=60' }],
      ['private, twice', { 'cache-control': 'private,private="x", max-age=60' }],
      ['private, behind a tab', { 'cache-control': 'max-age=60,\tprivate' }],
      ['private, in a second field', { 'cache-control': ['max-age=60', 'private'] }],
      ['an argument that is cut off', { 'cache-control': 'max-age=60, private=' }],
      ['a time in quotes', { 'cache-control': 's-maxage="5"' }],
      ['a time that is no number', { 'cache-control': 'max-age=1e9' }],
      ['two times', { 'cache-control': 'max-age=60, max-age=120' }],
      ['Set-Cookie', { 'cache-control': 'public, max-age=60', 'set-cookie': 'a=b' }],
      ['Vary: *', { 'cache-control': 'max-age=60', vary: 'accept, *' }],
      ['an event stream', { 'cache-control': 'max-age=60', 'content-type': 'text/event-stream' }],
      ['no-store for gateways', { 'cache-control': 'max-age=60', 'cdn-cache-control': 'no-store' }],
    ])('an answer that says %s', async (_, headers) => {
      origin.play = give(headers);
      expect(await isStored()).toBe(false);
      expect(await isStored()).toBe(false);
    });

    it('an answer that broke off', async () => {
      origin.play = (_, response) => {
        response.writeHead(200, { 'cache-control': 'max-age=60', 'content-length': '100' });
        response.write('half', () => response.destroy());
      };
      await expect(get()).rejects.toThrow();
      origin.play = give({ 'cache-control': 'max-age=60' });
      expect((await get()).body).toBe('answer 2');
    });

    it('an answer larger than maxEntry, announced or not; it passes whole', async () => {
      const large = 'x'.repeat(200_000);
      for (const headers of [{ 'content-length': '200000' }, { 'transfer-encoding': 'chunked' }]) {
        nextPath();
        upstream.clear();
        origin.play = (_, response) =>
          response.writeHead(200, { 'cache-control': 'max-age=60', ...headers }).end(large);
        expect((await get()).body).toBe(large);
        expect((await get()).body).toBe(large);
        expect(upstream.requests).toBe(2);
      }
    });

    it('errors that say nothing, also where the route has a ttl', async () => {
      for (const status of [400, 403, 500, 503]) {
        origin.play = give({}, status);
        expect(await isStored({}, `/ttl/${status}`)).toBe(false);
      }
      origin.play = give({}, 404);
      expect(await isStored({}, '/ttl/404')).toBe(true);
    });

    it('what a request asked with a body, a precondition or an override of its method', async () => {
      await get();
      for (const headers of [
        { 'if-match': '"x"' },
        { 'x-http-method-override': 'DELETE' },
        { 'x-host': 'evil.test' },
      ]) {
        expect((await get(path, headers)).cache).toBe('aya; fwd=bypass');
      }
      expect((await get()).body).toBe('answer 1');
    });
  });

  describe('credentials', () => {
    it('Authorization: only what the answer calls public is shared', async () => {
      const authorization = { authorization: 'Bearer x' };
      expect(await isStored(authorization)).toBe(false);
      nextPath();
      origin.play = give({ 'cache-control': 'public, max-age=60' });
      expect(await isStored(authorization)).toBe(true);
      expect((await get(path)).body).toBe((await get(path, authorization)).body);
    });

    it('cookies: the same, though RFC 9111 does not ask for it', async () => {
      expect(await isStored({ cookie: 'session=1' })).toBe(false);
      await get();
      const own = await get(path, { cookie: 'session=2' });
      expect(own.cache).not.toMatch(/hit/);
      nextPath();
      origin.play = give({ 'cache-control': 's-maxage=60' });
      expect(await isStored({ cookie: 'session=1' })).toBe(true);
    });

    it('known callers have answers of their own', async () => {
      const mobile = { 'x-api-key': SECRET };
      const web = { 'x-api-key': `${SECRET}-2` };
      const [own, again, other] = [
        await get('/guarded/me', mobile),
        await get('/guarded/me', mobile),
        await get('/guarded/me', web),
      ];
      expect([own.body, again.body, other.body]).toEqual(['answer 1', 'answer 1', 'answer 2']);
      // Whatever the answer calls itself: it was asked for under a name.
      origin.play = give({ 'cache-control': 'public, max-age=60' });
      await get('/guarded/public', mobile);
      expect((await get('/guarded/public', web)).cache).toMatch(/fwd=uri-miss/);
      expect((await get('/guarded/me')).status).toBe(401);
    });

    it('unless the route says that all may hear it; and none without a key', async () => {
      await get('/common/x', { 'x-api-key': SECRET });
      expect((await get('/common/x', { 'x-api-key': `${SECRET}-2` })).cache).toMatch(/hit/);
      expect((await get('/common/x')).status).toBe(401);
    });
  });

  describe('the key', () => {
    it('holds host, path and query as they are', async () => {
      await get('/hosts/a');
      for (const [target, headers] of [
        ['/hosts/a', { host: 'other.test' }],
        ['/hosts/a', { host: `127.0.0.1:1` }],
        ['/hosts/a?x=1', {}],
        ['/hosts/A', {}],
      ] as const) {
        expect((await get(target, headers)).cache).toMatch(/fwd=uri-miss/);
      }
    });

    it('holds the declared parts only', async () => {
      await get('/keyed/a?page=1&utm=7', { 'x-tenant': 'acme' });
      expect((await get('/keyed/a?utm=8&page=1', { 'x-tenant': 'acme' })).cache).toMatch(/hit/);
      await get('/keyed/a?page=1&utm=9', { 'x-tenant': 'acme' }, 'POST');
      expect((await get('/keyed/a?page=1', { 'x-tenant': 'acme' })).cache).toMatch(/fwd/);
      expect((await get('/keyed/a?p%61ge=1', { 'x-tenant': 'acme' })).cache).toMatch(/fwd/);
      expect((await get('/keyed/a?page=2', { 'x-tenant': 'acme' })).cache).toMatch(/fwd/);
      expect((await get('/keyed/a?page=1', { 'x-tenant': 'other' })).cache).toMatch(/fwd/);
      expect((await get('/keyed/a?page=1')).cache).toMatch(/fwd/);
    });

    it('ends where another begins: no field value can spell a second one', async () => {
      await get('/keyed/b', { 'x-tenant': 'a' });
      expect((await get('/keyed/b', { 'x-tenant': 'a  b' })).cache).toMatch(/fwd/);
    });
  });

  describe('Vary', () => {
    it('gives each its own, in one spelling of Accept-Encoding and Accept-Language', async () => {
      origin.play = (request, response) => {
        const text = `${String(request.headers['accept-encoding'])}`;
        response.writeHead(200, { 'cache-control': 'max-age=60', vary: 'Accept-Encoding, Accept-Language' }).end(text);
      };
      await get(path, { 'accept-encoding': 'gzip, br', 'accept-language': 'de, en;q=0.5' });
      const same = await get(path, { 'accept-encoding': 'br;q=1.0,gzip;q=0.8,foo', 'accept-language': 'EN; q=0.5,de' });
      expect(same.cache).toMatch(/hit/);
      expect((await get(path, { 'accept-encoding': 'gzip', 'accept-language': 'de, en;q=0.5' })).cache).toMatch(
        /vary-miss/,
      );
      expect((await get(path, { 'accept-encoding': 'gzip;q=0, br' })).cache).toMatch(/vary-miss/);
      expect(upstream.requests).toBe(3);
    });

    it('is bounded: a thousand values leave sixteen', async () => {
      origin.play = give({ 'cache-control': 'max-age=60', vary: 'user-agent' });
      for (let at = 0; at < 40; at++) await get(path, { 'user-agent': `agent ${at}` });
      let hits = 0;
      for (let at = 39; at >= 0; at--)
        hits += Number((await get(path, { 'user-agent': `agent ${at}` })).cache.includes('hit'));
      expect(hits).toBe(16);
    });
  });
}
