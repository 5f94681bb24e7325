/** What is refused before it could serve. */
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { scanLanguage } from '../../../src/config/language.ts';
import { assemble } from '../../../src/config/load.ts';
import { formatProblem } from '../../../src/config/problem.ts';

const language = await scanLanguage();
const dir = mkdtempSync(join(tmpdir(), 'aya-jwt-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const file = (name: string, text: string) => writeFileSync(join(dir, name), text);
const rsa = (modulusLength: number) => generateKeyPairSync('rsa', { modulusLength });
const pem = ({ publicKey }: ReturnType<typeof rsa>) => publicKey.export({ type: 'spki', format: 'pem' }) as string;
const strong = rsa(2048);
file('rsa.pem', pem(strong));
file('weak.pem', pem(rsa(1024)));
file('private.pem', strong.privateKey.export({ type: 'pkcs8', format: 'pem' }) as string);
file(
  'ec.pem',
  generateKeyPairSync('ec', { namedCurve: 'P-384' }).publicKey.export({ type: 'spki', format: 'pem' }) as string,
);
file('x25519.pem', generateKeyPairSync('x25519').publicKey.export({ type: 'spki', format: 'pem' }) as string);
file('nonsense.pem', 'nonsense');

/** What `aya check` says of it. */
function told(jwt: object): string[] {
  const routes = [{ name: 'orders', match: { path: '/' }, pool: 'orders', auth: { jwt } }];
  const text = JSON.stringify({ pools: { orders: { endpoints: ['http://10.0.0.1'] } }, routes });
  const { problems } = assemble(dir, [{ file: 'routes.d/orders.yaml', bytes: Buffer.from(text) }], { language });
  return problems.map(formatProblem).map((line) => line.replace(/^routes\.d\/orders\.yaml:\d+:\d+: error: /, ''));
}

const https = { jwksUri: 'https://id.example.com/keys' };
const secret = 'x'.repeat(32);

describe('options that are refused', () => {
  it.each<[string, object, string]>([
    [
      'no keys',
      { issuer: 'a' },
      'auth.jwt: needs one source of keys, and only one: jwksUri, discovery, publicKey, secret',
    ],
    ['two kinds of keys', { ...https, secret }, 'auth.jwt: needs one source of keys, and only one'],
    ['none', { ...https, algorithms: ['none'] }, "'none'"],
    ['an unknown algorithm', { ...https, algorithms: ['RS255'] }, "'RS255'"],
    ['no algorithm at all', { ...https, algorithms: [] }, 'expected at least 1 in this list, got none'],
    [
      'a secret among public keys',
      { ...https, algorithms: ['RS256', 'HS256'] },
      'auth.jwt.algorithms: HS256 needs a secret',
    ],
    [
      'a public key among secrets',
      { secret, algorithms: ['HS256', 'RS256'] },
      'RS256 needs a public key, not a secret',
    ],
    ['a short secret', { secret: 'x'.repeat(31) }, 'auth.jwt.secret: has 31 bytes: RFC 7518 §3.2 asks for at least 32'],
    ['a secret too short for its hash', { secret: 'x'.repeat(63), algorithms: ['HS256', 'HS512'] }, 'at least 64'],
    ['an empty secret', { secret: '' }, 'expected text, got none'],
    ['keys over http', { jwksUri: 'http://id.example.com/keys' }, "'http://id.example.com/keys' is not https"],
    ['keys from a file', { jwksUri: 'file:///keys' }, 'is not https'],
    ['no URL', { jwksUri: 'id.example.com/keys' }, "'id.example.com/keys' is not a URL"],
    ['a URL with a password', { jwksUri: 'https://a:b@id.example.com/keys' }, 'holds a user name'],
    ['discovery without an issuer', { discovery: true }, 'auth.jwt.discovery: needs the issuer'],
    ['discovery of no URL', { discovery: true, issuer: 'id' }, "auth.jwt.issuer: 'id' is not a URL"],
    ['a clock that is far off', { ...https, clockTolerance: '61s' }, 'auth.jwt.clockTolerance: is more than 60s'],
    ['a file that is not there', { publicKey: 'absent.pem' }, "auth.jwt.publicKey: file 'absent.pem' does not exist"],
    ['a file elsewhere', { publicKey: '../other.pem' }, "leads out of the configuration's directory"],
    ['a file without a key', { publicKey: 'nonsense.pem' }, 'auth.jwt.publicKey: holds no public key'],
    ['a private key', { publicKey: 'private.pem' }, 'auth.jwt.publicKey: holds a private key: give the public one'],
    ['a weak key', { publicKey: 'weak.pem' }, 'too weak'],
    ['a key that signs nothing', { publicKey: 'x25519.pem' }, 'of a kind that signs no tokens'],
    ['a key of another kind', { publicKey: 'ec.pem' }, 'holds a key for ES384, none of which is accepted'],
    ['a key for another algorithm', { publicKey: 'rsa.pem', algorithms: ['ES256'] }, 'none of which is accepted'],
    [
      'a key beside providers',
      { secret, providers: [https] },
      'auth.jwt.secret: is each provider’s own: move it there',
    ],
    ['a provider without an issuer', { providers: [https] }, 'auth.jwt.providers.0: needs an issuer'],
    [
      'an issuer twice',
      {
        providers: [
          { ...https, issuer: 'a' },
          { secret, issuer: 'a' },
        ],
      },
      "auth.jwt.providers.1.issuer: 'a' has a provider already",
    ],
    [
      'a provider’s short secret',
      { providers: [{ issuer: 'a', secret: 'x' }] },
      'auth.jwt.providers.0.secret: has 1 bytes',
    ],
    ['a scope with a space', { ...https, scopes: ['a b'] }, 'expected a scope'],
    ['an unknown key', { ...https, jwksUrl: 'https://id.example.com' }, 'jwksUri'],
  ])('%s', (_, jwt, message) => {
    const all = told(jwt);
    expect(all.join('\n')).toContain(message);
    expect(all).toHaveLength(1);
  });

  it('say nothing of the secret', () => {
    expect(told({ secret: 'hunter2' }).join()).not.toContain('hunter2');
  });
});

describe('options that are accepted', () => {
  it.each<[string, object]>([
    ['keys over https', https],
    ['keys over http on this machine', { jwksUri: 'http://127.0.0.1:8080/keys' }],
    ['keys over http on this machine, by name', { jwksUri: 'http://localhost:8080/keys' }],
    ['discovery', { issuer: 'https://id.example.com/', discovery: true }],
    ['a secret', { secret }],
    ['a file', { publicKey: 'rsa.pem' }],
    ['a file with its algorithm', { publicKey: 'ec.pem', algorithms: ['ES384'] }],
    [
      'providers that share what stands beside them',
      {
        audience: 'a',
        providers: [
          { ...https, issuer: 'a' },
          { secret, issuer: 'b' },
        ],
      },
    ],
  ])('%s', (_, jwt) => {
    expect(told(jwt)).toEqual([]);
  });
});
