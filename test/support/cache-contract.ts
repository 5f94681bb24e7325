/**
 * What the cache does, wherever answers are stored: through the real gateway, on two threads, with an upstream that counts.
 * What is stale says so by its Age.
 */
import { request as ask, type IncomingMessage, type ServerResponse } from 'node:http';
import { createHash } from 'node:crypto';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { gatewayFixture, type GatewayFixture } from './gateway.ts';
import { RawConnection } from './raw-client.ts';
import { until } from './until.ts';
import { startUpstream, type Upstream } from './upstream.ts';

interface Answer {
  readonly status: number;
  readonly headers: NodeJS.Dict<string | string[]>;
  readonly body: string;
  /** The parts of Cache-Status. */
  readonly cache: string;
}

type Play = (request: IncomingMessage, response: ServerResponse) => void;

/** @param store `cache.store` of gateway.yaml. */
export function cacheContract(store: () => Promise<string>): void {
  let gateway: GatewayFixture;
  let upstream: Upstream;
  let play: Play;
  let paths = 0;
  let path: string;

  const SECRET = 'a-key-that-mobile-sends-0001';
  const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');

  beforeAll(async () => {
    upstream = await startUpstream('origin', (request, response) => {
      request.resume();
      upstream.seen.push({
        method: request.method!,
        target: request.url!,
        fields: request.rawHeaders,
        body: Buffer.alloc(0),
        trailers: [],
        connection: 0,
      });
      play(request, response);
    });
    const route = (name: string, cache: object, more: object = {}) => ({
      name,
      match: { path: `/${name}/*` },
      pool: 'origin',
      retry: false,
      cache,
      ...more,
    });
    gateway = await gatewayFixture({
      gateway: {
        threads: 2,
        cache: { memory: '2MiB', maxEntry: '128KiB', store: await store() },
        consumers: [
          { name: 'mobile', apiKeys: [{ sha256: sha256(SECRET) }] },
          { name: 'web', apiKeys: [{ sha256: sha256(`${SECRET}-2`) }] },
        ],
      },
      files: {
        'origin.yaml': {
          pools: { origin: { endpoints: [upstream.url], health: { passive: { consecutiveFailures: 1000 } } } },
          routes: [
            route('plain', {}),
            route('ttl', { ttl: '1h', negativeTtl: '1h', staleIfError: '1h', staleWhileRevalidate: '0ms' }),
            route('keyed', { key: { query: { only: ['page'] }, headers: ['x-tenant'] } }),
            route('unpaired', { collapse: '100ms' }),
            route('obeying', { clients: 'obey', ttl: '1h' }),
            route('guarded', { ttl: '1h' }, { auth: { apiKey: { header: 'x-api-key' } } }),
            route('common', { ttl: '1h', partition: 'none' }, { auth: { apiKey: { header: 'x-api-key' } } }),
            { name: 'hosts', match: { path: '/hosts/*' }, pool: 'origin', cache: { ttl: '1h' } },
          ],
        },
      },
    });
  });

  beforeEach(() => {
    upstream.clear();
    path = `/plain/${++paths}`;
    play = give({ 'cache-control': 'max-age=60' });
  });

  /** An answer whose body counts up. */
  function give(headers: Record<string, string | string[]> = {}, status = 200, body?: string): Play {
    return (_, response) => {
      const text = body ?? `answer ${upstream.requests}`;
      response.writeHead(status, { 'content-length': String(text.length), ...headers }).end(text);
    };
  }

  function get(target = path, headers: Record<string, string> = {}, method = 'GET'): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const sent = ask(
        { port: gateway.port, host: '127.0.0.1', agent: false, path: target, headers, method },
        (response) => {
          let body = '';
          response.setEncoding('latin1');
          response.on('data', (text: string) => (body += text));
          response.on('error', reject);
          response.on('end', () => {
            const cache = String(response.headers['cache-status'] ?? '');
            resolve({ status: response.statusCode!, headers: response.headers, body, cache });
          });
        },
      );
      sent.on('error', reject).end();
    });
  }

  /** Answers to the same question twice. @returns whether the second came from the store. */
  async function isStored(headers: Record<string, string> = {}, target = path): Promise<boolean> {
    await get(target, headers);
    const before = upstream.requests;
    const { cache } = await get(target, headers);
    const isHit = upstream.requests === before;
    expect(cache.startsWith('aya; hit')).toBe(isHit);
    return isHit;
  }

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
      play = give({ 'cache-control': 'max-age=60', etag: '"v1"', 'content-type': 'text/plain' }, 200, '0123456789');
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
      play = give({ 'cache-control': 'max-age=60' }, 200, body);
      await get();
      expect((await get()).body).toBe(body);
      expect(upstream.requests).toBe(1);
    });

    it('is stored with its length when the upstream announced none', async () => {
      play = (_, response) => {
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
      play = give(headers);
      expect(await isStored()).toBe(false);
      expect(await isStored()).toBe(false);
    });

    it('an answer that broke off', async () => {
      play = (_, response) => {
        response.writeHead(200, { 'cache-control': 'max-age=60', 'content-length': '100' });
        response.write('half', () => response.destroy());
      };
      await expect(get()).rejects.toThrow();
      play = give({ 'cache-control': 'max-age=60' });
      expect((await get()).body).toBe('answer 2');
    });

    it('an answer larger than maxEntry, announced or not; it passes whole', async () => {
      const large = 'x'.repeat(200_000);
      for (const headers of [{ 'content-length': '200000' }, { 'transfer-encoding': 'chunked' }]) {
        path = `/plain/${++paths}`;
        upstream.clear();
        play = (_, response) => response.writeHead(200, { 'cache-control': 'max-age=60', ...headers }).end(large);
        expect((await get()).body).toBe(large);
        expect((await get()).body).toBe(large);
        expect(upstream.requests).toBe(2);
      }
    });

    it('errors that say nothing, also where the route has a ttl', async () => {
      for (const status of [400, 403, 500, 503]) {
        play = give({}, status);
        expect(await isStored({}, `/ttl/${status}`)).toBe(false);
      }
      play = give({}, 404);
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
      path = `/plain/${++paths}`;
      play = give({ 'cache-control': 'public, max-age=60' });
      expect(await isStored(authorization)).toBe(true);
      expect((await get(path)).body).toBe((await get(path, authorization)).body);
    });

    it('cookies: the same, though RFC 9111 does not ask for it', async () => {
      expect(await isStored({ cookie: 'session=1' })).toBe(false);
      await get();
      const own = await get(path, { cookie: 'session=2' });
      expect(own.cache).not.toMatch(/hit/);
      path = `/plain/${++paths}`;
      play = give({ 'cache-control': 's-maxage=60' });
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
      play = give({ 'cache-control': 'public, max-age=60' });
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
      play = (request, response) => {
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
      play = give({ 'cache-control': 'max-age=60', vary: 'user-agent' });
      for (let at = 0; at < 40; at++) await get(path, { 'user-agent': `agent ${at}` });
      let hits = 0;
      for (let at = 39; at >= 0; at--)
        hits += Number((await get(path, { 'user-agent': `agent ${at}` })).cache.includes('hit'));
      expect(hits).toBe(16);
    });
  });

  describe('a stale answer', () => {
    const stale = { age: '100', 'cache-control': 'max-age=60' };

    it('is confirmed by its validator, and given with what the 304 says', async () => {
      play = give({ ...stale, etag: '"v1"' });
      await get();
      play = (request, response) => {
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
      play = give({ ...stale, etag: '"v1"' });
      await get();
      play = (request, response) => {
        if (request.headers['if-none-match'] === undefined)
          return give({ 'cache-control': 'max-age=60' })(request, response);
        response.writeHead(304, { etag: '"v2"' }).end();
      };
      expect((await get()).body).toBe('answer 3');
    });

    it('is given while a fresh one is fetched, by one request', async () => {
      play = give({ ...stale, 'cache-control': 'max-age=60, stale-while-revalidate=600' });
      await get();
      const held: (() => void)[] = [];
      play = (request, response) =>
        held.push(() => give({ 'cache-control': 'max-age=60' }, 200, 'new')(request, response));
      const all = await Promise.all(Array.from({ length: 20 }, () => get()));
      for (const { body, cache } of all) {
        expect(body).toBe('answer 1');
        expect(cache).toMatch(/^aya; hit; ttl=-/);
      }
      await until(() => upstream.requests >= 2, 'a fresh one is asked for');
      // One for each thread at most.
      expect(upstream.requests).toBeLessThanOrEqual(3);
      for (const release of held) release();
      await until(async () => (await get()).body === 'new', 'a fresh one is stored');
    });

    it('is given when the upstream fails, where the route or the answer allows it', async () => {
      play = give({ ...stale });
      await get('/ttl/fails');
      play = give({}, 503);
      expect(await get('/ttl/fails')).toMatchObject({ status: 200, body: 'answer 1' });
      play = (_, response) => response.destroy();
      expect((await get('/ttl/fails')).cache).toMatch(/^aya; fwd=stale; detail=connection_terminated/);
      play = give({ ...stale, 'cache-control': 'max-age=60, must-revalidate' });
      await get('/ttl/must');
      play = give({}, 503);
      expect((await get('/ttl/must')).status).toBe(503);
    });

    it('is not given without a word of the upstream where that is demanded, not even when it fails', async () => {
      play = give({ 'cache-control': 'no-cache, max-age=600', etag: '"v1"' });
      await get('/ttl/no-cache');
      play = give({ 'cache-control': 'no-cache' }, 503);
      expect((await get('/ttl/no-cache')).status).toBe(503);
      expect(upstream.seen.at(-1)!.fields).toContain('"v1"');
    });

    it('is given in its variant only', async () => {
      play = give({ ...stale, vary: 'x-tenant' });
      await get('/ttl/variants', { 'x-tenant': 'acme' });
      const held: ServerResponse[] = [];
      play = (_, response) => void held.push(response);
      const all = ['acme', 'other', 'acme', 'other'].map((tenant) => get('/ttl/variants', { 'x-tenant': tenant }));
      const failing = until(() => {
        for (const response of held.splice(0)) response.writeHead(503, { 'content-length': '0' }).end();
        return upstream.requests >= 3;
      }, 'each variant is asked for');
      await failing;
      play = give({}, 503, '');
      for (const response of held.splice(0)) response.writeHead(503, { 'content-length': '0' }).end();
      const answers = await Promise.all(all);
      expect(answers.map(({ status }) => status)).toEqual([200, 503, 200, 503]);
    });

    it('is not given to a client that only wants what is stored and fresh', async () => {
      play = give({ ...stale, etag: '"v1"' });
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
        play = give({ location, 'content-location': content }, 201);
        await get(own, {}, method);
        play = give({ 'cache-control': 'max-age=60' });
        for (const target of [own, location, content]) expect((await get(target)).cache).toMatch(/fwd=/);
      },
    );

    it('that fails changes nothing, nor does one that names another origin', async () => {
      await get();
      play = give({}, 500);
      await get(path, {}, 'POST');
      play = give({ location: `http://elsewhere.test${path}` }, 201);
      await get(`${path}/other`, {}, 'POST');
      expect((await get()).body).toBe('answer 1');
    });

    it('reaches an answer that was on its way', async () => {
      let release = () => {};
      play = (request, response) => {
        if (request.method === 'POST') return give({})(request, response);
        release = () => give({ 'cache-control': 'max-age=60' }, 200, 'old')(request, response);
      };
      const old = get();
      await until(() => upstream.requests === 1, 'the upstream is asked');
      await get(path, {}, 'POST');
      release();
      expect((await old).body).toBe('old');
      play = give({ 'cache-control': 'max-age=60' }, 200, 'new');
      expect((await get()).body).toBe('new');
    });
  });

  describe('a crowd', () => {
    it('of a hundred makes at most one request for each thread, and all get the answer', async () => {
      let release = () => {};
      const held: (() => void)[] = [];
      play = (request, response) => {
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
      play = (_, response) => void held.push(response);
      const before = metric(await metrics(), 'collapsed', 'plain');
      const all = Array.from({ length: 50 }, () => get());
      await until(async () => metric(await metrics(), 'collapsed', 'plain') >= before + 48, 'the others wait for it');
      for (const response of held) response.destroy();
      for (const answer of all) expect((await answer).status).toBe(502);
      expect(upstream.requests).toBeLessThanOrEqual(2);
    });

    it('is not held up by an answer that is not for all', async () => {
      const held: (() => void)[] = [];
      play = (request, response) => held.push(() => give({ 'cache-control': 'private' })(request, response));
      const all = Array.from({ length: 10 }, () => get());
      await until(() => upstream.requests >= 1, 'the upstream is asked');
      // The first answers tell; then everybody asks at once, and none waits for another's.
      await until(() => {
        held.splice(0).forEach((one) => one());
        return upstream.requests === 10;
      }, 'each asks for itself');
      expect(new Set((await Promise.all(all)).map(({ body }) => body)).size).toBeGreaterThan(1);
      play = give({ 'cache-control': 'private' });
    });

    it('waits for a slow one no longer than it is told to', async () => {
      play = () => {};
      const first = await RawConnection.open(gateway.port);
      first.send('GET /unpaired/a HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n');
      await until(() => upstream.requests === 1, 'the upstream is asked');
      play = give({ 'cache-control': 'max-age=60' }, 200, 'at last');
      const others = await Promise.all(Array.from({ length: 10 }, () => get('/unpaired/a', { host: '127.0.0.1' })));
      for (const { body } of others) expect(body).toBe('at last');
      first.socket.destroy();
      // Nobody waits for it any more.
      await until(() => upstream.aborted === 1, 'the upstream is let go');
    });

    it('goes on when the first of it leaves', async () => {
      const held: (() => void)[] = [];
      play = (request, response) =>
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
      play = give({ 'cache-control': 'max-age=60', 'surrogate-key': 'all users', 'cache-tag': 'red, blue' });
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
      play = (request, response) => {
        release = () => give({ 'cache-control': 'max-age=60', 'cache-tag': 'late' })(request, response);
      };
      const late = get();
      await until(() => upstream.requests === 1, 'the upstream is asked');
      await purge('tag=late');
      release();
      await late;
      play = give({ 'cache-control': 'max-age=60' });
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
      play = give({ 'cache-control': 'max-age=600' }, 200, 'x'.repeat(10_000));
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

  const metrics = async () => (await gateway.admin('/metrics')).body;

  function metric(page: string, outcome: string, route: string): number {
    const found = new RegExp(`aya_cache_requests_total\\{route="${route}",outcome="${outcome}"\\} (\\d+)`).exec(page);
    return Number(found?.[1] ?? 0);
  }
}
