/** What becomes of stored answers, wherever they are stored: stale, written over, asked for by many, purged. */
import type { ServerResponse } from 'node:http';
import { describe, expect, it } from 'vitest';
import { gateway, get, give, metric, metrics, origin, path, upstream, startCache } from './cache-fixture.ts';
import { RawConnection } from './raw-client.ts';
import { until } from './until.ts';

/** @param store `cache.store` of gateway.yaml. */
export function lastingContract(store: () => Promise<string>): void {
  startCache(store);

  describe('a stale answer', () => {
    const stale = { age: '100', 'cache-control': 'max-age=60' };

    it('is confirmed by its validator, and given with what the 304 says', async () => {
      origin.play = give({ ...stale, etag: '"v1"' });
      await get();
      origin.play = (request, response) => {
        expect(request.headers['if-none-match']).toBe('"v1"');
        response.writeHead(304, { etag: '"v1"', 'cache-control': 'max-age=60', 'x-new': 'yes' }).end();
      };
      const confirmed = await get(path, { 'if-none-match': '"other"' });
      expect(confirmed).toMatchObject({ status: 200, body: 'answer 1', headers: { 'x-new': 'yes' } });
      expect(confirmed.cache).toBe('aya; fwd=stale; fwd-status=304');
      expect((await get()).cache).toMatch(/hit/);
      expect(upstream.requests).toBe(2);
    });

    it('is asked for anew when the 304 is about another', async () => {
      origin.play = give({ ...stale, etag: '"v1"' });
      await get();
      origin.play = (request, response) => {
        if (request.headers['if-none-match'] === undefined)
          return give({ 'cache-control': 'max-age=60' })(request, response);
        response.writeHead(304, { etag: '"v2"' }).end();
      };
      expect((await get()).body).toBe('answer 3');
    });

    it('is given while a fresh one is fetched, by one request', async () => {
      origin.play = give({ ...stale, 'cache-control': 'max-age=60, stale-while-revalidate=600' });
      await get();
      const held: (() => void)[] = [];
      origin.play = (request, response) =>
        held.push(() => give({ 'cache-control': 'max-age=60' }, 200, 'new')(request, response));
      const all = await Promise.all(Array.from({ length: 20 }, () => get()));
      for (const { body, cache } of all) {
        expect(body).toBe('answer 1');
        expect(cache).toMatch(/^aya; hit; ttl=-/);
      }
      await until(() => upstream.requests >= 2, 'a fresh one is asked for');
      // One for each thread at most.
      expect(upstream.requests).toBeLessThanOrEqual(3);
      // A thread that has not seen the fresh one may still ask.
      origin.play = give({ 'cache-control': 'max-age=60' }, 200, 'new');
      for (const release of held) release();
      await until(async () => (await get()).body === 'new', 'a fresh one is stored');
    });

    it('is given when the upstream fails, where the route or the answer allows it', async () => {
      origin.play = give({ ...stale }, 200, 'good');
      await get('/ttl/fails');
      origin.play = give({}, 503);
      expect(await get('/ttl/fails')).toMatchObject({ status: 200, body: 'good' });
      origin.play = (_, response) => response.destroy();
      expect((await get('/ttl/fails')).cache).toMatch(/^aya; fwd=stale; detail=connection_terminated/);
      origin.play = give({ ...stale, 'cache-control': 'max-age=60, must-revalidate' });
      await get('/ttl/must');
      origin.play = give({}, 503);
      expect((await get('/ttl/must')).status).toBe(503);
    });

    it('is not given without a word of the upstream where that is demanded, not even when it fails', async () => {
      origin.play = give({ 'cache-control': 'no-cache, max-age=600', etag: '"v1"' });
      await get('/ttl/no-cache');
      origin.play = give({ 'cache-control': 'no-cache' }, 503);
      expect((await get('/ttl/no-cache')).status).toBe(503);
      expect(upstream.seen.at(-1)!.fields).toContain('"v1"');
    });

    it('is given in its variant only', async () => {
      origin.play = give({ ...stale, vary: 'x-tenant' });
      await get('/ttl/variants', { 'x-tenant': 'acme' });
      const held: ServerResponse[] = [];
      origin.play = (_, response) => void held.push(response);
      const all = ['acme', 'other', 'acme', 'other'].map((tenant) => get('/ttl/variants', { 'x-tenant': tenant }));
      const failing = until(() => {
        for (const response of held.splice(0)) response.writeHead(503, { 'content-length': '0' }).end();
        return upstream.requests >= 3;
      }, 'each variant is asked for');
      await failing;
      origin.play = give({}, 503, '');
      for (const response of held.splice(0)) response.writeHead(503, { 'content-length': '0' }).end();
      const answers = await Promise.all(all);
      expect(answers.map(({ status }) => status)).toEqual([200, 503, 200, 503]);
    });

    it('is not given to a client that only wants what is stored and fresh', async () => {
      origin.play = give({ ...stale, etag: '"v1"' });
      await get();
      const refused = await get(path, { 'cache-control': 'only-if-cached' });
      expect(refused.status).toBe(504);
      expect(upstream.requests).toBe(1);
    });
  });

  describe('what clients may say', () => {
    it('does not force a trip, unless the route lets it', async () => {
      await get();
      expect((await get(path, { 'cache-control': 'no-cache' })).cache).toMatch(/hit/);
      await get('/obeying/a');
      expect((await get('/obeying/a', { 'cache-control': 'no-cache' })).cache).toMatch(/fwd=request/);
      expect((await get('/obeying/a', { pragma: 'no-cache' })).cache).toMatch(/fwd=request/);
      expect((await get('/obeying/a', { 'cache-control': 'max-age=0' })).cache).toMatch(/fwd=request|hit/);
    });

    it('no-store keeps the answer out of the store', async () => {
      await get(path, { 'cache-control': 'no-store' });
      expect((await get()).body).toBe('answer 2');
    });
  });

  describe('a write', () => {
    it.each(['POST', 'PUT', 'DELETE', 'PATCH'])(
      '%s makes the answer of its URL, Location and Content-Location unusable',
      async (method) => {
        const [own, location, content] = [path, `${path}/location`, `${path}/content`];
        for (const target of [own, location, content]) await get(target);
        origin.play = give({ location, 'content-location': content }, 201);
        await get(own, {}, method);
        origin.play = give({ 'cache-control': 'max-age=60' });
        for (const target of [own, location, content]) expect((await get(target)).cache).toMatch(/fwd=/);
      },
    );

    it('that fails changes nothing, nor does one that names another origin', async () => {
      await get();
      origin.play = give({}, 500);
      await get(path, {}, 'POST');
      origin.play = give({ location: `http://elsewhere.test${path}` }, 201);
      await get(`${path}/other`, {}, 'POST');
      expect((await get()).body).toBe('answer 1');
    });

    it('reaches an answer that was on its way', async () => {
      let release = () => {};
      origin.play = (request, response) => {
        if (request.method === 'POST') return give({})(request, response);
        release = () => give({ 'cache-control': 'max-age=60' }, 200, 'old')(request, response);
      };
      const old = get();
      await until(() => upstream.requests === 1, 'the upstream is asked');
      await get(path, {}, 'POST');
      release();
      expect((await old).body).toBe('old');
      origin.play = give({ 'cache-control': 'max-age=60' }, 200, 'new');
      expect((await get()).body).toBe('new');
    });
  });

  describe('a crowd', () => {
    it('of a hundred makes at most one request for each thread, and all get the answer', async () => {
      let release = () => {};
      const held: (() => void)[] = [];
      origin.play = (request, response) => {
        held.push(() => give({ 'cache-control': 'max-age=60' }, 200, 'for all')(request, response));
        release = () => held.forEach((one) => one());
      };
      const all = Array.from({ length: 100 }, () => get());
      await until(() => upstream.requests >= 1, 'the upstream is asked');
      await until(async () => metric(await metrics(), 'collapsed', 'plain') >= 98, 'the others wait for it');
      release();
      for (const answer of all) expect((await answer).body).toBe('for all');
      expect(upstream.requests).toBeLessThanOrEqual(2);
    });

    it('shares the error when the upstream fails', async () => {
      const held: ServerResponse[] = [];
      origin.play = (_, response) => void held.push(response);
      const before = metric(await metrics(), 'collapsed', 'plain');
      const all = Array.from({ length: 50 }, () => get());
      await until(async () => metric(await metrics(), 'collapsed', 'plain') >= before + 48, 'the others wait for it');
      for (const response of held) response.destroy();
      for (const answer of all) expect((await answer).status).toBe(502);
      expect(upstream.requests).toBeLessThanOrEqual(2);
    });

    it('is not held up by an answer that is not for all', async () => {
      const held: (() => void)[] = [];
      origin.play = (request, response) => held.push(() => give({ 'cache-control': 'private' })(request, response));
      const all = Array.from({ length: 10 }, () => get());
      await until(() => upstream.requests >= 1, 'the upstream is asked');
      // The first answers tell; then everybody asks at once, and none waits for another's.
      await until(() => {
        held.splice(0).forEach((one) => one());
        return upstream.requests === 10;
      }, 'each asks for itself');
      expect(new Set((await Promise.all(all)).map(({ body }) => body)).size).toBeGreaterThan(1);
      origin.play = give({ 'cache-control': 'private' });
    });

    it('waits for a slow one no longer than it is told to', async () => {
      origin.play = () => {};
      const first = await RawConnection.open(gateway.port);
      first.send('GET /unpaired/a HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n');
      await until(() => upstream.requests === 1, 'the upstream is asked');
      origin.play = give({ 'cache-control': 'max-age=60' }, 200, 'at last');
      const others = await Promise.all(Array.from({ length: 10 }, () => get('/unpaired/a', { host: '127.0.0.1' })));
      for (const { body } of others) expect(body).toBe('at last');
      first.socket.destroy();
      // Nobody waits for it any more.
      await until(() => upstream.aborted === 1, 'the upstream is let go');
    });

    it('goes on when the first of it leaves', async () => {
      const held: (() => void)[] = [];
      origin.play = (request, response) =>
        held.push(() => give({ 'cache-control': 'max-age=60' }, 200, 'still')(request, response));
      const collapsed = metric(await metrics(), 'collapsed', 'plain');
      const firsts = await Promise.all([RawConnection.open(gateway.port), RawConnection.open(gateway.port)]);
      for (const first of firsts) first.send(`GET ${path} HTTP/1.1\r\nhost: 127.0.0.1:${gateway.port}\r\n\r\n`);
      await until(() => upstream.requests >= 1, 'the upstream is asked');
      const others = Array.from({ length: 12 }, () => get());
      await until(
        async () => metric(await metrics(), 'collapsed', 'plain') >= collapsed + 12,
        'the others wait for it',
      );
      for (const first of firsts) first.socket.resetAndDestroy();
      await until(
        async () => /aya_requests_total\{route="plain",code="499"\} [2-9]/.test(await metrics()),
        'the first are gone',
      );
      for (const release of held) release();
      for (const answer of others) expect((await answer).body).toBe('still');
      expect(upstream.requests).toBeLessThanOrEqual(2);
      expect(upstream.aborted).toBe(0);
    });
  });

  describe('a hit with a body', () => {
    it('leaves nothing behind on the connection', async () => {
      await get();
      const connection = await RawConnection.open(gateway.port);
      const head = `GET ${path} HTTP/1.1\r\nhost: 127.0.0.1:${gateway.port}\r\n`;
      connection.send(`${head}content-length: 5\r\n\r\nhello${head}\r\n`);
      const [first, second] = [await connection.answer(), await connection.answer()];
      expect(first.field('cache-status')).toBe('aya; fwd=bypass');
      expect(second.field('cache-status')).toMatch(/hit/);
      connection.socket.destroy();
    });
  });

  describe('a purge', () => {
    const purge = async (query: string) => {
      const response = await fetch(`${gateway.adminUrl}/cache/purge?${query}`, { method: 'POST' });
      return { status: response.status, ...((await response.json()) as { purged?: number; detail?: string }) };
    };

    it('by URL, prefix and tag, over all threads; tags are not shown to clients', async () => {
      origin.play = give({ 'cache-control': 'max-age=60', 'surrogate-key': 'all users', 'cache-tag': 'red, blue' });
      const targets = [`${path}/a`, `${path}/b?x=1`, `${path}/c`];
      for (const target of targets) {
        const { headers } = await get(target);
        expect(headers['surrogate-key'] ?? headers['cache-tag']).toBeUndefined();
        for (let times = 0; times < 10; times++) await get(target);
      }
      expect(upstream.requests).toBe(3);
      expect(await purge(`url=${encodeURIComponent(`${gateway.url}${path}/a`)}`)).toMatchObject({ purged: 1 });
      expect((await get(targets[0])).cache).toMatch(/fwd/);
      expect((await get(targets[1])).cache).toMatch(/hit/);
      expect(await purge(`prefix=${encodeURIComponent(`${gateway.url}${path}/b`)}`)).toMatchObject({ purged: 1 });
      expect((await get(targets[1])).cache).toMatch(/fwd/);
      expect(await purge('tag=blue')).toMatchObject({ purged: 3 });
      for (const target of targets) expect((await get(target)).cache).toMatch(/fwd/);
    });

    it('reaches an answer that was on its way', async () => {
      let release = () => {};
      origin.play = (request, response) => {
        release = () => give({ 'cache-control': 'max-age=60', 'cache-tag': 'late' })(request, response);
      };
      const late = get();
      await until(() => upstream.requests === 1, 'the upstream is asked');
      await purge('tag=late');
      release();
      await late;
      origin.play = give({ 'cache-control': 'max-age=60' });
      expect((await get()).cache).toMatch(/fwd/);
    });

    it('says what it did not understand', async () => {
      expect(await purge('')).toMatchObject({
        status: 400,
        detail: expect.stringContaining('say what to purge') as string,
      });
      expect(await purge('url=/orders')).toMatchObject({
        status: 400,
        detail: expect.stringContaining('scheme and host') as string,
      });
      expect(await purge('path=/x')).toMatchObject({ status: 400 });
    });
  });

  describe('memory', () => {
    it('is bounded, and a scan does not wash out what is asked for', async () => {
      origin.play = give({ 'cache-control': 'max-age=600' }, 200, 'x'.repeat(10_000));
      const hot = Array.from({ length: 20 }, (_, at) => `${path}/hot/${at}`);
      for (let times = 0; times < 3; times++) for (const target of hot) await get(target);
      for (let at = 0; at < 400; at++) await get(`${path}/scan/${at}`);
      upstream.clear();
      for (const target of hot) await get(target);
      expect(upstream.requests).toBeLessThanOrEqual(2);
      const stats = JSON.parse((await gateway.admin('/cache')).body) as {
        bytes: number;
        capacity: number;
        evictions: number;
      };
      expect(stats.bytes).toBeLessThanOrEqual(stats.capacity);
      expect(stats.capacity).toBeLessThanOrEqual(2 * 1024 ** 2);
      expect(stats.evictions).toBeGreaterThan(100);
    });
  });
}
