/** Logins at a real provider, the sessions that come of them, and everything that somebody may try to have one without. */
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { gatewayFixture, type GatewayFixture } from '../../../test/support/gateway.ts';
import {
  ask,
  Browser,
  NAVIGATION,
  SCRIPT,
  startIdentityProvider,
  type IdentityProvider,
} from '../../../test/support/identity-provider.ts';
import { startUpstream, type Echo, type Upstream } from '../../../test/support/upstream.ts';
import { until } from '../../../test/support/until.ts';

const SECRET = 'a'.repeat(16) + 'b'.repeat(16);

let provider: IdentityProvider;
let gateway: GatewayFixture;
let orders: Upstream;

const at = (path: string) => `${gateway.url}${path}`;

const fieldsOf = (body: string): Record<string, string> => {
  const { fields } = JSON.parse(body) as Echo;
  return Object.fromEntries(fields.flatMap((name, i) => (i % 2 === 0 ? [[name.toLowerCase(), fields[i + 1]!]] : [])));
};

beforeAll(async () => {
  orders = await startUpstream('orders');
  provider = await startIdentityProvider((client) => (client === 'brief' ? 3 : 600));
  const issuer = provider.url;
  const cookie = { secret: SECRET };
  const shop = { issuer, clientId: 'shop', clientSecret: 'shop-secret', cookie };
  const route = (name: string, oidc: object, more: object = {}) => ({
    name,
    match: { path: `/${name}/*` },
    pool: 'orders',
    auth: { oidc: { path: `/${name}/oidc`, ...oidc }, failures: false, ...more },
  });
  gateway = await gatewayFixture({
    gateway: {
      threads: 2,
      consumers: [{ name: 'ann-of-staff', groups: ['gold'], jwt: [{ subject: 'ann', claims: { groups: 'staff' } }] }],
    },
    files: {
      'orders.yaml': {
        pools: { orders: { endpoints: [orders.url] } },
        routes: [
          route('shop', { ...shop, afterLogout: '/shop/bye' }),
          route('api', { ...shop, login: false }),
          route('open', shop, { optional: true }),
          route('tokens', { ...shop, forward: 'access-token' }),
          route('ids', { ...shop, forward: 'id-token' }),
          route('public', { issuer, clientId: 'public', cookie: { ...cookie, name: 'public' } }),
          route('other', { ...shop, clientId: 'other', clientSecret: 'other-secret' }),
          route('brief', { ...shop, clientId: 'brief', clientSecret: 'brief-secret' }),
          route('idle', { ...shop, cookie: { ...cookie, name: 'idle', idle: '1s' } }),
          route('aged', { ...shop, cookie: { ...cookie, name: 'aged', maxAge: '1s', idle: '1s' } }),
          route('rotated', { ...shop, cookie: { secret: 'c'.repeat(32), previousSecret: SECRET } }),
          route('opaque', { ...shop, login: false, cookie: undefined, introspection: { cacheFor: '400ms' } }),
          route('aimed', { ...shop, login: false, cookie: undefined, introspection: { audience: 'orders' } }),
          {
            name: 'posts',
            match: { path: '/posts/*' },
            pool: 'orders',
            auth: { oidc: { ...shop, login: false } },
            csrf: {},
          },
          { name: 'free', match: { path: '/free' }, pool: 'orders' },
          { name: 'off', match: { path: '/off' }, pool: 'orders', auth: false },
        ],
      },
    },
  });
});

const serve = () => {
  const callback = (...routes: string[]) => routes.map((name) => at(`/${name}/oidc/callback`));
  const confidential = { grant_types: ['authorization_code', 'refresh_token'] };
  return provider.serve([
    {
      client_id: 'shop',
      client_secret: 'shop-secret',
      grant_types: ['authorization_code', 'client_credentials'],
      redirect_uris: callback('shop', 'open', 'tokens', 'ids', 'idle', 'aged', 'rotated'),
      post_logout_redirect_uris: [at('/shop/bye')],
    },
    { client_id: 'other', client_secret: 'other-secret', redirect_uris: callback('other') },
    { client_id: 'brief', client_secret: 'brief-secret', ...confidential, redirect_uris: callback('brief') },
    { client_id: 'public', token_endpoint_auth_method: 'none', redirect_uris: callback('public') },
  ]);
};

/** @returns a browser with a session of the route. */
async function loggedIn(route = 'shop'): Promise<Browser> {
  const browser = new Browser();
  const page = await browser.follow(at(`/${route}/1`));
  expect(page.status).toBe(200);
  return browser;
}

/** Stops where the provider sends the browser back. */
const wayBack = (browser: Browser, path: string) =>
  browser.follow(at(path), ({ pathname }) => pathname.endsWith('/callback'));

beforeEach(() => {
  provider.user = 'ann';
  provider.broken = undefined;
  provider.tamper = undefined;
  provider.paths.length = 0;
});

describe('a provider that is away when the gateway starts', () => {
  it('has only its own routes answer 503, until it is there', async () => {
    expect((await fetch(at('/free'))).status).toBe(200);
    const page = await new Browser().visit(at('/shop/1'));
    expect(page.status).toBe(503);
    expect(page.headers.get('retry-after')).toBe('5');
    const api = await fetch(at('/opaque/1'), { headers: { authorization: 'Bearer abc' } });
    expect(api.status).toBe(503);
    expect(api.headers.get('retry-after')).toBe('5');
    expect((await ask(at('/shop/1'), SCRIPT)).status).toBe(401);
    await serve();
    await until(async () => (await new Browser().visit(at('/shop/1'))).status === 302, 'a login');
  });
});

describe('whoever comes without a session', () => {
  it('is sent to the login, when somebody looks', async () => {
    const { status, headers } = await new Browser().visit(at('/shop/1'));
    expect(status).toBe(302);
    expect(headers.get('cache-control')).toBe('no-store');
    const { origin, searchParams } = new URL(headers.get('location')!);
    expect(origin).toBe(provider.url);
    expect(Object.fromEntries(searchParams)).toMatchObject({
      client_id: 'shop',
      response_type: 'code',
      redirect_uri: at('/shop/oidc/callback'),
      scope: 'openid profile email',
      code_challenge_method: 'S256',
    });
    const [cookie = ''] = headers.getSetCookie();
    expect(cookie).toMatch(/^aya-session\.login\.[\w-]{12}=[\w.-]+; Path=\/; Max-Age=600; HttpOnly; SameSite=Lax$/);
  });

  it.each<[string, Record<string, string>, string]>([
    ['a script', SCRIPT, 'GET'],
    ['a form', NAVIGATION, 'POST'],
    ['an older script', { accept: 'text/html', 'x-requested-with': 'XMLHttpRequest' }, 'GET'],
    ['an image', { accept: 'image/*', 'sec-fetch-mode': 'no-cors' }, 'GET'],
    ['a program', { accept: '*/*' }, 'GET'],
  ])('gets 401, as %s', async (_, headers, method) => {
    const answer = await ask(at('/shop/1'), headers, method);
    expect(answer.status).toBe(401);
    expect(answer.headers.get('www-authenticate')).toBe('Bearer realm="aya"');
    expect(answer.headers.getSetCookie()).toEqual([]);
  });

  it('gets 401 also in a browser, where the route has no login', async () => {
    expect((await new Browser().visit(at('/api/1'))).status).toBe(401);
  });

  it('passes where auth is optional, and may log in', async () => {
    const browser = new Browser();
    expect(fieldsOf((await browser.visit(at('/open/1'))).body)).not.toHaveProperty('x-aya-principal');
    const page = await browser.follow(at('/open/oidc/login?return_to=/open/2%3Fa%3D1'));
    expect(page.url.pathname + page.url.search).toBe('/open/2?a=1');
    expect(fieldsOf(page.body)).toMatchObject({ 'x-aya-principal': 'ann' });
  });
});

describe('a login', () => {
  it('leads back to where it began, as somebody', async () => {
    const browser = new Browser();
    const page = await browser.follow(at('/shop/7?a=1&b=%2F'));
    expect(page.url.href).toBe(at('/shop/7?a=1&b=%2F'));
    expect(fieldsOf(page.body)).toMatchObject({
      'x-aya-principal': 'ann',
      'x-aya-consumer': 'ann-of-staff',
      'x-aya-groups': 'gold,staff',
    });
    expect([...browser.jar(gateway.url).keys()]).toEqual(['aya-session']);
    expect((await browser.visit(at('/shop/8'))).status).toBe(200);
    expect((await browser.visit(at('/api/8'), SCRIPT)).status).toBe(200);
  });

  it('needs no secret of a public client', async () => {
    await loggedIn('public');
  });

  it('can be under way in several tabs', async () => {
    const browser = new Browser();
    const one = await wayBack(browser, '/shop/1');
    const two = await wayBack(browser, '/shop/2');
    expect((await browser.follow(one.url)).url.pathname).toBe('/shop/1');
    expect((await browser.follow(two.url)).url.pathname).toBe('/shop/2');
  });

  it('leaves only so many traces of those that were not finished', async () => {
    const browser = new Browser();
    for (let tab = 0; tab < 8; tab++) await browser.visit(at('/shop/1'));
    expect(browser.jar(gateway.url).size).toBe(5);
  });
});

describe('the way back from a login', () => {
  /** All that it may say. */
  async function isRefused(browser: Browser, url: URL | string) {
    const before = orders.requests;
    const { status, headers, body } = await browser.visit(url);
    expect(status).toBe(400);
    expect(JSON.parse(body)).toMatchObject({ detail: 'The sign-in could not be completed. Start it again.' });
    expect(headers.getSetCookie().filter((line) => !/Max-Age=0/.test(line))).toEqual([]);
    expect(browser.jar(gateway.url).has('aya-session')).toBe(false);
    expect(orders.requests).toBe(before);
  }
  const changed = (url: URL, change: (parameters: URLSearchParams) => void) => {
    const copy = new URL(url);
    change(copy.searchParams);
    return copy;
  };

  it('needs a state', async () => {
    const browser = new Browser();
    const { url } = await wayBack(browser, '/shop/1');
    await isRefused(
      browser,
      changed(url, (p) => p.delete('state')),
    );
    await isRefused(
      browser,
      changed(url, (p) => p.set('state', 'x'.repeat(43))),
    );
    await isRefused(
      browser,
      changed(url, (p) => p.set('state', 'a;b=c\r\nset-cookie: x=y')),
    );
    await isRefused(
      browser,
      changed(url, (p) => p.append('state', p.get('state')!)),
    );
  });

  it('needs the browser that began it', async () => {
    const { url } = await wayBack(new Browser(), '/shop/1');
    await isRefused(new Browser(), url);
    const victim = new Browser();
    await wayBack(victim, '/shop/1');
    await isRefused(victim, url);
  });

  it('is taken once', async () => {
    const browser = new Browser();
    const { url } = await wayBack(browser, '/shop/1');
    const replay = browser.clone();
    expect((await browser.follow(url)).status).toBe(200);
    await isRefused(replay, url);
    await isRefused(new Browser(), url);
  });

  it('takes no code of another login: the verifier and the nonce are not its own', async () => {
    const attacker = new Browser();
    provider.user = 'eve';
    const stolen = await wayBack(attacker, '/shop/1');
    const browser = new Browser();
    const { url } = await wayBack(browser, '/shop/1');
    await isRefused(
      browser,
      changed(url, (p) => p.set('code', stolen.url.searchParams.get('code')!)),
    );
  });

  it('takes no code that was got without PKCE or with another nonce', async () => {
    for (const drop of ['nonce', 'code_challenge'] as const) {
      const browser = new Browser();
      const { headers } = await browser.visit(at('/shop/1'));
      const begun = changed(new URL(headers.get('location')!), (p) => {
        if (drop === 'nonce') p.set('nonce', 'of-somebody-else');
        else for (const name of ['code_challenge', 'code_challenge_method']) p.delete(name);
      });
      const back = await browser.follow(begun, ({ pathname }) => pathname.endsWith('/callback'));
      await isRefused(browser, back.url);
    }
  });

  it('takes no answer in the name of another issuer', async () => {
    const browser = new Browser();
    const { url } = await wayBack(browser, '/shop/1');
    expect(url.searchParams.get('iss')).toBe(provider.url);
    await isRefused(
      browser,
      changed(url, (p) => p.set('iss', 'https://evil.example')),
    );
    const again = await wayBack(browser, '/shop/1');
    await isRefused(
      browser,
      changed(again.url, (p) => p.delete('iss')),
    );
  });

  it.each<[string, (claims: Record<string, unknown>) => object]>([
    ['of another user', (claims) => ({ ...claims, sub: 'root' })],
    ['with other groups', (claims) => ({ ...claims, groups: ['admins'] })],
    ['of another issuer', (claims) => ({ ...claims, iss: 'https://evil.example' })],
    ['for another client', (claims) => ({ ...claims, aud: 'other' })],
  ])('takes no ID token %s that the provider has not signed', async (_, change) => {
    const browser = new Browser();
    const { url } = await wayBack(browser, '/shop/1');
    let forged = 0;
    provider.tamper = (path, body) => {
      if (path !== '/token') return body;
      forged++;
      const tokens = JSON.parse(body) as { id_token: string };
      const [header, payload = '', signature] = tokens.id_token.split('.');
      const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as Record<string, unknown>;
      const changedPayload = Buffer.from(JSON.stringify(change(claims))).toString('base64url');
      return JSON.stringify({ ...tokens, id_token: `${header}.${changedPayload}.${signature}` });
    };
    await isRefused(browser, url);
    expect(forged).toBe(1);
  });

  it('takes no state of another client', async () => {
    const browser = new Browser();
    const { url } = await wayBack(browser, '/other/1');
    await isRefused(browser, at(`/shop/oidc/callback${url.search}`));
  });

  it('says nothing of what the provider refused', async () => {
    const browser = new Browser();
    const { url } = await wayBack(browser, '/shop/1');
    const denied = changed(url, (p) => {
      p.delete('code');
      p.set('error', 'access_denied');
      p.set('error_description', '<script>');
    });
    await isRefused(browser, denied);
  });

  it('waits for no provider that is away', async () => {
    const browser = new Browser();
    const { url } = await wayBack(browser, '/shop/1');
    provider.broken = (path) => (path === '/token' ? 502 : undefined);
    const { status, headers } = await browser.visit(url);
    expect(status).toBe(503);
    expect(headers.get('retry-after')).toBe('5');
  });

  it.each([
    '//evil.example',
    '///evil.example',
    '/\\evil.example',
    '\\\\evil.example',
    'https://evil.example/',
    'javascript:alert(1)',
    '/a\r\nset-cookie: x=y',
    '/\t/evil.example',
    '%2F%2Fevil.example',
    'evil.example',
    '/é',
  ])('leads to no other site: %j', async (target) => {
    await leadsHome(target);
  });

  it('leads nowhere that does not fit into a cookie', async () => {
    await leadsHome(`/${'x'.repeat(2050)}`);
  });

  async function leadsHome(target: string) {
    const browser = new Browser();
    const { url } = await wayBack(browser, `/open/oidc/login?return_to=${encodeURIComponent(target)}`);
    const { status, headers } = await browser.visit(url);
    expect(status).toBe(302);
    expect(headers.get('location')).toBe(at('/'));
  }
});

describe('a session', () => {
  it('stays between the browser and the gateway', async () => {
    const browser = await loggedIn();
    browser.jar(gateway.url).set('theme', 'dark').set('__Host-aya-session', 'x').set('aya-session.login.abc', 'y');
    for (const path of ['/shop/1', '/open/1', '/api/1']) {
      expect(fieldsOf((await browser.visit(at(path))).body).cookie).toBe('theme=dark');
    }
    expect(fieldsOf((await browser.visit(at('/shop/1'))).body)).not.toHaveProperty('authorization');
  });

  it('is withheld also where another kind of credential decides', async () => {
    const browser = await loggedIn();
    const { body } = await browser.visit(at('/open/1'), { authorization: 'Basic eDp5' });
    expect(fieldsOf(body)).not.toHaveProperty('cookie');
  });

  it.each(['/free', '/off'])('is withheld also where nobody asks who comes: %s', async (path) => {
    const browser = await loggedIn();
    browser.jar(gateway.url).set('theme', 'dark');
    expect(fieldsOf((await browser.visit(at(path))).body).cookie).toBe('theme=dark');
  });

  it.each([
    ['tokens', /^Bearer [\w-]{43}$/],
    ['ids', /^Bearer [\w-]+\.[\w-]+\.[\w-]+$/],
  ])('is known to the upstream of /%s by a token', async (route, token) => {
    const browser = await loggedIn(route);
    const { body } = await browser.visit(at(`/${route}/1`), { ...SCRIPT, authorization: 'Basic eDp5' });
    const { fields } = JSON.parse(body) as Echo;
    expect(fields.filter((name) => name.toLowerCase() === 'authorization')).toHaveLength(1);
    expect(fieldsOf(body).authorization).toMatch(token);
  });

  it('may be larger than one cookie, and smaller again', async () => {
    const browser = new Browser();
    provider.user = 'member-of-many';
    const names = () => [...browser.jar(gateway.url).keys()].filter((name) => name.startsWith('aya-session'));
    const page = await browser.follow(at('/shop/1'));
    expect(fieldsOf(page.body)['x-aya-groups']).toContain('group-119');
    expect(fieldsOf(page.body)).not.toHaveProperty('cookie');
    expect(names()).toEqual(['aya-session', 'aya-session.1', 'aya-session.2']);
    const [first, second, third] = [...browser.jar(gateway.url).values()];
    const swapped = { cookie: `aya-session=${first}; aya-session.1=${third}; aya-session.2=${second}` };
    expect((await ask(at('/shop/1'), { ...SCRIPT, ...swapped })).status).toBe(401);
    const lost = { cookie: `aya-session=${first}; aya-session.2=${third}` };
    expect((await ask(at('/shop/1'), { ...SCRIPT, ...lost })).status).toBe(401);
    browser.jar(provider.url).clear();
    provider.user = 'ann';
    await browser.follow(at('/shop/oidc/login?return_to=/shop/1'));
    expect(names()).toEqual(['aya-session']);
  });

  it('is sent by browsers themselves: what other sites make them send is refused (csrf)', async () => {
    const browser = await loggedIn();
    const post = (site: string) => browser.visit(at('/posts/1'), { ...SCRIPT, 'sec-fetch-site': site }, 'POST');
    expect((await post('same-origin')).status).toBe(200);
    expect((await post('cross-site')).status).toBe(403);
  });

  it('outlives a reload', async () => {
    const browser = await loggedIn();
    expect((await gateway.reload()).status).toBe(200);
    expect((await browser.visit(at('/shop/1'), SCRIPT)).status).toBe(200);
  });

  it('is no other client’s', async () => {
    const browser = await loggedIn();
    expect((await browser.visit(at('/other/1'), SCRIPT)).status).toBe(401);
  });

  it('goes on when the secret is replaced', async () => {
    const browser = await loggedIn();
    expect((await browser.visit(at('/rotated/1'), SCRIPT)).status).toBe(200);
    const newer = await loggedIn('rotated');
    expect((await newer.visit(at('/shop/1'), SCRIPT)).status).toBe(401);
  });

  it('is refused alike, whatever is wrong with it', async () => {
    const good = (await loggedIn()).jar(gateway.url).get('aya-session')!;
    const stranger = (await loggedIn('rotated')).jar(gateway.url).get('aya-session')!;
    const [head = '', key = '', iv = '', text = '', tag = ''] = good.slice(2).split('.');
    const other = (await loggedIn()).jar(gateway.url).get('aya-session')!.slice(2).split('.');
    const login = new Browser();
    await login.visit(at('/shop/1'));
    const [transaction = ''] = login.jar(gateway.url).values();
    const flipped = (part: string) => (part.startsWith('A') ? 'B' : 'A') + part.slice(1);
    const header = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const forged = {
      cut: good.slice(0, -10),
      'cut in half': good.slice(0, good.length / 2),
      'of another key': stranger,
      'with another tag': `1.${[head, key, iv, text, flipped(tag)].join('.')}`,
      'with another text': `1.${[head, key, iv, flipped(text), tag].join('.')}`,
      'with another IV': `1.${[head, key, flipped(iv), text, tag].join('.')}`,
      'of two sessions': `1.${[head, key, iv, other[3], tag].join('.')}`,
      'not encrypted': `1.${[header({ alg: 'none' }), '', '', text, ''].join('.')}`,
      'encrypted by another rule': `1.${[header({ alg: 'dir', enc: 'A256CBC-HS512' }), key, iv, text, tag].join('.')}`,
      'in more parts than there are': `2.${good.slice(2)}`,
      'in too many parts': `9.${good.slice(2)}`,
      'a login instead': `1.${transaction}`,
      empty: '',
      junk: '%00%ff',
      long: `1.${'A'.repeat(10_000)}`,
    };
    const answers = new Set<string>();
    for (const value of Object.values(forged)) {
      const cookie = `aya-session=${value}`;
      const script = await ask(at('/shop/1'), { ...SCRIPT, cookie });
      const { requestId: _, ...problem } = JSON.parse(script.body) as Record<string, unknown>;
      answers.add(JSON.stringify([script.status, script.headers.get('www-authenticate'), problem]));
      expect((await ask(at('/shop/1'), { ...NAVIGATION, cookie })).status).toBe(302);
    }
    expect([...answers].map((answer) => (JSON.parse(answer) as unknown[])[0])).toEqual([401]);
  });

  it('of 64 KiB is not even looked at', async () => {
    const cookie = `aya-session=1.${'A'.repeat(65_536)}`;
    const answer = await ask(at('/shop/1'), { ...SCRIPT, cookie });
    expect([401, 431]).toContain(answer.status);
  });

  it('goes on while somebody comes, and ends when nobody does', async () => {
    const browser = await loggedIn('idle');
    const left = browser.clone();
    const cookies = new Set<string>();
    await until(async () => {
      const { headers } = await browser.visit(at('/idle/1'), SCRIPT);
      if (headers.getSetCookie().length > 0) expect(headers.get('cache-control')).toBe('no-store');
      cookies.add(browser.jar(gateway.url).get('idle')!);
      return (await left.clone().visit(at('/idle/1'), SCRIPT)).status === 401;
    }, 'the end of the session that nobody renews');
    expect((await browser.visit(at('/idle/1'), SCRIPT)).status).toBe(200);
    expect(cookies.size).toBeGreaterThan(2);
  });

  it('ends after its longest time, however busy', async () => {
    const browser = await loggedIn('aged');
    await until(async () => (await browser.visit(at('/aged/1'), SCRIPT)).status === 401, 'the end of the session');
  });
});

describe('a session whose access token ends', () => {
  const askedFor = (path: string) => provider.paths.filter((each) => each === path).length;
  const isDue = async (browser: Browser) => {
    const loggedInAt = performance.now();
    await until(() => performance.now() - loggedInAt > 2_700, 'the time to renew it');
    provider.paths.length = 0;
    return browser;
  };

  it('is renewed once, however many ask at the same time and on how many threads', async () => {
    const browser = await isDue(await loggedIn('brief'));
    const before = browser.jar(gateway.url).get('aya-session');
    const copies = Array.from({ length: 12 }, () => browser.clone());
    const visits = await Promise.all(copies.map((copy) => copy.visit(at('/brief/1'), SCRIPT)));
    expect(visits.map(({ status }) => status)).toEqual(visits.map(() => 200));
    expect(askedFor('/token')).toBe(1);
    const renewed = copies.filter((copy) => copy.jar(gateway.url).get('aya-session') !== before);
    expect(renewed.length).toBeGreaterThan(0);
    // The provider ends a session whose refresh token it sees twice: this one it has not.
    const next = await isDue(renewed[0]!);
    expect((await next.visit(at('/brief/2'), SCRIPT)).status).toBe(200);
    expect(askedFor('/token')).toBe(1);
  });

  it('goes on while its token is good and the provider away; then waits for it', async () => {
    const browser = await loggedIn('brief');
    provider.paths.length = 0;
    provider.broken = (path) => (path === '/token' ? 503 : undefined);
    const statuses = new Set<number>();
    const answer = await until(async () => {
      const visit = await browser.visit(at('/brief/1'), SCRIPT);
      statuses.add(visit.status);
      return visit.status === 200 ? undefined : visit;
    }, 'the end of the token');
    expect([...statuses]).toEqual([200, 503]);
    expect(answer.headers.get('retry-after')).toBe('5');
    // Not once for each request: a few times by each thread.
    expect(askedFor('/token')).toBeLessThan(6);
    provider.broken = undefined;
    await until(async () => (await browser.visit(at('/brief/1'), SCRIPT)).status === 200, 'the renewal');
  });

  it('ends with it when the provider says so', async () => {
    const browser = await loggedIn('brief');
    const { headers } = await browser.clone().visit(at('/brief/oidc/logout'));
    expect(headers.get('location')).toContain('/session/end?');
    await until(() => provider.paths.includes('/token/revocation'), 'the revocation');
    await until(async () => (await browser.visit(at('/brief/1'), SCRIPT)).status === 401, 'the end of the session');
    expect((await browser.visit(at('/brief/1'))).status).toBe(302);
  });
});

describe('a logout', () => {
  it('forgets the session and leads to the provider’s', async () => {
    const browser = await loggedIn();
    const { status, headers } = await browser.visit(at('/shop/oidc/logout'));
    expect(status).toBe(302);
    const location = new URL(headers.get('location')!);
    expect(location.origin).toBe(provider.url);
    expect(location.searchParams.get('post_logout_redirect_uri')).toBe(at('/shop/bye'));
    expect(location.searchParams.get('id_token_hint')).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+$/);
    expect(browser.jar(gateway.url).size).toBe(0);
    expect((await browser.visit(location)).status).toBe(200);
    expect((await browser.visit(at('/shop/1'), SCRIPT)).status).toBe(401);
  });

  it('is not for other sites to ask for', async () => {
    const browser = await loggedIn();
    const answer = await browser.visit(at('/shop/oidc/logout'), { ...NAVIGATION, 'sec-fetch-site': 'cross-site' });
    expect(answer.status).toBe(403);
    expect((await browser.visit(at('/shop/1'), SCRIPT)).status).toBe(200);
  });

  it('leads home whoever has no session', async () => {
    const { status, headers } = await new Browser().visit(at('/open/oidc/logout'));
    expect([status, headers.get('location')]).toEqual([302, at('/')]);
  });
});

describe('a token that only the issuer can read', () => {
  const bring = (path: string, token: string) => fetch(at(path), { headers: { authorization: `Bearer ${token}` } });
  const introspections = () => provider.paths.filter((path) => path === '/token/introspection').length;

  const basic = `Basic ${Buffer.from('shop:shop-secret').toString('base64')}`;
  const post = (path: string, form: Record<string, string>) =>
    fetch(provider.url + path, { method: 'POST', headers: { authorization: basic }, body: new URLSearchParams(form) });
  const issue = async () => {
    const answer = await post('/token', { grant_type: 'client_credentials' });
    return ((await answer.json()) as { access_token: string }).access_token;
  };

  it('says who it is, and is asked about once', async () => {
    const token = await issue();
    const answers = await Promise.all(Array.from({ length: 6 }, () => bring('/opaque/1', token)));
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
    expect(introspections()).toBeLessThanOrEqual(2);
    const fields = fieldsOf(await answers[0]!.text());
    expect(fields).toMatchObject({ 'x-aya-principal': 'shop', authorization: `Bearer ${token}` });
  });

  it('of a user says which', async () => {
    const browser = await loggedIn('tokens');
    const token = fieldsOf((await browser.visit(at('/tokens/1'))).body).authorization!.slice(7);
    const fields = fieldsOf(await (await bring('/opaque/1', token)).text());
    expect(fields).toMatchObject({ 'x-aya-principal': 'ann' });
  });

  it('is refused once it is revoked, as soon as the answer is not remembered any more', async () => {
    const token = await issue();
    expect((await bring('/opaque/1', token)).status).toBe(200);
    await post('/token/revocation', { token });
    const answer = await until(async () => {
      const each = await bring('/opaque/1', token);
      return each.status === 200 ? undefined : each;
    }, 'the refusal');
    expect(answer.status).toBe(401);
    expect(answer.headers.get('www-authenticate')).toContain('error="invalid_token"');
  });

  it.each(['junk', 'a b', 'x'.repeat(9000), '', '\u00e9'])('is none: %s', async (token) => {
    expect((await bring('/opaque/1', token)).status).toBe(401);
  });

  it('is for somebody else', async () => {
    expect((await bring('/aimed/1', await issue())).status).toBe(401);
  });

  it('lets nobody in while the issuer is away', async () => {
    const token = await issue();
    provider.broken = () => 500;
    const answer = await bring('/opaque/1', token);
    expect(answer.status).toBe(503);
    expect(answer.headers.get('retry-after')).toBe('5');
    provider.broken = undefined;
    expect((await bring('/opaque/1', token)).status).toBe(200);
  });

  it('is not taken where only sessions are', async () => {
    expect((await bring('/api/1', await issue())).status).toBe(401);
  });
});

describe('what operators see', () => {
  it('holds no secret', async () => {
    const { status, body } = await gateway.admin('/config');
    expect(status).toBe(200);
    expect(body).toContain('clientId');
    for (const secret of [SECRET, 'shop-secret', 'c'.repeat(32)]) expect(body).not.toContain(secret);
  });
});
