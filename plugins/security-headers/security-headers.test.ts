import { beforeAll, describe, expect, it } from 'vitest';
import { gatewayFixture, type GatewayFixture } from '../../test/support/gateway.ts';
import { valuesOf } from '../../test/support/http1.ts';
import { ask, RawConnection, request, type RawResponse } from '../../test/support/raw-client.ts';
import { echo, startUpstream, type Answer } from '../../test/support/upstream.ts';
import { checkSecurityHeaders } from './index.ts';
import type { SecurityHeadersConfig } from './schema.ts';

let gateway: GatewayFixture;
let url = '';

/** A service that names what it is made of, and has ideas of its own. */
const talkative: Answer = (incoming, response, service) => {
  response.setHeader('Server', 'Apache/2.4.1');
  response.setHeader('X-POWERED-BY', ['PHP/5', 'Express']);
  response.setHeader('X-AspNet-Version', '4.0');
  response.setHeader('X-AspNetMvc-Version', '5.0');
  response.setHeader('Via', '1.1 inner');
  response.setHeader('X-Frame-Options', 'SAMEORIGIN');
  response.setHeader('content-security-policy', ["img-src 'self'", "script-src 'self'"]);
  response.setHeader('Strict-Transport-Security', 'max-age=1');
  echo(incoming, response, service);
};

const all = {
  frameOptions: 'deny',
  referrerPolicy: 'no-referrer',
  contentSecurityPolicy: "default-src 'self'",
  permissionsPolicy: 'camera=()',
  crossOriginOpenerPolicy: 'same-origin',
  crossOriginEmbedderPolicy: 'require-corp',
  crossOriginResourcePolicy: 'same-site',
  hsts: { includeSubDomains: true, preload: true },
};

const files = () => ({
  pools: { talkative: { endpoints: [url] }, none: { endpoints: [] } },
  routes: [
    route('true', true),
    route('kept', all),
    route('overridden', { ...all, override: true }),
    route('least', { noSniff: false, removeBanners: false } as object | boolean),
    { ...route('empty', all), pool: 'none' },
    { ...route('small', all), limits: { body: '1B' } },
    { ...route('closed', all), ipFilter: { deny: ['127.0.0.1'] } },
    { ...route('away', all), pool: undefined, redirect: { to: 'https://else.test/' } },
    { ...route('cors', true), cors: { allowOrigins: ['https://app.test'] } },
    { ...route('edited', all), headers: { response: { set: { 'x-frame-options': 'ALLOW', server: 'mine' } } } },
  ],
});

const route = (name: string, securityHeaders: object | boolean) => ({
  name,
  match: { path: `/${name}/*` },
  pool: 'talkative' as string | undefined,
  securityHeaders,
});

beforeAll(async () => {
  ({ url } = await startUpstream('a', talkative));
  gateway = await gatewayFixture({
    gateway: {
      trustedProxies: ['::1'],
      listen: [
        { host: '127.0.0.1', port: 0 },
        { host: '::1', port: 0 },
      ],
    },
    files: { 'a.yaml': files() },
  });
});

async function send(line: string, fields: readonly string[] = [], body = ''): Promise<RawResponse> {
  const [method = '', target = ''] = line.split(' ');
  const { responses } = await ask(gateway.port, request(method, target, 'a.test', fields, body), { methods: [method] });
  return responses[0]!;
}

const NAMES = [
  'server',
  'x-powered-by',
  'x-aspnet-version',
  'x-aspnetmvc-version',
  'x-content-type-options',
  'x-frame-options',
  'referrer-policy',
  'content-security-policy',
  'permissions-policy',
  'cross-origin-opener-policy',
  'cross-origin-embedder-policy',
  'cross-origin-resource-policy',
  'strict-transport-security',
];

/** What is there of all that this plugin may write or remove. */
function said({ fields }: RawResponse): Record<string, string> {
  const present = NAMES.map((name) => [name, valuesOf(fields, name).join(' | ')]).filter(([, value]) => value !== '');
  return Object.fromEntries(present) as Record<string, string>;
}

const OURS = {
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'content-security-policy': "default-src 'self'",
  'permissions-policy': 'camera=()',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-embedder-policy': 'require-corp',
  'cross-origin-resource-policy': 'same-site',
};
const THEIRS = {
  'x-frame-options': 'SAMEORIGIN',
  'content-security-policy': "img-src 'self' | script-src 'self'",
  'strict-transport-security': 'max-age=1',
};

describe('the answer of a service', () => {
  it('is not guessed at, and names no software, by default', async () => {
    const answer = await send('GET /true/x');
    expect(said(answer)).toEqual({ ...THEIRS, 'x-content-type-options': 'nosniff' });
    expect(answer.field('via')).toBe('1.1 inner');
  });

  it('keeps what the service itself says', async () => {
    expect(said(await send('GET /kept/x'))).toEqual({ ...OURS, ...THEIRS });
  });

  it('says what the route says where that counts more, each thing once', async () => {
    expect(said(await send('GET /overridden/x'))).toEqual({ ...OURS, 'strict-transport-security': 'max-age=1' });
  });

  it('is left alone where nothing is asked for', async () => {
    expect(said(await send('GET /least/x'))).toMatchObject({
      server: 'Apache/2.4.1',
      'x-powered-by': 'PHP/5 | Express',
    });
  });

  it('keeps what the route sets elsewhere, a banner aside', async () => {
    const answer = said(await send('GET /edited/x'));
    expect(answer).toMatchObject({ 'x-frame-options': 'ALLOW' });
    expect(answer).not.toHaveProperty('server');
  });
});

describe('an answer that is not of a service', () => {
  it.each([
    ['without an endpoint', 'GET /empty/x', 503, ''],
    ['too large', 'POST /small/x', 413, 'much too large'],
    ['refused before', 'GET /closed/x', 403, ''],
    ['a redirect', 'GET /away/x', 302, ''],
    ['to HEAD', 'HEAD /empty/x', 503, ''],
  ])('says the same: %s', async (_, line, status, body) => {
    const answer = await send(line, [], body);
    expect(answer.status).toBe(status);
    expect(said(answer)).toEqual(OURS);
  });

  it('also to a preflight', async () => {
    const answer = await send('OPTIONS /cors/x', ['Origin: https://app.test', 'Access-Control-Request-Method: PUT']);
    expect(answer.status).toBe(204);
    expect(said(answer)).toEqual({ 'x-content-type-options': 'nosniff' });
    expect(answer.field('access-control-allow-origin')).toBe('https://app.test');
  });
});

describe('HSTS', () => {
  it('is for those who came over TLS, as a trusted proxy says', async () => {
    const [, port] = gateway.ports;
    const proxy = await RawConnection.open(port!, '::1');
    const told = async (proto: string) => {
      proxy.send(request('GET', '/empty/x', 'a.test', [`X-Forwarded-Proto: ${proto}`]));
      return said(await proxy.answer());
    };
    const hsts = 'max-age=31536000; includeSubDomains; preload';
    expect(await told('https')).toEqual({ ...OURS, 'strict-transport-security': hsts });
    expect(await told('http')).toEqual(OURS);
    proxy.close();
    expect(said(await send('GET /empty/x', ['X-Forwarded-Proto: https']))).toEqual(OURS);
  });
});

describe('a reload', () => {
  it('changes what is said to the next request of an open connection', async () => {
    const connection = await RawConnection.open(gateway.port);
    connection.send(request('GET', '/least/x', 'a.test'));
    expect(said(await connection.answer())).not.toHaveProperty('x-content-type-options');
    const changed = files();
    changed.routes[3]!.securityHeaders = true;
    await gateway.write('a.yaml', changed);
    expect((await gateway.reload()).status).toBe(200);
    connection.send(request('GET', '/least/x', 'a.test'));
    expect(said(await connection.answer())).toEqual({ ...THEIRS, 'x-content-type-options': 'nosniff' });
    connection.close();
  });

  it('with a value that is no line is refused, with its place', async () => {
    const changed = files();
    changed.routes[3]!.securityHeaders = { contentSecurityPolicy: 'a\r\nset-cookie: b' };
    await gateway.write('a.yaml', changed);
    expect((await gateway.reload()).body).toContain('securityHeaders.contentSecurityPolicy: is one line');
  });
});

describe('what cannot be meant is named', () => {
  const base: SecurityHeadersConfig = { noSniff: true, override: false, removeBanners: true };
  const day = 24 * 3_600_000;
  const hsts = { maxAge: 365 * day, includeSubDomains: true, preload: true };
  it.each<[Partial<SecurityHeadersConfig>, (string | number)[], string]>([
    [{ hsts: { ...hsts, includeSubDomains: false } }, ['hsts', 'preload'], 'needs includeSubDomains'],
    [{ hsts: { ...hsts, maxAge: 364 * day } }, ['hsts', 'preload'], 'maxAge of a year'],
    [{ permissionsPolicy: ' camera=()' }, ['permissionsPolicy'], 'begins and ends with neither'],
    [{ contentSecurityPolicy: 'a\nb' }, ['contentSecurityPolicy'], 'is one line'],
    [{ contentSecurityPolicy: 'é' }, ['contentSecurityPolicy'], 'visible ASCII'],
  ])('%j', (options, path, message) => {
    const faults = checkSecurityHeaders({ ...base, ...options });
    expect(faults.map((fault) => fault.path)).toEqual([path]);
    expect(faults[0]!.message).toContain(message);
  });

  it('sound ones have no fault', () => {
    expect(
      checkSecurityHeaders({ ...base, hsts, contentSecurityPolicy: 'x', permissionsPolicy: 'camera=(), usb=*' }),
    ).toEqual([]);
  });
});
