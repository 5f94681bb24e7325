/** Signed requests: the RFC's own examples, and what a forger may try. */
import { execFileSync } from 'node:child_process';
import { createHash, createHmac, sign as signWith, type KeyObject, createPrivateKey } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import type { SignatureKeyConfig } from '../../../src/config/schema.ts';
import type { Exchange } from '../../../src/data/exchange.ts';
import { hasOpenssl } from '../../../test/support/certificates.ts';
import { gatewayFixture, type GatewayFixture } from '../../../test/support/gateway.ts';
import { ask } from '../../../test/support/raw-client.ts';
import { startUpstream, type Echo, type Upstream } from '../../../test/support/upstream.ts';
import { signatureBase } from './base.ts';
import { hasDigest } from './digest.ts';
import { verifierOf } from './keys.ts';
import { readSignatures } from './message.ts';

const KEYS = {
  hmac: {
    id: 'test-shared-secret',
    algorithm: 'hmac-sha256',
    secret: Buffer.from(
      'uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ==',
      'base64',
    ),
  },
  ed25519: {
    id: 'test-key-ed25519',
    algorithm: 'ed25519',
    publicKey:
      '-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAJrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs=\n-----END PUBLIC KEY-----',
  },
} as const;

/** RFC 9421, Appendix B.2: the test request. */
const fields: Record<string, string> = {
  date: 'Tue, 20 Apr 2021 02:07:55 GMT',
  'content-type': 'application/json',
  'content-length': '18',
};
const example = {
  method: 'POST',
  scheme: 'https',
  authority: 'example.com',
  path: '/foo',
  search: 'param=Value&Pet=dog',
  target: '/foo?param=Value&Pet=dog',
  header: (name: string) => fields[name],
} as unknown as Exchange;

function verifies(key: object, input: string, signature: string): boolean {
  const [message] = readSignatures(input, signature)!;
  const base = signatureBase(example, message!.covered);
  return verifierOf(key as SignatureKeyConfig)(Buffer.from(base!, 'latin1'), message!.signature);
}

describe('the examples of RFC 9421', () => {
  it('B.2.5: a shared secret', () => {
    const input = 'sig-b25=("date" "@authority" "content-type");created=1618884473;keyid="test-shared-secret"';
    const signature = 'sig-b25=:pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=:';
    expect(verifies(KEYS.hmac, input, signature)).toBe(true);
    expect(verifies(KEYS.hmac, input.replace('1618884473', '1618884474'), signature)).toBe(false);
  });

  it('B.2.6: Ed25519', () => {
    const input =
      'sig-b26=("date" "@method" "@path" "@authority" "content-type" "content-length")' +
      ';created=1618884473;keyid="test-key-ed25519"';
    const signature =
      'sig-b26=:wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==:';
    expect(verifies(KEYS.ed25519, input, signature)).toBe(true);
    expect(verifies(KEYS.ed25519, input.replace('"@path"', '"@query"'), signature)).toBe(false);
  });
});

describe('the signature base', () => {
  const baseOf = (components: string) => {
    const [message] = readSignatures(`s=(${components});created=1;keyid="k"`, 's=:AA==:')!;
    return signatureBase(example, message!.covered);
  };

  it('tells each derived component as RFC 9421 §2.2 wants it', () => {
    expect(baseOf('"@target-uri" "@query" "@scheme" "@query-param";name="Pet"')?.split('\n').slice(0, 4)).toEqual([
      '"@target-uri": https://example.com/foo?param=Value&Pet=dog',
      '"@query": ?param=Value&Pet=dog',
      '"@scheme": https',
      '"@query-param";name="Pet": dog',
    ]);
  });

  it.each([
    ['a field that is not there', '"x-none"'],
    ['a component twice', '"@method" "@method"'],
    ['a component nobody knows', '"@status"'],
    ['itself', '"@signature-params"'],
    ['a field with a parameter', '"date";bs'],
    ['upper case', '"Date"'],
    ['a parameter of the query that is not there', '"@query-param";name="none"'],
    ['a token', 'date'],
  ])('cannot be told with %s', (_, components) => {
    expect(baseOf(components)).toBeUndefined();
  });
});

describe('a Content-Digest', () => {
  const body = Buffer.from('{"hello": "world"}');
  const sha256 = createHash('sha256').update(body).digest('base64');
  it('is compared with the body', () => {
    expect(hasDigest(`sha-256=:${sha256}:`, body)).toBe(true);
    expect(hasDigest(`sha-256=:${sha256}:`, Buffer.from('{}'))).toBe(false);
    expect(hasDigest(`md5=:AAAA:, sha-256=:${sha256}:`, body)).toBe(true);
  });
  it.each(['', 'md5=:AAAA:', `sha-256=:${sha256.slice(4)}:`, `sha-256=${sha256}`, 'sha-256', undefined])(
    'is not believed: %s',
    (field) => expect(hasDigest(field, body)).toBe(false),
  );
});

// --- through the gateway ---------------------------------------------------------------------------------------------

const SECRET = 'a-shared-secret-of-more-than-32-bytes';
const ALGORITHMS = {
  'ecdsa-p256-sha256': ['ec', 'ec_paramgen_curve:P-256'],
  'ecdsa-p384-sha384': ['ec', 'ec_paramgen_curve:P-384'],
  'rsa-pss-sha512': ['rsa', 'rsa_keygen_bits:2048'],
  ed25519: ['ed25519', undefined],
} as const;

/** By somebody else's tool. */
function opensslKey([type, option]: readonly [string, string | undefined]): { pem: string; publicPem: string } {
  const pem = execFileSync(
    'openssl',
    ['genpkey', '-algorithm', type, ...(option === undefined ? [] : ['-pkeyopt', option])],
    { stdio: ['ignore', 'pipe', 'ignore'] },
  ).toString();
  return { pem, publicPem: execFileSync('openssl', ['pkey', '-pubout'], { input: pem }).toString() };
}

const FILE = 'plugins/auth/signature/signature.test.ts';
const keys = Object.entries(hasOpenssl(FILE) ? ALGORITHMS : {}).map(([algorithm, how]) => ({
  algorithm,
  ...opensslKey(how),
}));

let gateway: GatewayFixture;
let upstream: Upstream;

beforeAll(async () => {
  upstream = await startUpstream('orders');
  const signatureKeys = [
    { id: 'hmac', algorithm: 'hmac-sha256', secret: SECRET },
    { id: 'old', algorithm: 'hmac-sha256', secret: SECRET, expires: '2020-01-01' },
    ...keys.map(({ algorithm, publicPem }) => ({ id: algorithm, algorithm, publicKey: publicPem })),
  ];
  gateway = await gatewayFixture({
    gateway: { consumers: [{ name: 'mobile', groups: ['partners'], signatureKeys }] },
    files: {
      'orders.yaml': {
        pools: { orders: { endpoints: [upstream.url] } },
        routes: [
          { name: 'signed', match: { path: '/signed/*' }, pool: 'orders', auth: { signature: {}, failures: false } },
          {
            name: 'once',
            match: { path: '/once/*' },
            pool: 'orders',
            auth: { signature: { nonce: true }, failures: false },
          },
        ],
      },
    },
  });
});

interface Signing {
  readonly method?: string;
  readonly target?: string;
  readonly body?: string;
  readonly components?: string;
  readonly keyId?: string;
  readonly created?: number;
  readonly parameters?: string;
  readonly sign?: (base: string) => Buffer;
  /** What is sent in place of what was signed. */
  readonly sent?: { readonly target?: string; readonly method?: string; readonly body?: string };
  readonly fields?: readonly string[];
}

const hmac = (base: string) => createHmac('sha256', SECRET).update(base).digest();

function bytesOf({
  method = 'GET',
  target = '/signed/7?a=1',
  body = '',
  components = '"@method" "@authority" "@path" "@query"',
  keyId = 'hmac',
  created = Math.floor(Date.now() / 1000),
  parameters = '',
  sign = hmac,
  sent = {},
  fields: more = [],
}: Signing): string {
  const digest = `sha-256=:${createHash('sha256').update(body).digest('base64')}:`;
  const covered = `(${components}${body === '' ? '' : ' "content-digest"'});created=${created};keyid="${keyId}"${parameters}`;
  const [path = '', query = ''] = target.split('?');
  const known: Record<string, string> = {
    '"@method"': method,
    '"@authority"': 'api.test',
    '"@path"': path,
    '"@query"': `?${query}`,
    '"content-digest"': digest,
  };
  const names = covered.slice(1, covered.indexOf(')')).split(' ');
  const base = [...names.map((name) => `${name}: ${known[name]}`), `"@signature-params": ${covered}`].join('\n');
  const sentBody = sent.body ?? body;
  return [
    `${sent.method ?? method} ${sent.target ?? target} HTTP/1.1`,
    'Host: api.test',
    'Connection: close',
    ...(body === '' ? [] : [`Content-Digest: ${digest}`]),
    ...(sentBody === '' ? [] : [`Content-Length: ${sentBody.length}`]),
    `Signature-Input: s=${covered}`,
    `Signature: s=:${sign(base).toString('base64')}:`,
    ...more,
    '',
    sentBody,
  ].join('\r\n');
}

async function send(signing: Signing) {
  const { responses } = await ask(gateway.port, bytesOf(signing), { answers: 1 });
  return responses[0]!;
}

function signerOf(algorithm: string, key: KeyObject) {
  const digests: Record<string, string | null> = {
    'ecdsa-p256-sha256': 'sha256',
    'ecdsa-p384-sha384': 'sha384',
    'rsa-pss-sha512': 'sha512',
    ed25519: null,
  };
  const padding = algorithm === 'rsa-pss-sha512' ? { padding: 6, saltLength: 64 } : {};
  return (base: string) =>
    signWith(digests[algorithm]!, Buffer.from(base), { key, dsaEncoding: 'ieee-p1363', ...padding });
}

describe('a signed request', () => {
  it('passes, and the upstream learns whose it is', async () => {
    const answer = await send({});
    expect(answer.status).toBe(200);
    const echo = JSON.parse(answer.text()) as Echo;
    expect(echo.fields.join('\n')).toMatch(/x-aya-consumer\nmobile/);
  });

  it.skipIf(keys.length === 0).each(keys)('may be signed with $algorithm', async ({ algorithm, pem }) => {
    const sign = signerOf(algorithm, createPrivateKey(pem));
    expect((await send({ keyId: algorithm, sign })).status).toBe(200);
    // The key of one algorithm does not verify the words of another.
    expect((await send({ keyId: 'hmac', sign })).status).toBe(401);
  });

  it('passes with its body', async () => {
    const answer = await send({ method: 'POST', body: '{"a":1}' });
    expect((JSON.parse(answer.text()) as Echo).body).toBe('{"a":1}');
  });

  it.each<[string, Signing]>([
    ['another path', { sent: { target: '/signed/8?a=1' } }],
    ['another query', { sent: { target: '/signed/7?a=2' } }],
    ['another method', { sent: { method: 'DELETE' } }],
    ['another body', { method: 'POST', body: 'abc', sent: { body: 'abd' } }],
    ['its body taken away', { method: 'POST', body: 'abc', sent: { body: '' } }],
    ['a body that was not signed', { method: 'POST', sent: { body: 'abc' } }],
    ['a component that is not covered', { components: '"@method" "@path"' }],
    ['a key that nobody has', { keyId: 'none' }],
    ['a key that has expired', { keyId: 'old' }],
    ['another algorithm than the key’s', { parameters: ';alg="ed25519"' }],
    ['a date in the future', { created: Math.floor(Date.now() / 1000) + 3600 }],
    ['a signature that is empty', { sign: () => Buffer.alloc(0) }],
    ['a signature of zeros', { sign: () => Buffer.alloc(32) }],
    ['a key for ECDSA and a signature of zeros', { keyId: 'ecdsa-p256-sha256', sign: () => Buffer.alloc(64) }],
    ['a second Signature-Input that breaks the first', { fields: ['Signature-Input: s=("@method'] }],
  ])('is refused with %s', async (_, signing) => {
    const answer = await send(signing);
    expect(answer.status).toBe(401);
    expect(answer.text()).not.toContain(SECRET);
  });

  it('is refused when it is too old', async () => {
    expect((await send({ created: Math.floor(Date.now() / 1000) - 3600 })).status).toBe(401);
    expect((await send({ parameters: `;expires=${Math.floor(Date.now() / 1000) - 60}` })).status).toBe(401);
  });

  it('is taken once, where it must carry a nonce', async () => {
    const target = '/once/7';
    const nonce = (text: string) => ({ target, parameters: `;nonce="${text}"` });
    expect((await send({ target })).status).toBe(401);
    const replayed = bytesOf(nonce('one'));
    const statuses = [];
    for (let time = 0; time < 2; time++) {
      statuses.push((await ask(gateway.port, replayed, { answers: 1 })).responses[0]!.status);
    }
    expect(statuses).toEqual([200, 401]);
    expect((await send(nonce('two'))).status).toBe(200);
  });
});
