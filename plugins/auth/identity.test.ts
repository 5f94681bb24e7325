/** The token about the caller that upstreams can verify, as they would: with jose and the public key. */
import { createHash, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { calculateJwkThumbprint, exportJWK, jwtVerify } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FakeClock } from '../../test/support/fake-clock.ts';
import { gatewayFixture, type GatewayFixture } from '../../test/support/gateway.ts';
import { hmac, token } from '../../test/support/tokens.ts';
import { startUpstream, type Echo, type Upstream } from '../../test/support/upstream.ts';
import { scanLanguage } from '../../src/config/language.ts';
import { assemble } from '../../src/config/load.ts';
import { formatProblem } from '../../src/config/problem.ts';
import type { IdentityTokenConfig } from '../../src/config/schema.ts';
import type { Principal } from '../../src/data/principal.ts';
import { tellUpstream } from './identity.ts';
import { IdentityTokens } from './identity-tokens.ts';

const SECRET = 'a-secret-of-thirty-two-bytes-or-more';
const pem = (key: KeyObject) => key.export({ type: 'pkcs8', format: 'pem' }) as string;
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });

let upstream: Upstream;
let gateway: GatewayFixture;

const files = () => ({
  '../identity.pem': pem(ec.privateKey),
  'orders.yaml': {
    pools: { orders: { endpoints: [upstream.url] } },
    routes: [
      { name: 'token', match: { path: '/token' }, pool: 'orders', auth: { jwt: { secret: SECRET } } },
      { name: 'key', match: { path: '/key' }, pool: 'orders', auth: { apiKey: {}, optional: true } },
    ],
  },
});
const consumers = [
  {
    name: 'mobile',
    groups: ['partners', 'eu'],
    apiKeys: [{ id: 'm1', sha256: createHash('sha256').update('mobile-key').digest('hex') }],
  },
];

beforeAll(async () => {
  upstream = await startUpstream('orders');
  const jwt = { key: 'identity.pem', audience: 'fleet', ttl: '90s' };
  gateway = await gatewayFixture({ gateway: { consumers, identity: { jwt } }, files: files() });
});

async function told(path: string, headers: Record<string, string>, from = gateway): Promise<string | undefined> {
  const answer = await fetch(from.url + path, { headers });
  expect(answer.status).toBe(200);
  const { fields } = (await answer.json()) as Echo;
  const at = fields.findIndex((name, index) => index % 2 === 0 && name.toLowerCase() === 'x-aya-identity');
  return at === -1 ? undefined : fields[at + 1];
}

const bearer = (claims: object) => ({
  authorization: `Bearer ${token({ alg: 'HS256' }, { exp: Math.floor(Date.now() / 1000) + 60, ...claims }, hmac(SECRET))}`,
});

describe('the identity token', () => {
  it('says who calls, on which route, and is valid for its time', async () => {
    const made = await told('/key', { 'x-api-key': 'mobile-key' });
    const { payload, protectedHeader } = await jwtVerify(made!, ec.publicKey, {
      algorithms: ['ES256'],
      issuer: 'aya',
      audience: 'fleet',
      requiredClaims: ['iat', 'exp'],
    });
    expect(payload).toMatchObject({ sub: 'm1', consumer: 'mobile', groups: ['partners', 'eu'], route: 'key' });
    expect(payload.exp! - payload.iat!).toBe(90);
    expect(payload).not.toHaveProperty('scope');
    expect(protectedHeader.kid).toBe(await calculateJwkThumbprint(await exportJWK(ec.publicKey)));
  });

  it('says what a token of a caller says, and nothing that a caller could put into it', async () => {
    const headers = bearer({ sub: 'ada', scope: 'read write', iss: 'evil', aud: 'evil', route: 'evil', groups: ['a'] });
    const { payload } = await jwtVerify((await told('/token', headers))!, ec.publicKey, {
      issuer: 'aya',
      audience: 'fleet',
    });
    expect(payload).toMatchObject({ sub: 'ada', scope: 'read write', route: 'token', groups: ['a'] });
  });

  it('is of one caller: others have their own', async () => {
    const [ada, grace, again] = await Promise.all([
      told('/token', bearer({ sub: 'ada' })),
      told('/token', bearer({ sub: 'grace' })),
      told('/token', bearer({ sub: 'ada', jti: 'another' })),
    ]);
    expect(ada).toBe(again);
    expect(ada).not.toBe(grace);
  });

  it('is not there for nobody, also when the client brings one', async () => {
    const made = await told('/key', { 'x-api-key': 'mobile-key' });
    expect(await told('/key', { 'x-aya-identity': made! })).toBeUndefined();
  });

  it('leaves its key nowhere to be seen', async () => {
    const body = pem(ec.privateKey).split('\n')[1]!;
    for (const path of ['/config', '/metrics', '/pools', '/routes']) {
      expect((await gateway.admin(path)).body).not.toContain(body);
    }
    expect(JSON.stringify(gateway.logs)).not.toContain(body);
  });

  it('is signed with the new key after a reload', async () => {
    const next = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    await gateway.write('../identity.pem', pem(next.privateKey));
    await gateway.reload();
    await jwtVerify((await told('/key', { 'x-api-key': 'mobile-key' }))!, next.publicKey);
  });

  it.each([
    ['RS256', pem(generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey)],
    ['EdDSA', pem(generateKeyPairSync('ed25519').privateKey)],
    [
      'PS512',
      generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ type: 'pkcs1', format: 'pem' }) as string,
    ],
    [
      'ES384',
      generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey.export({ type: 'sec1', format: 'pem' }) as string,
    ],
  ])('is signed with %s', async (algorithm, key) => {
    const { createPublicKey } = await import('node:crypto');
    const identity = { jwt: { key: 'identity.pem', algorithm, header: 'x-aya-identity' } };
    const other = await gatewayFixture({
      gateway: { consumers, identity },
      files: { ...files(), '../identity.pem': key },
    });
    const made = await told('/key', { 'x-api-key': 'mobile-key' }, other);
    await expect(jwtVerify(made!, createPublicKey(key), { algorithms: [algorithm] })).resolves.toBeDefined();
  });

  it('is signed with a secret', async () => {
    const identity = { jwt: { secret: SECRET, algorithm: 'HS256', issuer: 'gateway' } };
    const other = await gatewayFixture({ gateway: { consumers, identity }, files: files() });
    const made = await told('/key', { 'x-api-key': 'mobile-key' }, other);
    const { payload } = await jwtVerify(made!, Buffer.from(SECRET), { issuer: 'gateway' });
    expect(payload.aud).toBeUndefined();
    expect((await other.admin('/config')).body).not.toContain(SECRET);
  });
});

describe('an identity that is refused at load', () => {
  const dir = mkdtempSync(join(tmpdir(), 'aya-identity-'));
  afterAll(() => rmSync(dir, { recursive: true, force: true }));
  const file = (name: string, text: string) => writeFileSync(join(dir, name), text);
  file('ec.pem', pem(ec.privateKey));
  file('public.pem', ec.publicKey.export({ type: 'spki', format: 'pem' }) as string);
  file('weak.pem', pem(generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey));
  const locked = { type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x' } as const;
  file('locked.pem', ec.privateKey.export(locked) as string);

  const told = async (jwt: object) => {
    const bytes = Buffer.from(JSON.stringify({ identity: { jwt } }));
    const { problems } = assemble(dir, [{ file: 'gateway.yaml', bytes }], { language: await scanLanguage() });
    return problems.map(formatProblem).join('\n');
  };

  it.each<[object, string]>([
    [{}, 'identity.jwt: needs one of key and secret'],
    [{ key: 'ec.pem', secret: SECRET }, 'identity.jwt: needs one of key and secret'],
    [{ key: 'absent.pem' }, "identity.jwt.key: file 'absent.pem' does not exist"],
    [{ key: 'public.pem' }, 'identity.jwt.key: holds no private key'],
    [{ key: 'locked.pem' }, 'that can be read without a passphrase'],
    [{ key: 'weak.pem', algorithm: 'RS256' }, 'identity.jwt.key: holds a key that is too weak'],
    [{ key: 'ec.pem', algorithm: 'RS256' }, 'identity.jwt.key: holds a key for ES256, not for RS256'],
    [{ key: 'ec.pem', algorithm: 'HS256' }, 'identity.jwt.algorithm: HS256 needs a secret'],
    [{ secret: SECRET }, 'identity.jwt: ES256 needs a key'],
    [{ secret: 'short', algorithm: 'HS256' }, 'identity.jwt.secret: has 5 bytes'],
    [{ key: 'ec.pem', ttl: '4s' }, 'identity.jwt.ttl: is shorter than 5s'],
    [{ key: 'ec.pem', header: 'authorization' }, 'field name that begins with x-aya-'],
    [{ key: 'ec.pem', header: 'x-aya-groups' }, 'field name that begins with x-aya-'],
    [{ key: 'ec.pem', algorithm: 'none' }, "'none'"],
  ])('%j', async (jwt, message) => {
    expect(await told(jwt)).toContain(message);
  });
});

it('is made anew when half its life is over, or the clock has gone back, and for a bounded number of callers', () => {
  const clock = new FakeClock();
  let signed = 0;
  const options = { header: 'x-aya-identity', ttl: 60_000 } as IdentityTokenConfig;
  const tokens = new IdentityTokens(options, 'orders', { sign: () => `token ${++signed}`, known: new Map() }, clock);
  const caller = (subject: string) =>
    ({ subject, consumer: undefined, groups: [], scopes: [] }) as unknown as Principal;
  expect(tokens.about(caller('ada'))).toBe('token 1');
  clock.advance(29_999);
  expect(tokens.about(caller('ada'))).toBe('token 1');
  clock.advance(1);
  expect(tokens.about(caller('ada'))).toBe('token 2');
  clock.stall(-3_600_000);
  expect(tokens.about(caller('ada'))).toBe('token 3');
  for (let other = 0; other < 8192; other++) tokens.about(caller(`caller ${other}`));
  const before = signed;
  tokens.about(caller('ada'));
  expect(signed).toBe(before + 1);
});

it('a name of nothing but spaces costs no more than another', () => {
  const fields: string[] = [];
  const sub = `a${' '.repeat(200_000)}b `;
  tellUpstream(
    { method: 'jwt', subject: sub, consumer: undefined, groups: [], scopes: [], claims: {}, ambient: false },
    fields,
  );
  expect(fields[1]).toBe(`${sub.slice(0, -1)}%20`);
});
