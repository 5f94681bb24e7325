/**
 * Forged tokens: each with the status that it must get. Those that are right in all but one way are signed with the real
 * key, so that only that one way can be why they are refused; some are unusual but right, so that refusing all is no answer.
 */
import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { gatewayFixture, type GatewayFixture } from '../../../test/support/gateway.ts';
import {
  base64url,
  ecdsa,
  eddsa,
  hmac,
  pss,
  rsa,
  startKeyServer,
  token,
  type KeyServer,
  type Part,
} from '../../../test/support/tokens.ts';
import { startUpstream, type Upstream } from '../../../test/support/upstream.ts';

const ISSUER = 'https://id.example.com';
const SECRET = 'a-secret-of-thirty-two-bytes-or-more';
const NOW = Math.floor(Date.now() / 1000);
const CLAIMS = { iss: ISSUER, aud: 'orders', sub: 'ada', iat: NOW, exp: NOW + 600 };

const rsaPair = () => generateKeyPairSync('rsa', { modulusLength: 2048 });
const ecPair = (namedCurve: string) => generateKeyPairSync('ec', { namedCurve });
const [real, foreign, forPss] = [rsaPair(), rsaPair(), rsaPair()];
const [weak, tiny] = [1024, 512].map((modulusLength) => generateKeyPairSync('rsa', { modulusLength })) as [Pair, Pair];
const [p256, foreignP256, p384, p521, k256] = ['P-256', 'P-256', 'P-384', 'P-521', 'secp256k1'].map(ecPair) as [
  Pair,
  Pair,
  Pair,
  Pair,
  Pair,
];
const ed = generateKeyPairSync('ed25519');
interface Pair {
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

const jwk = ({ publicKey }: Pair, kid: string, more: object = {}) => ({
  ...publicKey.export({ format: 'jwk' }),
  kid,
  ...more,
});
const KEYS = [
  jwk(real, 'rsa', { use: 'sig' }),
  jwk(p256, 'p256'),
  jwk(p384, 'p384'),
  jwk(p521, 'p521'),
  jwk(ed, 'ed', { key_ops: ['verify'] }),
  jwk(forPss, 'pss', { alg: 'PS256' }),
  jwk(real, 'encrypts', { use: 'enc' }),
  jwk(real, 'wraps', { key_ops: ['wrapKey'] }),
  jwk(real, 'one', { e: 'AQ' }),
  jwk(weak, 'weak'),
  jwk(tiny, 'tiny'),
  jwk(k256, 'k256'),
  { ...real.privateKey.export({ format: 'jwk' }), kid: 'private' },
  { kty: 'oct', kid: 'oct', k: base64url(SECRET) },
  { kty: 'RSA', kid: 'broken', n: '!', e: 'AQAB' },
  null,
];
const PEM = real.publicKey.export({ type: 'spki', format: 'pem' }) as string;

let gateway: GatewayFixture;
let issuer: KeyServer;
let canary: Upstream;
/** Where forged tokens say that the keys are. */
const canaryUrl = () => `${canary.url}/keys`;

beforeAll(async () => {
  issuer = await startKeyServer(KEYS);
  canary = await startUpstream('canary');
  const upstream = await startUpstream('orders');
  const trusted = { issuer: ISSUER, audience: ['orders', 'billing'], jwksUri: `${issuer.url}/keys` };
  const all = ['RS256', 'RS384', 'PS256', 'ES256', 'ES384', 'ES512', 'EdDSA'];
  const routes: Record<string, object> = {
    '/rs': { ...trusted, algorithms: ['RS256'] },
    '/any': { ...trusted, algorithms: all },
    '/hs': { issuer: ISSUER, audience: 'orders', secret: SECRET },
    '/pem': { issuer: ISSUER, audience: 'orders', publicKey: PEM },
    '/exact': { ...trusted, clockTolerance: '0s', maxAge: '10m', requiredClaims: ['exp', 'sub'] },
    '/typed': { ...trusted, typ: 'at+jwt' },
    '/cookie': { ...trusted, cookie: 'session', query: 'access_token' },
    '/both': { providers: [trusted, { issuer: 'https://other.example.com', audience: 'orders', secret: SECRET }] },
  };
  gateway = await gatewayFixture({
    gateway: { defaults: { auth: { failures: false } } },
    files: {
      'orders.yaml': {
        pools: { orders: { endpoints: [upstream.url] } },
        routes: Object.entries(routes).map(([path, jwt]) => ({
          name: path.slice(1),
          match: { path },
          pool: 'orders',
          auth: { jwt },
        })),
      },
    },
  });
});

interface Case {
  readonly path?: string;
  /** 401 unless it is right. */
  readonly status?: number;
  readonly token: string | (() => string);
}

// --- makers ----------------------------------------------------------------------------------------------------------

/** Signed with the issuer's RSA key, right but for what is said. */
const signed = (claims: object, header: object = {}) =>
  token({ alg: 'RS256', kid: 'rsa', ...header }, { ...CLAIMS, ...claims }, rsa(real.privateKey));
/** The same with the text of a part. */
const spelled = (header: Part, payload: Part) => token(header, payload, rsa(real.privateKey));
const without = (name: string) =>
  spelled(HEADER, Object.fromEntries(Object.entries(CLAIMS).filter(([key]) => key !== name)));
/** A payload in which one claim is spelled in a way that JSON.stringify does not know. */
const withClaim = (name: string, json: string) =>
  spelled(HEADER, JSON.stringify({ ...CLAIMS, [name]: 0 }).replace(`"${name}":0`, `"${name}":${json}`));

const HEADER = { alg: 'RS256', kid: 'rsa' };
const ES = { alg: 'ES256', kid: 'p256' };
const GOOD = signed({});
const [GOOD_HEADER, GOOD_PAYLOAD, GOOD_SIGNATURE] = GOOD.split('.') as [string, string, string];
const cases = (group: string, path: string, all: Record<string, string | Case>): [string, Case][] =>
  Object.entries(all).map(([name, each]) => [
    `${group}: ${name}`,
    { path, ...(typeof each === 'string' ? { token: each } : each) },
  ]);
const right = (made: string | (() => string), path?: string): Case => ({
  token: made,
  status: 200,
  ...(path && { path }),
});

const unsigned = (alg: unknown) => `${base64url({ alg, kid: 'rsa' })}.${GOOD_PAYLOAD}`;
const nones = cases('no signature', '/any', {
  none: `${unsigned('none')}.`,
  None: `${unsigned('None')}.`,
  NONE: `${unsigned('NONE')}.`,
  nOnE: `${unsigned('nOnE')}.`,
  'none with the signature of another': `${unsigned('none')}.${GOOD_SIGNATURE}`,
  'none with a signature of nothing': `${unsigned('none')}.AA`,
  'none without the last dot': unsigned('none'),
  'an empty algorithm': token({ alg: '', kid: 'rsa' }, CLAIMS, rsa(real.privateKey)),
  'no algorithm': token({ kid: 'rsa' }, CLAIMS, rsa(real.privateKey)),
  'null for an algorithm': signed({}, { alg: null }),
  'a list of algorithms': signed({}, { alg: ['RS256'] }),
  'a number for an algorithm': signed({}, { alg: 256 }),
  'rs256 in lower case': signed({}, { alg: 'rs256' }),
  'an algorithm and a space': signed({}, { alg: 'RS256 ' }),
  'the right algorithm with its signature cut off': `${GOOD_HEADER}.${GOOD_PAYLOAD}.`,
});

const hs = (secret: string | Buffer, alg = 'HS256', kid: unknown = 'rsa') =>
  token({ alg, kid }, CLAIMS, hmac(secret, `sha${alg.slice(2)}`));
const der = real.publicKey.export({ type: 'spki', format: 'der' });
const confusions = [
  ...cases('the public key as a secret', '/any', {
    'in PEM': hs(PEM),
    'in PEM without the last newline': hs(PEM.trim()),
    'in PEM after a newline': hs(`\n${PEM}`),
    'in PEM after spaces': hs(`  ${PEM}`),
    'in PEM with CRLF': hs(PEM.replaceAll('\n', '\r\n')),
    'in PEM, HS384': hs(PEM, 'HS384'),
    'in PEM, HS512': hs(PEM, 'HS512'),
    'in DER': hs(der),
    'as PKCS#1': hs(real.publicKey.export({ type: 'pkcs1', format: 'pem' })),
    'as JWK': hs(JSON.stringify(KEYS[0])),
    'as JWK set': hs(JSON.stringify({ keys: KEYS })),
    'its modulus': hs(Buffer.from((KEYS[0] as { n: string }).n, 'base64url')),
    'a secret that the key set holds': hs(SECRET, 'HS256', 'oct'),
  }),
  ...cases('the public key of a file as a secret', '/pem', {
    'the right token': right(signed({}, { kid: undefined })),
    'a right token that names any key': right(signed({}, { kid: 'whatever' })),
    'in PEM': hs(PEM),
    'in PEM after a newline': hs(`\n${PEM}`),
    'a private key of somebody else': token(HEADER, CLAIMS, rsa(foreign.privateKey)),
  }),
  ...cases('a secret', '/hs', {
    'the right one': right(hs(SECRET)),
    empty: hs(''),
    'a zero byte': hs('\0'),
    cut: hs(SECRET.slice(0, -1)),
    'and more': hs(`${SECRET}\n`),
    'in another hash': hs(SECRET, 'HS512'),
    'another hash than its header says': token({ alg: 'HS256' }, CLAIMS, hmac(SECRET, 'sha512')),
    'half of the signature': hs(SECRET).slice(0, -22),
    'RS256 with a key of its own': signed({}, { jwk: jwk(foreign, 'mine') }),
    'the file that the token names': hs('', 'HS256', '/dev/null'),
  }),
];

const own = (header: object) => token({ ...HEADER, ...header }, CLAIMS, rsa(foreign.privateKey));
const keys = cases('keys', '/any', {
  'the right one': right(GOOD),
  'no name: every key that fits is tried': right(signed({}, { kid: undefined })),
  'another key under the name': own({}),
  'another key without a name': own({ kid: undefined }),
  'another elliptic key under the name': token(ES, CLAIMS, ecdsa(foreignP256.privateKey)),
  'the name of a key of another kind': signed({}, { kid: 'p256' }),
  'an unknown name': signed({}, { kid: 'unknown' }),
  'a path': own({ kid: '../../../../dev/null' }),
  'a URL': { token: () => own({ kid: canaryUrl() }) },
  'a statement': own({ kid: "rsa' OR '1'='1" }),
  'a command': own({ kid: 'rsa|id' }),
  'an empty name': signed({}, { kid: '' }),
  'a name in other case': signed({}, { kid: 'RSA' }),
  'a number for a name': signed({}, { kid: 0 }),
  'null for a name': signed({}, { kid: null }),
  'a list for a name': signed({}, { kid: ['rsa'] }),
  'an object for a name': signed({}, { kid: { rsa: true } }),
  __proto__: own({ kid: '__proto__' }),
  constructor: own({ kid: 'constructor' }),
  'a key for encrypting': signed({}, { kid: 'encrypts' }),
  'a key for wrapping': signed({}, { kid: 'wraps' }),
  'a key for PS256 alone': token({ alg: 'RS256', kid: 'pss' }, CLAIMS, rsa(forPss.privateKey)),
  'a private key that was published': signed({}, { kid: 'private' }),
  'a key of 1024 bits': token({ alg: 'RS256', kid: 'weak' }, CLAIMS, rsa(weak.privateKey)),
  'a key of 512 bits': token({ alg: 'RS256', kid: 'tiny' }, CLAIMS, rsa(tiny.privateKey)),
  'a key with the exponent 1': token({ alg: 'RS256', kid: 'one' }, CLAIMS, withExponentOne),
  'a curve that ES256 does not mean': token({ alg: 'ES256', kid: 'k256' }, CLAIMS, ecdsa(k256.privateKey)),
  'keys at a URL of its own (jku)': { token: () => own({ jku: canaryUrl(), kid: 'mine' }) },
  'keys at a URL under a known name': { token: () => own({ jku: canaryUrl() }) },
  'a certificate at a URL of its own (x5u)': { token: () => own({ x5u: canaryUrl() }) },
  'a key that it brings (jwk)': own({ jwk: jwk(foreign, 'rsa') }),
  'a certificate that it brings (x5c)': own({ x5c: [der.toString('base64')] }),
  'a URL that nobody follows, with the right key': right(() => signed({}, { jku: canaryUrl(), x5u: canaryUrl() })),
});

/** Whoever's exponent is 1 needs no key: the signature is what it says (RFC 8017 §9.2). */
function withExponentOne(input: string): Buffer {
  const info = Buffer.from('3031300d060960864801650304020105000420', 'hex');
  const digest = Buffer.concat([info, createHash('sha256').update(input).digest()]);
  return Buffer.concat([Buffer.from([0, 1]), Buffer.alloc(256 - 3 - digest.length, 0xff), Buffer.from([0]), digest]);
}

const criticals = cases('critical', '/any', {
  'something unknown': signed({}, { crit: ['x-mine'], 'x-mine': true }),
  'something that is not there': signed({}, { crit: ['x-mine'] }),
  'nothing at all': signed({}, { crit: [] }),
  null: signed({}, { crit: null }),
  'a text': signed({}, { crit: 'exp' }),
  exp: signed({}, { crit: ['exp'], exp: CLAIMS.exp }),
  alg: signed({}, { crit: ['alg'] }),
  'an unencoded payload': token({ ...HEADER, b64: false, crit: ['b64'] }, CLAIMS, rsa(real.privateKey)),
  'an unencoded payload that is not said to be critical': signed({}, { b64: false }),
  'an encoded payload, said so': signed({}, { b64: true, crit: ['b64'] }),
});

const text = JSON.stringify(CLAIMS);
const twice = cases('a name twice', '/any', {
  'alg, the last is right': spelled('{"alg":"none","alg":"RS256","kid":"rsa"}', CLAIMS),
  'alg, the first is right': spelled('{"alg":"RS256","alg":"none","kid":"rsa"}', CLAIMS),
  kid: spelled('{"alg":"RS256","kid":"x","kid":"rsa"}', CLAIMS),
  'alg, spelled in two ways': spelled('{"\\u0061lg":"none","alg":"RS256","kid":"rsa"}', CLAIMS),
  iss: spelled(HEADER, text.replace('{', '{"iss":"https://evil.example.com",')),
  aud: spelled(HEADER, text.replace('{', '{"aud":"other",')),
  exp: spelled(HEADER, text.replace('{', '{"exp":1,')),
  'inside a claim': spelled(HEADER, text.replace('{', '{"act":{"sub":"a","sub":"b"},')),
  'inside a list': spelled(HEADER, text.replace('{', '{"list":[1,{"a":"}","a":2}],')),
  'not: the same name in two objects': right(signed({ a: { sub: 'x' }, b: [{ sub: 'y' }, { sub: 'z' }] })),
  'not: a name as a value': right(signed({ a: 'sub', b: ['"sub":', 'sub'], 'c"': { 'sub"': 1 } })),
});

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
/** The same bytes for a lenient reader: bits that are left over are set. */
const loose = (part: string) => part.slice(0, -1) + ALPHABET[ALPHABET.indexOf(part.at(-1)!) + 1]!;
/** Padded with a claim until the last character has bits left over. */
const odd = [0, 1, 2]
  .map((length) => signed({ pad: 'x'.repeat(length) }).split('.') as [string, string, string])
  .find(([, payload]) => payload.length % 4 !== 0)!;
const esGood = token(ES, CLAIMS, ecdsa(p256.privateKey));
const [esHeader, esPayload, esSignature] = esGood.split('.') as [string, string, string];
const spelling = cases('spelling', '/any', {
  'padding after the signature': `${GOOD}==`,
  'padding after the payload': `${GOOD_HEADER}.${GOOD_PAYLOAD}=.${GOOD_SIGNATURE}`,
  'bits left over in the signature': `${GOOD_HEADER}.${GOOD_PAYLOAD}.${loose(GOOD_SIGNATURE)}`,
  'bits left over in the payload': `${odd[0]}.${loose(odd[1])}.${odd[2]}`,
  'a lone character after the signature': `${esHeader}.${esPayload}.${esSignature}AAA`,
  'the alphabet of plain base64': `${GOOD_HEADER}.${GOOD_PAYLOAD}.${Buffer.from(GOOD_SIGNATURE, 'base64url').toString('base64')}`,
  'a plus': `${GOOD_HEADER}.${GOOD_PAYLOAD}.+${GOOD_SIGNATURE.slice(1)}`,
  'a space inside': `${GOOD_HEADER}. ${GOOD_PAYLOAD}.${GOOD_SIGNATURE}`,
  'a tab inside': `${GOOD_HEADER}.\t${GOOD_PAYLOAD}.${GOOD_SIGNATURE}`,
  'a percent sign': GOOD.replace('.', '%2E'),
  'a dot before': `.${GOOD}`,
  'a dot after': `${GOOD}.`,
  'quotes around': `"${GOOD}"`,
  'two of them with a comma': `${GOOD},${GOOD}`,
  'two of them with a space': `${GOOD} ${GOOD}`,
});

const deep = (depth: number) => spelled(HEADER, text.replace('{', `{"deep":${'['.repeat(depth)}${']'.repeat(depth)},`));
const structures = cases('structure', '/any', {
  'nothing but dots': '..',
  'one part': GOOD_HEADER,
  'two parts': `${GOOD_HEADER}.${GOOD_PAYLOAD}`,
  'four parts': `${GOOD}.AAAA`,
  'five parts (JWE)': `${base64url({ alg: 'RSA-OAEP', enc: 'A256GCM' })}.AAAA.AAAA.AAAA.AAAA`,
  'no header': `.${GOOD_PAYLOAD}.${GOOD_SIGNATURE}`,
  'no payload': `${GOOD_HEADER}..${GOOD_SIGNATURE}`,
  'JSON instead of the compact form': JSON.stringify({
    protected: GOOD_HEADER,
    payload: GOOD_PAYLOAD,
    signature: GOOD_SIGNATURE,
  }),
  'a header that is a list': spelled('[{"alg":"RS256","kid":"rsa"}]', CLAIMS),
  'a header that is a text': spelled('"RS256"', CLAIMS),
  'a header that is null': spelled('null', CLAIMS),
  'a header with a comment': spelled('{"alg":"RS256"/**/,"kid":"rsa"}', CLAIMS),
  'a payload that is a list': spelled(HEADER, [CLAIMS]),
  'a payload that is null': spelled(HEADER, 'null'),
  'a payload that is a number': spelled(HEADER, '1'),
  'a payload that is a token (nested)': spelled({ ...HEADER, cty: 'JWT' }, GOOD),
  'a payload that is no JSON': spelled(HEADER, text.slice(0, -1)),
  'something after the payload': spelled(HEADER, `${text}{}`),
  'a byte order mark': spelled(HEADER, `\uFEFF${text}`),
  'bytes that are no UTF-8': spelled(
    HEADER,
    Buffer.concat([Buffer.from(text.slice(0, -1)), Buffer.from(',"x":"\xff"}', 'latin1')]),
  ),
  'a zero byte after the payload': spelled(HEADER, `${text}\0`),
  'a deep one': deep(1500),
  'one that is deeper than 32': deep(33),
  'one that is not': right(deep(20)),
  'one larger than 8 KiB': signed({ pad: 'x'.repeat(6000) }),
  'one that is not larger': right(signed({ pad: 'x'.repeat(5000) })),
  'the payload of one, the signature of another': `${GOOD_HEADER}.${base64url({ ...CLAIMS, sub: 'root' })}.${GOOD_SIGNATURE}`,
});

const parties = [
  ...cases('iss', '/any', {
    missing: without('iss'),
    another: signed({ iss: 'https://evil.example.com' }),
    'a list with the right one': signed({ iss: [ISSUER, 'https://evil.example.com'] }),
    'a list of the right one': signed({ iss: [ISSUER] }),
    cut: signed({ iss: ISSUER.slice(0, -1) }),
    'and more': signed({ iss: `${ISSUER}.evil.example.com` }),
    'with a slash': signed({ iss: `${ISSUER}/` }),
    'in other case': signed({ iss: ISSUER.toUpperCase() }),
    'with a space': signed({ iss: `${ISSUER} ` }),
    'with a zero byte': signed({ iss: `${ISSUER}\0` }),
    null: signed({ iss: null }),
    'an object': signed({ iss: { toString: ISSUER } }),
  }),
  ...cases('aud', '/any', {
    'another of ours': right(signed({ aud: 'billing' })),
    'a list with ours': right(signed({ aud: ['other', 'orders'] })),
    missing: without('aud'),
    another: signed({ aud: 'payments' }),
    cut: signed({ aud: 'order' }),
    'and more': signed({ aud: 'orders2' }),
    'in other case': signed({ aud: 'Orders' }),
    'a list without ours': signed({ aud: ['a', 'b'] }),
    'an empty list': signed({ aud: [] }),
    'a list with a number': signed({ aud: ['orders', 1] }),
    'a list in a list': signed({ aud: [['orders']] }),
    'a text with a comma': signed({ aud: 'other,orders' }),
    'a text with a space': signed({ aud: 'other orders' }),
    null: signed({ aud: null }),
    'an object': signed({ aud: { orders: true } }),
  }),
  ...cases('sub and jti', '/any', {
    'a number for sub': signed({ sub: 1 }),
    'null for sub': signed({ sub: null }),
    'a list for sub': signed({ sub: ['root'] }),
    'a number for jti': signed({ jti: 7 }),
  }),
  ...cases('bound to its client', '/any', {
    'a key that a proof would show': signed({ cnf: { jkt: '0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I' } }),
    'a certificate that was not shown': signed({ cnf: { 'x5t#S256': 'bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2' } }),
    'in a way that says nothing': right(signed({ cnf: {} })),
  }),
  ...cases('several issuers', '/both', {
    'the one with keys': right(GOOD),
    'the one with a secret': right(
      token({ alg: 'HS256' }, { ...CLAIMS, iss: 'https://other.example.com' }, hmac(SECRET)),
    ),
    'the one with keys, signed with the secret of the other': hs(SECRET),
    'the one with a secret, signed with a key of the other': signed({ iss: 'https://other.example.com' }),
    neither: signed({ iss: 'https://third.example.com' }),
    none: without('iss'),
  }),
];

const times = [
  ...cases('exp', '/any', {
    missing: without('exp'),
    past: signed({ exp: NOW - 3600 }),
    'past by less than clocks may differ': right(signed({ exp: NOW - 10 })),
    'past by more': signed({ exp: NOW - 31 }),
    zero: signed({ exp: 0 }),
    negative: signed({ exp: -1 }),
    'a text': signed({ exp: String(NOW + 600) }),
    'a date': signed({ exp: '2099-01-01T00:00:00Z' }),
    null: signed({ exp: null }),
    true: signed({ exp: true }),
    'a list': signed({ exp: [NOW + 600] }),
    'beyond all numbers': withClaim('exp', '1e999'),
    NaN: withClaim('exp', 'NaN'),
    'a fraction': right(signed({ exp: NOW + 600.5 })),
    'in another age': right(signed({ exp: 1e14 })),
  }),
  ...cases('nbf', '/any', {
    past: right(signed({ nbf: NOW - 10 })),
    'a moment ahead': right(signed({ nbf: NOW + 15 })),
    'an hour ahead': signed({ nbf: NOW + 3600 }),
    'a text': signed({ nbf: String(NOW) }),
    null: signed({ nbf: null }),
    'below all numbers': withClaim('nbf', '-1e999'),
  }),
  ...cases('iat', '/any', {
    missing: right(without('iat')),
    'a moment ahead': right(signed({ iat: NOW + 15 })),
    'an hour ahead': signed({ iat: NOW + 3600 }),
    'a text': signed({ iat: String(NOW) }),
    'beyond all numbers': withClaim('iat', '1e999'),
  }),
  ...cases('exactly', '/exact', {
    'the right one': right(GOOD),
    'past by ten seconds': signed({ exp: NOW - 10 }),
    'valid in ten minutes': signed({ nbf: NOW + 600 }),
    'older than maxAge': signed({ iat: NOW - 601 }),
    'without iat, which maxAge needs': without('iat'),
    'without a claim that is required': without('sub'),
  }),
];

const types = [
  ...cases('typ', '/any', {
    JWT: right(signed({}, { typ: 'JWT' })),
    'at+jwt': right(signed({}, { typ: 'at+jwt' })),
    'application/at+jwt': right(signed({}, { typ: 'application/at+JWT' })),
    'logout+jwt': signed({}, { typ: 'logout+jwt' }),
    'dpop+jwt': signed({}, { typ: 'dpop+jwt' }),
    'secevent+jwt': signed({}, { typ: 'secevent+jwt' }),
    'a list': signed({}, { typ: ['JWT'] }),
  }),
  ...cases('typ at+jwt', '/typed', {
    'at+jwt': right(signed({}, { typ: 'at+jwt' })),
    JWT: signed({}, { typ: 'JWT' }),
    none: GOOD,
  }),
];

const N = BigInt('0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551');
const half = (value: bigint) => Buffer.from(value.toString(16).padStart(64, '0'), 'hex');
const number = (bytes: Buffer) => BigInt(`0x${bytes.toString('hex')}`);
const es = (change: (r: Buffer, s: Buffer) => readonly Buffer[], header: object = ES) =>
  token(header, CLAIMS, (input) => {
    const signature = ecdsa(p256.privateKey)(input);
    return Buffer.concat([...change(signature.subarray(0, 32), signature.subarray(32))]);
  });
const ZERO = Buffer.alloc(32);
/** RFC 8032 §5.1.7: S is below the order of the group, or one token had many signatures. */
const L = 2n ** 252n + 27742317777372353535851937790883648493n;
const flipped = (at: number) => {
  const bytes = Buffer.from(GOOD_SIGNATURE, 'base64url');
  bytes[at]! ^= 1;
  return `${GOOD_HEADER}.${GOOD_PAYLOAD}.${bytes.toString('base64url')}`;
};
const edHeader = { alg: 'EdDSA', kid: 'ed' };
const edWith = (change: (signature: Buffer) => Buffer) =>
  token(edHeader, CLAIMS, (input) => change(eddsa(ed.privateKey)(input)));
const signatures = cases('signatures', '/any', {
  'the first bit': flipped(0),
  'the last bit': flipped(255),
  'shorter by a byte': `${GOOD_HEADER}.${GOOD_PAYLOAD}.${Buffer.from(GOOD_SIGNATURE, 'base64url').subarray(1).toString('base64url')}`,
  'with a zero byte before': `${GOOD_HEADER}.${GOOD_PAYLOAD}.${Buffer.concat([Buffer.alloc(1), Buffer.from(GOOD_SIGNATURE, 'base64url')]).toString('base64url')}`,
  'RS256 with SHA-1': token(HEADER, CLAIMS, rsa(real.privateKey, 'sha1')),
  'RS256 with SHA-512': token(HEADER, CLAIMS, rsa(real.privateKey, 'sha512')),
  'PS256 where RS256 is said': token(HEADER, CLAIMS, pss(real.privateKey)),
  'RS256 where PS256 is said': token({ ...HEADER, alg: 'PS256' }, CLAIMS, rsa(real.privateKey)),
  RS384: right(token({ ...HEADER, alg: 'RS384' }, CLAIMS, rsa(real.privateKey, 'sha384'))),
  PS256: right(token({ alg: 'PS256', kid: 'pss' }, CLAIMS, pss(forPss.privateKey))),
  'RS512, which is not accepted': token({ ...HEADER, alg: 'RS512' }, CLAIMS, rsa(real.privateKey, 'sha512')),
  ES256: right(esGood),
  'ES256 the other way round': es((r, s) => [s, r]),
  'ES256 in DER': token(ES, CLAIMS, ecdsa(p256.privateKey, 'sha256', 'der')),
  'ES256 of zeros': es(() => [ZERO, ZERO]),
  'ES256 with r of zeros': es((_, s) => [ZERO, s]),
  'ES256 with s of zeros': es((r) => [r, ZERO]),
  'ES256 of the order of the group': es(() => [half(N), half(N)]),
  'ES256 of ones': es(() => [half(1n), half(1n)]),
  'ES256 and a byte more': es((r, s) => [r, s, Buffer.alloc(1)]),
  'ES256 and a byte less': es((r, s) => [r, s.subarray(1)]),
  'ES256 with the other s, which RFC 7518 allows': right(es((r, s) => [r, half(N - number(s))])),
  'ES384 of a P-256 key': token({ alg: 'ES384', kid: 'p256' }, CLAIMS, ecdsa(p256.privateKey, 'sha384')),
  'ES256 of a P-384 key': token({ alg: 'ES256', kid: 'p384' }, CLAIMS, ecdsa(p384.privateKey)),
  ES384: right(token({ alg: 'ES384', kid: 'p384' }, CLAIMS, ecdsa(p384.privateKey, 'sha384'))),
  ES512: right(token({ alg: 'ES512', kid: 'p521' }, CLAIMS, ecdsa(p521.privateKey, 'sha512'))),
  EdDSA: right(edWith((signature) => signature)),
  'EdDSA of zeros': edWith(() => Buffer.alloc(64)),
  'EdDSA with a larger S': edWith((signature) => {
    const s = number(Buffer.from(signature.subarray(32)).reverse()) + L;
    return Buffer.concat([signature.subarray(0, 32), half(s).reverse()]);
  }),
  'EdDSA under a key of another kind': token({ alg: 'EdDSA', kid: 'rsa' }, CLAIMS, eddsa(ed.privateKey)),
});

const algorithms = cases('one algorithm', '/rs', {
  'the right one': right(GOOD),
  'another that the key could do': token({ ...HEADER, alg: 'PS256' }, CLAIMS, pss(real.privateKey)),
  'another of the key set': esGood,
});

const FORGED = [
  ...nones,
  ...confusions,
  ...keys,
  ...criticals,
  ...twice,
  ...spelling,
  ...structures,
  ...parties,
  ...times,
  ...types,
  ...signatures,
  ...algorithms,
];

// --- the tests -------------------------------------------------------------------------------------------------------

const ask = (path: string, headers: Record<string, string>) => fetch(gateway.url + path, { headers });

describe(`${FORGED.length} tokens`, () => {
  it.each(FORGED)('%s', async (_, { path = '/any', token: made, status = 401 }) => {
    const bearer = typeof made === 'string' ? made : made();
    const answer = await ask(path, { authorization: `Bearer ${bearer}` });
    expect(answer.status).toBe(status);
    const challenge = answer.headers.get('www-authenticate');
    if (status === 401) expect(challenge).toMatch(/^Bearer realm="aya", error="invalid_token"/);
    else expect(challenge).toBeNull();
  });

  it('are enough of them, and none is there twice', () => {
    expect(FORGED.length).toBeGreaterThanOrEqual(108);
    expect(FORGED.filter(([, { status }]) => status === 200).length).toBeGreaterThan(20);
    expect(new Set(FORGED.map(([name]) => name)).size).toBe(FORGED.length);
  });

  it('made the gateway ask nobody but the issuer, and the issuer once', () => {
    expect(canary.requests).toBe(0);
    expect(issuer.requests).toBe(1);
  });
});

describe('the forms in which a token comes', () => {
  const forms: [string, string, number, boolean][] = [
    ['Bearer', `Bearer ${GOOD}`, 200, false],
    ['in lower case', `bearer ${GOOD}`, 200, false],
    ['in upper case', `BEARER ${GOOD}`, 200, false],
    ['with two spaces', `Bearer  ${GOOD}`, 200, false],
    ['with a tab', `Bearer\t${GOOD}`, 401, false],
    ['without a token', 'Bearer', 401, true],
    ['without a scheme', GOOD, 401, false],
    ['with another scheme', `Token ${GOOD}`, 401, false],
    ['with a word that only begins like it', `Bearers ${GOOD}`, 401, false],
    ['with something after it', `Bearer ${GOOD} x`, 401, true],
    ['with a parameter', `Bearer token="${GOOD}"`, 401, true],
    ['with the scheme twice', `Bearer Bearer ${GOOD}`, 401, true],
  ];
  it.each(forms)('%s', async (_, authorization, status, isToken) => {
    const answer = await ask('/any', { authorization });
    expect(answer.status).toBe(status);
    // RFC 6750 §3.1: who brought no token is not told that it was wrong.
    if (status === 401) expect(answer.headers.get('www-authenticate')?.includes('error=') ?? false).toBe(isToken);
  });

  it('two fields are not one', async () => {
    const headers = new Headers([
      ['authorization', `Bearer ${GOOD}`],
      ['authorization', `Bearer ${GOOD}`],
    ]);
    expect((await fetch(`${gateway.url}/any`, { headers })).status).toBe(401);
  });

  it('a cookie or a parameter, where the route allows it', async () => {
    expect((await ask('/cookie', { cookie: `a=b; session=${GOOD}` })).status).toBe(200);
    expect((await ask(`/cookie?access_token=${GOOD}`, {})).status).toBe(200);
    expect((await ask(`/any?access_token=${GOOD}`, { cookie: `session=${GOOD}` })).status).toBe(401);
    expect((await ask('/cookie', { cookie: 'session=' })).status).toBe(401);
  });

  it('two different tokens in one request are refused, whatever they are', async () => {
    const other = signed({ sub: 'grace' });
    expect((await ask('/cookie', { cookie: `session=${GOOD}`, authorization: `Bearer ${other}` })).status).toBe(401);
    expect((await ask('/cookie', { cookie: `session=${GOOD}`, authorization: `Bearer ${GOOD}` })).status).toBe(200);
  });
});

it('the keys that forge are keys', () => {
  expect(createPublicKey({ format: 'jwk', key: KEYS[8] as never }).asymmetricKeyDetails?.publicExponent).toBe(1n);
  expect(createPrivateKey({ format: 'jwk', key: KEYS[12] as never }).type).toBe('private');
});
