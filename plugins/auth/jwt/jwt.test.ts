/** What a route does with tokens: whom it lets in, what it says to the others, what the upstream learns. */
import { execFileSync, spawnSync } from 'node:child_process';
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { exportJWK, SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { gatewayFixture, type GatewayFixture } from '../../../test/support/gateway.ts';
import { hmac, rsa, startKeyServer, token, type KeyServer } from '../../../test/support/tokens.ts';
import { until } from '../../../test/support/until.ts';
import { startUpstream, type Echo, type Upstream } from '../../../test/support/upstream.ts';

const ISSUER = 'https://id.example.com';
const SECRET = 'a-secret-of-thirty-two-bytes-or-more';
const NOW = Math.floor(Date.now() / 1000);
const CLAIMS = { iss: ISSUER, aud: 'orders', sub: 'ada', exp: NOW + 600 };

const pair = generateKeyPairSync('rsa', { modulusLength: 2048 });
const another = generateKeyPairSync('rsa', { modulusLength: 2048 });
const pem = ({ publicKey }: { publicKey: KeyObject }) => publicKey.export({ type: 'spki', format: 'pem' }) as string;
const publish = (key: KeyObject, kid: string) => ({ ...key.export({ format: 'jwk' }), kid });

let gateway: GatewayFixture;
let issuer: KeyServer;
let upstream: Upstream;

const jwtOf = (more: object = {}) => ({ issuer: ISSUER, audience: 'orders', jwksUri: `${issuer.url}/keys`, ...more });

beforeAll(async () => {
  issuer = await startKeyServer([publish(pair.publicKey, 'k1')]);
  upstream = await startUpstream('orders');
  const routes: Record<string, object> = {
    '/orders': { jwt: jwtOf() },
    '/billing': { jwt: jwtOf({ audience: 'billing' }) },
    '/scoped': { jwt: jwtOf({ scopes: ['orders:read', 'orders:write'] }) },
    '/listed': { jwt: jwtOf({ scopes: ['read'], scopesClaim: 'scp' }) },
    '/tenant': { jwt: jwtOf({ claims: { 'realm.tenant': ['acme', 'umbrella'], level: 3 } }) },
    '/ungrouped': { jwt: jwtOf({ groupsClaim: false }) },
    '/named': { jwt: jwtOf({ consumerClaim: 'client_id', groupsClaim: 'realm.roles' }) },
    '/kept': { jwt: jwtOf({ forward: false }) },
    '/cookie': { jwt: jwtOf({ cookie: 'session', query: 'token' }) },
    '/passed': { jwt: jwtOf({ cookie: 'session', query: 'token', forward: true }) },
    '/field': { jwt: jwtOf({ header: 'X-Token' }) },
    '/optional': { jwt: jwtOf(), optional: true },
    '/mixed': { jwt: jwtOf(), apiKey: {} },
    '/guessed': { jwt: jwtOf(), failures: { max: 3, per: '1h' } },
    '/secret': { jwt: { secret: SECRET } },
    '/file': { jwt: { publicKey: 'keys/issuer.pem' } },
  };
  gateway = await gatewayFixture({
    gateway: {
      defaults: { auth: { failures: false } },
      consumers: [
        { name: 'mobile', groups: ['partners'], jwt: [{ issuer: ISSUER, subject: 'mobile' }] },
        { name: 'acme', jwt: [{ claims: { tenant: 'acme' } }] },
        { name: 'elsewhere', jwt: [{ issuer: 'https://other.example.com' }] },
        { name: 'batch' },
      ],
    },
    files: {
      '../keys/issuer.pem': pem(pair),
      'orders.yaml': {
        pools: { orders: { endpoints: [upstream.url] } },
        routes: Object.entries(routes).map(([path, auth]) => ({
          name: path.slice(1),
          match: { path },
          pool: 'orders',
          auth,
        })),
      },
    },
  });
});

const signed = (claims: object = {}) =>
  token({ alg: 'RS256', kid: 'k1' }, { ...CLAIMS, ...claims }, rsa(pair.privateKey));
const ask = (path: string, headers: Record<string, string> = {}) => fetch(gateway.url + path, { headers });
const bring = (path: string, bearer: string) => ask(path, { authorization: `Bearer ${bearer}` });
/** What the upstream got. */
async function seen(answer: Promise<Response>): Promise<{ target: string; fields: Record<string, string> }> {
  const response = await answer;
  expect(response.status).toBe(200);
  const { target, fields } = (await response.json()) as Echo;
  const pairs = fields.flatMap((name, at) => (at % 2 === 0 ? [[name.toLowerCase(), fields[at + 1]!]] : []));
  return { target, fields: Object.fromEntries(pairs) as Record<string, string> };
}

describe('who is let in', () => {
  it('a token for one route is refused by another of another audience, also when it is known already', async () => {
    const bearer = signed();
    for (let round = 0; round < 3; round++) {
      expect((await bring('/orders', bearer)).status).toBe(200);
      expect((await bring('/billing', bearer)).status).toBe(401);
    }
  });

  it('who brings no token is asked for one, and told of no error', async () => {
    const answer = await ask('/orders');
    expect(answer.status).toBe(401);
    expect(answer.headers.get('www-authenticate')).toBe('Bearer realm="aya"');
  });

  it('who brings a bad one is told so, and not why', async () => {
    const answer = await bring('/orders', signed({ aud: 'billing' }));
    expect(answer.headers.get('www-authenticate')).toBe(
      'Bearer realm="aya", error="invalid_token", error_description="The token is not valid."',
    );
    expect(await answer.text()).not.toContain('audience');
  });

  it('who brings an old one is told that it has expired', async () => {
    const answer = await bring('/orders', signed({ exp: NOW - 60 }));
    expect(answer.status).toBe(401);
    expect(answer.headers.get('www-authenticate')).toContain('error_description="The token has expired."');
  });

  it('all scopes are needed, and named to who lacks one', async () => {
    const answer = await bring('/scoped', signed({ scope: 'orders:read orders:writer' }));
    expect(answer.status).toBe(403);
    expect(answer.headers.get('www-authenticate')).toBe(
      'Bearer realm="aya", error="insufficient_scope", scope="orders:read orders:write"',
    );
    expect((await bring('/scoped', signed())).status).toBe(403);
    expect((await bring('/scoped', signed({ scope: 7 }))).status).toBe(403);
    expect((await bring('/scoped', signed({ scope: 'orders:write  orders:read' }))).status).toBe(200);
  });

  it('scopes may be a list in another claim', async () => {
    expect((await bring('/listed', signed({ scp: ['write', 'read'] }))).status).toBe(200);
    expect((await bring('/listed', signed({ scp: ['read write'] }))).status).toBe(403);
    expect((await bring('/listed', signed({ scope: 'read' }))).status).toBe(403);
  });

  it.each([
    [200, { realm: { tenant: 'acme' }, level: 3 }],
    [200, { realm: { tenant: ['other', 'umbrella'] }, level: 3 }],
    [200, { 'realm.tenant': 'acme', level: 3 }],
    [403, { realm: { tenant: 'acme' } }],
    [403, { realm: { tenant: 'acme' }, level: '3' }],
    [403, { realm: { tenant: 'acme2' }, level: 3 }],
    [403, { realm: 'tenant', level: 3 }],
    [403, { 'realm.tenant': 'evil', realm: { tenant: 'acme' }, level: 3 }],
  ])('claims must have their values: %d for %o', async (status, claims) => {
    expect((await bring('/tenant', signed(claims))).status).toBe(status);
  });

  it('a browser that sends its cookie and a service that sends a key share a route', async () => {
    const answer = await ask('/mixed');
    expect(answer.headers.get('www-authenticate')).toBe('Bearer realm="aya", ApiKey');
    expect((await bring('/mixed', signed())).status).toBe(200);
  });

  it('who has guessed too often is not heard any more, be the token right', async () => {
    for (let guess = 0; guess < 3; guess++) expect((await bring('/guessed', `${signed()}x`)).status).toBe(401);
    expect((await bring('/guessed', signed())).status).toBe(429);
  });

  it('a secret is enough for services of one house', async () => {
    const made = token({ alg: 'HS256' }, { exp: NOW + 60 }, hmac(SECRET));
    expect((await bring('/secret', made)).status).toBe(200);
    expect((await gateway.admin('/config')).body).not.toContain(SECRET);
  });
});

describe('what the upstream learns', () => {
  it('is the consumer whose issuer and subject the token has', async () => {
    const { fields } = await seen(bring('/orders', signed({ sub: 'mobile', groups: ['beta', 'partners'] })));
    expect(fields).toMatchObject({
      'x-aya-consumer': 'mobile',
      'x-aya-principal': 'mobile',
      'x-aya-groups': 'partners,beta',
    });
  });

  it('is the consumer whose claims the token has', async () => {
    const { fields } = await seen(bring('/orders', signed({ tenant: ['x', 'acme'] })));
    expect(fields).toMatchObject({ 'x-aya-consumer': 'acme', 'x-aya-principal': 'ada' });
  });

  it('is in no group but its consumer’s, where the issuer has no say in that', async () => {
    const { fields } = await seen(bring('/ungrouped', signed({ sub: 'mobile', groups: ['admin'] })));
    expect(fields).toMatchObject({ 'x-aya-groups': 'partners' });
  });

  it('is the consumer that a claim names, and groups from inside another', async () => {
    const { fields } = await seen(bring('/named', signed({ client_id: 'batch', realm: { roles: ['admin', 7] } })));
    expect(fields).toMatchObject({ 'x-aya-consumer': 'batch', 'x-aya-groups': 'admin' });
    const unknown = await seen(bring('/named', signed({ client_id: 'nobody' })));
    expect(unknown.fields).not.toHaveProperty('x-aya-consumer');
  });

  it('is a subject in a form that no field can be broken with', async () => {
    const { fields } = await seen(bring('/orders', signed({ sub: ' ada\r\nx-admin: 1, ünïcode' })));
    expect(fields['x-aya-principal']).toBe('%20ada%0D%0Ax-admin: 1, %C3%BCn%C3%AFcode');
    expect(fields).not.toHaveProperty('x-admin');
  });

  it('is the token itself, as services expect, unless it is not to have it', async () => {
    const bearer = signed();
    expect((await seen(bring('/orders', bearer))).fields.authorization).toBe(`Bearer ${bearer}`);
    for (let round = 0; round < 2; round++) {
      expect((await seen(bring('/kept', bearer))).fields).not.toHaveProperty('authorization');
    }
  });

  it('is no token from a cookie or a URL, unless it is to have it', async () => {
    const bearer = signed();
    const headers = { cookie: `a=1; session=${bearer}; b=2` };
    expect((await seen(ask('/cookie', headers))).fields.cookie).toBe('a=1; b=2');
    expect((await seen(ask(`/cookie?a=1&token=${bearer}`))).target).toBe('/cookie?a=1');
    expect((await seen(ask('/passed', headers))).fields.cookie).toContain(bearer);
    expect((await seen(ask(`/passed?token=${bearer}`))).target).toContain(bearer);
  });

  it('a field of another name carries the token with or without the scheme', async () => {
    expect((await ask('/field', { 'x-token': signed() })).status).toBe(200);
    expect((await ask('/field', { 'x-token': `Bearer ${signed()}` })).status).toBe(200);
    expect((await bring('/field', signed())).status).toBe(401);
  });

  it('is nothing where nobody has to be known, but a bad token is not nobody', async () => {
    const { fields } = await seen(ask('/optional', { 'x-aya-consumer': 'mobile' }));
    expect(fields).not.toHaveProperty('x-aya-consumer');
    expect((await bring('/optional', 'nonsense')).status).toBe(401);
  });
});

describe('the issuer', () => {
  it('is asked once for all routes and by no token, and the metrics say so', async () => {
    const statuses = new Set<number>();
    for (let at = 0; at < 1000; at += 50) {
      const flood = Array.from({ length: 50 }, (_, more) =>
        bring('/orders', token({ alg: 'RS256', kid: `kid-${at + more}` }, CLAIMS, rsa(another.privateKey))),
      );
      for (const { status } of await Promise.all(flood)) statuses.add(status);
    }
    expect([...statuses]).toEqual([401]);
    expect(issuer.requests).toBe(1);
    const page = (await gateway.admin('/metrics')).body;
    expect(page).toContain(`aya_document_fetches_total{url="${issuer.url}/keys",outcome="ok"} 1`);
    expect(page).toContain(`aya_document_age_seconds{url="${issuer.url}/keys"}`);
  });

  it('may be away at the start: its routes answer 503 until it is there, the others serve', async () => {
    const absent = await startKeyServer([publish(pair.publicKey, 'k1')]);
    await absent.kill();
    const other = await gatewayFixture({
      files: {
        'orders.yaml': {
          pools: { orders: { endpoints: [upstream.url] } },
          routes: [
            {
              name: 'guarded',
              match: { path: '/guarded' },
              pool: 'orders',
              auth: { jwt: { jwksUri: `${absent.url}/keys` } },
            },
            { name: 'open', match: { path: '/open' }, pool: 'orders' },
          ],
        },
      },
    });
    const guarded = () => fetch(`${other.url}/guarded`, { headers: { authorization: `Bearer ${signed()}` } });
    const refused = await guarded();
    expect(refused.status).toBe(503);
    expect(refused.headers.get('retry-after')).toBe('5');
    expect(refused.headers.get('www-authenticate')).toBeNull();
    expect((await fetch(`${other.url}/guarded`)).status).toBe(401);
    expect((await fetch(`${other.url}/open`)).status).toBe(200);
    expect(other.logs.some(({ event }) => event === 'document_failed')).toBe(true);
    await absent.revive();
    await until(async () => (await guarded()).status === 200, 'the keys to be there');
  });

  it('is not asked anew by a thread that replaces a dead one', async () => {
    const counted = await startKeyServer([publish(pair.publicKey, 'k1')]);
    const other = await gatewayFixture({
      crashes: true,
      files: {
        'orders.yaml': {
          pools: { orders: { endpoints: [upstream.url] } },
          routes: [
            {
              name: 'guarded',
              match: { path: '/' },
              pool: 'orders',
              auth: { jwt: { jwksUri: `${counted.url}/keys` } },
            },
          ],
        },
      },
    });
    const asked = async () => {
      const answer = await fetch(other.url, { headers: { authorization: `Bearer ${signed()}` } }).catch(
        () => undefined,
      );
      return answer?.status === 200;
    };
    await until(asked, 'the first thread to serve');
    await other.threads[0]!.terminate();
    await until(asked, 'the second thread to serve');
    expect(counted.requests).toBe(1);
  });
});

describe('a key in a file', () => {
  it('is replaced by a reload', async () => {
    const byNew = token({ alg: 'RS256' }, CLAIMS, rsa(another.privateKey));
    expect((await bring('/file', signed())).status).toBe(200);
    expect((await bring('/file', byNew)).status).toBe(401);
    await gateway.write('../keys/issuer.pem', pem(another));
    await gateway.reload();
    expect((await bring('/file', byNew)).status).toBe(200);
    expect((await bring('/file', signed())).status).toBe(401);
  });

  it('that is broken is refused, and the one before serves', async () => {
    await gateway.write('../keys/issuer.pem', 'nonsense');
    const { body } = await gateway.reload();
    expect(body).toContain('holds no public key or certificate in PEM');
    expect((await bring('/file', token({ alg: 'RS256' }, CLAIMS, rsa(another.privateKey)))).status).toBe(200);
    await gateway.write('../keys/issuer.pem', pem(another));
    await gateway.reload();
  });
});

describe('tokens and keys that others have made', () => {
  const dir = mkdtempSync(join(tmpdir(), 'aya-keys-'));
  afterAll(() => rmSync(dir, { recursive: true, force: true }));
  const file = (name: string, text?: string) => {
    const path = join(dir, name);
    if (text !== undefined) writeFileSync(path, text);
    return path;
  };

  /** A gateway whose one route takes tokens of these keys. */
  async function guard(jwt: object): Promise<(bearer: string) => Promise<number>> {
    const own = await gatewayFixture({
      files: {
        'orders.yaml': {
          pools: { orders: { endpoints: [upstream.url] } },
          routes: [{ name: 'orders', match: { path: '/' }, pool: 'orders', auth: { jwt } }],
        },
      },
    });
    return async (bearer) => (await fetch(own.url, { headers: { authorization: `Bearer ${bearer}` } })).status;
  }

  it('jose (npm), with every kind of key', async () => {
    const kinds = {
      RS256: generateKeyPairSync('rsa', { modulusLength: 3072 }),
      PS384: generateKeyPairSync('rsa', { modulusLength: 2048 }),
      ES256: generateKeyPairSync('ec', { namedCurve: 'P-256' }),
      ES512: generateKeyPairSync('ec', { namedCurve: 'P-521' }),
      EdDSA: generateKeyPairSync('ed25519'),
    };
    const keys = await Promise.all(
      Object.entries(kinds).map(async ([alg, { publicKey }]) => ({ ...(await exportJWK(publicKey)), kid: alg, alg })),
    );
    const server = await startKeyServer(keys);
    const status = await guard({ audience: 'orders', jwksUri: `${server.url}/keys`, algorithms: Object.keys(kinds) });
    for (const [alg, { privateKey }] of Object.entries(kinds)) {
      const made = await new SignJWT({ scope: 'read' })
        .setProtectedHeader({ alg, kid: alg })
        .setAudience(['orders'])
        .setIssuedAt()
        .setExpirationTime('5m')
        .sign(privateKey);
      expect({ alg, status: await status(made) }).toEqual({ alg, status: 200 });
    }
  });

  it('jose (the command)', async ({ skip }) => {
    const { error } = spawnSync('jose', ['alg']);
    skip(error !== undefined, 'jose is not installed: its tokens stay unchecked');
    const key = file('key.jwk');
    execFileSync('jose', ['jwk', 'gen', '-i', '{"alg":"ES384","kid":"cli"}', '-o', key]);
    const published = execFileSync('jose', ['jwk', 'pub', '-s', '-i', key], { encoding: 'utf8' });
    const payload = file('payload.json', JSON.stringify({ exp: NOW + 60, sub: 'ada' }));
    const template = '{"protected":{"alg":"ES384","kid":"cli"}}';
    const made = execFileSync('jose', ['jws', 'sig', '-I', payload, '-k', key, '-s', template, '-c'], {
      encoding: 'utf8',
    });
    const server = await startKeyServer((JSON.parse(published) as { keys: unknown[] }).keys);
    const status = await guard({ jwksUri: `${server.url}/keys`, algorithms: ['ES384'] });
    expect(await status(made.trim())).toBe(200);
  });

  it('openssl', async ({ skip }) => {
    const { error } = spawnSync('openssl', ['version']);
    skip(error !== undefined, 'openssl is not installed: its keys stay unchecked');
    const [key, certificate] = [file('key.pem'), file('cert.pem')];
    const run = (...args: string[]) => execFileSync('openssl', args, { stdio: 'pipe' });
    run(
      'req',
      '-x509',
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-keyout',
      key,
      '-out',
      certificate,
      '-days',
      '1',
      '-subj',
      '/CN=issuer',
    );
    const input = token({ alg: 'RS256' }, { exp: NOW + 60 }, () => Buffer.alloc(1))
      .split('.')
      .slice(0, 2)
      .join('.');
    run('dgst', '-sha256', '-sign', key, '-out', file('signature'), file('input', input));
    const made = `${input}.${readFileSync(file('signature')).toString('base64url')}`;
    const status = await guard({ publicKey: readFileSync(certificate, 'utf8') });
    expect(await status(made)).toBe(200);
  });
});
