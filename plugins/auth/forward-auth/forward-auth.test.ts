/** Another service decides: what it is told, what becomes of its answer, what happens when there is none. */
import { createHash } from 'node:crypto';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { gatewayFixture, type GatewayFixture } from '../../../test/support/gateway.ts';
import { ignore, startUpstream, type Answer, type Echo, type Upstream } from '../../../test/support/upstream.ts';

let gateway: GatewayFixture;
let judge: Upstream;
let judgement: Answer;
let asked: { url: string; headers: Record<string, string | string[] | undefined> }[] = [];

const allow: Answer = (_request, response) => {
  response.writeHead(204, { 'x-user': 'ann', 'x-groups': 'partners, eu', 'x-secret': 'none' });
  response.end();
};

const refuse =
  (status: number, headers: Record<string, string | string[]> = {}, body = 'no'): Answer =>
  (_request, response) => {
    response.writeHead(status, headers);
    response.end(body);
  };

beforeAll(async () => {
  const orders = await startUpstream('orders');
  judge = await startUpstream('judge', (request, response, upstream) => {
    asked.push({ url: `${request.method} ${request.url}`, headers: request.headers });
    judgement(request, response, upstream);
  });
  const forwardAuth = {
    pool: 'judge',
    path: '/verify',
    requestHeaders: ['authorization', 'cookie', 'x-tenant'],
    responseHeaders: ['X-User'],
    principal: 'x-user',
    groups: 'x-groups',
    timeout: '300ms',
  };
  const sha256 = createHash('sha256').update('mobile-key').digest('hex');
  gateway = await gatewayFixture({
    gateway: { trustedProxies: ['127.0.0.1'], consumers: [{ name: 'mobile', apiKeys: [{ sha256 }] }] },
    files: {
      'orders.yaml': {
        pools: {
          orders: { endpoints: [orders.url] },
          judge: { endpoints: [judge.url], health: { passive: false } },
        },
        routes: [
          { name: 'asked', match: { path: '/asked/*' }, pool: 'orders', auth: { forwardAuth } },
          {
            name: 'by-key',
            match: { path: '/by-key/*' },
            pool: 'orders',
            auth: { apiKey: {}, forwardAuth: { ...forwardAuth, requestHeaders: ['x-tenant'], cache: {} } },
          },
          { name: 'posts', match: { path: '/posts/*' }, pool: 'orders', auth: { forwardAuth }, csrf: {} },
          {
            name: 'remembered',
            match: { path: '/remembered/*' },
            pool: 'orders',
            auth: { forwardAuth: { ...forwardAuth, cache: { ttl: '1h', by: ['authorization'] } } },
          },
        ],
      },
    },
  });
});

beforeEach(() => {
  asked = [];
  judgement = allow;
});

const ask = (path: string, init: RequestInit = {}) => fetch(gateway.url + path, { redirect: 'manual', ...init });

const fieldsOf = ({ fields }: Echo): Record<string, string> =>
  Object.fromEntries(fields.flatMap((name, at) => (at % 2 === 0 ? [[name.toLowerCase(), fields[at + 1]!]] : [])));

describe('the service that decides', () => {
  it('is told what is asked, and by whom', async () => {
    await ask('/asked/7?a=1', { method: 'POST', body: 'secret', headers: { authorization: 'x', 'x-other': 'y' } });
    expect(asked).toHaveLength(1);
    expect(asked[0]!.url).toBe('GET /verify');
    expect(asked[0]!.headers).toMatchObject({
      authorization: 'x',
      'x-forwarded-method': 'POST',
      'x-forwarded-uri': '/asked/7?a=1',
      'x-forwarded-proto': 'http',
      'x-forwarded-for': '127.0.0.1',
    });
    expect(asked[0]!.headers).not.toHaveProperty('x-other');
    expect(asked[0]!.headers).not.toHaveProperty('content-length');
  });

  it('lets pass with 2xx, and tells the upstream who it is', async () => {
    const answer = await ask('/asked/7', { method: 'POST', body: 'abc', headers: { 'x-user': 'root' } });
    const echo = (await answer.json()) as Echo;
    expect(echo.body).toBe('abc');
    expect(fieldsOf(echo)).toMatchObject({
      'x-user': 'ann',
      'x-aya-principal': 'ann',
      'x-aya-groups': 'partners,eu',
    });
    expect(fieldsOf(echo)).not.toHaveProperty('x-secret');
  });

  it('cannot be spoken for by a client when it says nothing', async () => {
    judgement = refuse(200, {}, 'fine');
    const headers = { 'X-USER': 'root', 'x.user': 'root', 'x~User': 'root', 'x-users': 'kept' };
    const echo = (await (await ask('/asked/7', { headers })).json()) as Echo;
    expect(Object.keys(fieldsOf(echo)).filter((name) => name.includes('user'))).toEqual(['x-users', 'user-agent']);
  });

  it('cannot be spoken for by a client of another method either', async () => {
    const headers = { 'x-api-key': 'mobile-key', 'x-user': 'root' };
    const echo = (await (await ask('/by-key/7', { headers })).json()) as Echo;
    expect(asked).toEqual([]);
    expect(fieldsOf(echo)).toMatchObject({ 'x-aya-consumer': 'mobile' });
    expect(fieldsOf(echo)).not.toHaveProperty('x-user');
  });

  it.each([
    ['cookie', { cookie: 'a=1' }, 403],
    ['password, as browsers repeat it', { authorization: 'Basic YTpi' }, 403],
    ['token, which no browser sends by itself', { authorization: 'Bearer x' }, 200],
  ])('may have seen a %s: csrf knows', async (_, headers, status) => {
    const answer = await ask('/posts/1', { method: 'POST', headers: { ...headers, origin: 'https://evil.test' } });
    expect(answer.status).toBe(status);
  });

  it('may challenge in several ways', async () => {
    judgement = refuse(401, { 'www-authenticate': ['Custom a="1"', 'Other b="2"'] });
    expect((await ask('/asked/7')).headers.get('www-authenticate')).toBe('Custom a="1", Other b="2"');
  });

  it('refuses in its own words', async () => {
    judgement = refuse(401, { 'www-authenticate': 'Custom realm="x"', 'content-type': 'text/html' }, '<p>Log in');
    const answer = await ask('/asked/7');
    expect(answer.status).toBe(401);
    expect(answer.headers.get('www-authenticate')).toBe('Custom realm="x"');
    expect(await answer.text()).toBe('<p>Log in');
  });

  it('may send a browser to its login', async () => {
    judgement = refuse(302, { location: 'https://login.example.com/?rd=x', 'set-cookie': ['a=1', 'b=2'] }, '');
    const answer = await ask('/asked/7');
    expect(answer.status).toBe(302);
    expect(answer.headers.get('location')).toBe('https://login.example.com/?rd=x');
    expect(answer.headers.getSetCookie()).toEqual(['a=1', 'b=2']);
  });

  it.each([
    ['fails', refuse(500)],
    ['is silent', ignore as Answer],
    ['begins, and never ends', ((_request, response) => void response.writeHead(200).write('y')) satisfies Answer],
    ['breaks off', ((request) => request.socket.destroy()) satisfies Answer],
    ['says far too much', refuse(200, {}, 'x'.repeat(100_000))],
  ])('lets nobody pass when it %s', async (_, broken) => {
    judgement = broken;
    const answer = await ask('/asked/7');
    expect(answer.status).toBe(503);
    expect(answer.headers.get('retry-after')).toBe('1');
    expect(await answer.text()).not.toContain(judge.url.slice(7));
  });
});

describe('a decision that is remembered', () => {
  it('is asked for once, by what it was said to depend on', async () => {
    const first = await Promise.all(
      Array.from({ length: 5 }, () => ask('/remembered/1', { headers: { authorization: 'one' } })),
    );
    expect(first.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200]);
    expect(asked).toHaveLength(1);
    await ask('/remembered/1', { headers: { authorization: 'one' } });
    expect(asked).toHaveLength(1);
    await ask('/remembered/1', { headers: { authorization: 'two' } });
    await ask('/remembered/2', { headers: { authorization: 'one' } });
    expect(asked).toHaveLength(3);
  });

  it('is asked for by all that the service was told of, where nothing else is said', async () => {
    for (const tenant of ['one', 'two', 'one']) await ask('/by-key/1', { headers: { 'x-tenant': tenant } });
    expect(asked).toHaveLength(2);
  });

  it('is not one about another client: the service was told the address', async () => {
    for (const from of ['203.0.113.1', '203.0.113.2', '203.0.113.1']) {
      await ask('/remembered/4', { headers: { 'x-forwarded-for': from } });
    }
    expect(asked).toHaveLength(2);
  });

  it('may be a refusal, but no large one', async () => {
    const refused = (length: number) => {
      judgement = refuse(403, {}, 'x'.repeat(length));
      return ask(`/remembered/${length}`).then((answer) => answer.text());
    };
    expect([await refused(100), await refused(100)]).toEqual(['x'.repeat(100), 'x'.repeat(100)]);
    expect(asked).toHaveLength(1);
    expect([await refused(5000), await refused(5000)]).toEqual(['x'.repeat(5000), 'x'.repeat(5000)]);
    expect(asked).toHaveLength(3);
  });

  it('is not one that failed, nor one that set a cookie', async () => {
    const headers = { authorization: 'three' };
    judgement = refuse(500);
    expect((await ask('/remembered/3', { headers })).status).toBe(503);
    judgement = refuse(401, { 'set-cookie': 'state=1' });
    expect((await ask('/remembered/3', { headers })).status).toBe(401);
    judgement = allow;
    expect((await ask('/remembered/3', { headers })).status).toBe(200);
  });
});
