/** Who a client is, and what it may say about itself: no field of its own passes for the gateway's word or a proxy's. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startFaultyUpstream, type FaultyUpstream } from '../support/faulty-upstream.ts';
import { gatewayFixture, type GatewayFixture } from '../support/gateway.ts';
import { valuesOf } from '../support/http1.ts';
import { ask, request } from '../support/raw-client.ts';
import { until } from '../support/until.ts';

let open: FaultyUpstream;
let guarded: FaultyUpstream;
let gateway: GatewayFixture;
let trusting: GatewayFixture;
/** Lets underscores pass. */
let lenient: GatewayFixture;
/** Every route has its host. */
let bound: GatewayFixture;

beforeAll(async () => {
  [open, guarded] = await Promise.all([startFaultyUpstream('open'), startFaultyUpstream('guarded')]);
  const pool = ({ url }: FaultyUpstream) => ({ endpoints: [url], health: { passive: false } });
  const when = (name: string, headers: object) => ({ name, match: { path: `/${name}`, headers }, pool: 'guarded' });
  const files = {
    'identity.yaml': {
      pools: { open: pool(open), guarded: pool(guarded) },
      routes: [
        when('role', { 'x-role': 'admin' }),
        when('https', { 'x-forwarded-proto': 'https' }),
        when('certified', { 'client-cert': { present: true } }),
        when('known', { 'x-aya-consumer': { present: true } }),
        when('twin', { x_role: 'admin' }),
        when('id', { 'x-request-id': { present: true } }),
        { name: 'rest', pool: 'open' },
      ],
    },
  };
  const listen = { host: '127.0.0.1', port: 0 };
  const shop = {
    pools: { open: pool(open) },
    routes: [{ name: 'shop', match: { host: ['shop.test', '*.shop.test'] }, pool: 'open' }],
  };
  [gateway, trusting, lenient, bound] = await Promise.all([
    gatewayFixture({ gateway: { accessLog: { enabled: true, file: 'access.log' } }, files }),
    gatewayFixture({ gateway: { trustedProxies: ['127.0.0.0/8'] }, files }),
    gatewayFixture({ gateway: { listen: [{ ...listen, limits: { underscores: 'allow' } }] }, files }),
    gatewayFixture({ files: { 'shop.yaml': shop } }),
  ]);
});

beforeEach(() => {
  open.clear();
  guarded.clear();
});

/** Sends a GET with these fields; what the upstream saw of the field. */
async function forward(lines: readonly string[], name: string, through = gateway): Promise<string[]> {
  const { responses } = await ask(through.port, request('GET', '/t', 'any.test', lines));
  expect(responses[0]?.status).toBe(200);
  return valuesOf(open.seen[0]!.fields, name);
}

const nameOf = (line: string) => line.slice(0, line.indexOf(':')).toLowerCase();

/** The gateway reads them from trusted proxies, and tells the upstream itself. */
const CERTIFICATES = ['X-Forwarded-Client-Cert: By=spiffe://a;Hash=0', 'Client-Cert: :MIIB:'];

const CLAIMS = [
  'X-Forwarded-User: root',
  'X-Forwarded-Email: root@any.test',
  'X-Forwarded-Groups: admins',
  'X-Forwarded-Access-Token: token',
  'X-Forwarded-Prefix: /admin',
  'X-Forwarded-Uri: /admin',
  'X-Forwarded-Method: DELETE',
  'X-Forwarded-Server: edge',
  'X-Forwarded-Scheme: https',
  'X-Forwarded-Ssl: on',
  'X-Forwarded: for=1.2.3.4',
  'Client-Cert-Chain: :MIIB:',
  'X-SSL-Client-Verify: SUCCESS',
  'Ssl-Client-Subject-Dn: CN=root',
  'X-Amzn-Mtls-Clientcert-Subject: CN=root',
  'X-Consumer-Username: root',
  'X-Consumer-Custom-Id: 1',
  'X-Authenticated-Userid: root',
  'X-Userinfo: eyJ9',
  'X-Original-URL: /admin',
  'X-Original-Host: evil.test',
  'X-Rewrite-URL: /admin',
  'X-Client-IP: 1.2.3.4',
  'X-Cluster-Client-IP: 1.2.3.4',
  'True-Client-IP: 1.2.3.4',
  'CF-Connecting-IP: 1.2.3.4',
];

describe('what only a proxy may say', () => {
  it.each([...CERTIFICATES, ...CLAIMS])('is not taken from a stranger: %s', async (line) => {
    expect(await forward([line], nameOf(line))).toEqual([]);
  });

  it.each(CLAIMS)('is taken from a trusted proxy: %s', async (line) => {
    expect(await forward([line], nameOf(line), trusting)).toEqual([line.slice(line.indexOf(':') + 2)]);
  });
});

describe('a field that a service could take for the gateway’s own', () => {
  it.each([
    ...[
      'X_Forwarded_For: 1.2.3.4',
      'X-Forwarded_For: 1.2.3.4',
      'X.Forwarded.For: 1.2.3.4',
      'X-Forwarded--For: 1.2.3.4',
    ],
    ...['X_Forwarded_Proto: https', "X'Forwarded'Host: evil.test", 'X_Real_IP: 1.2.3.4', 'X_Request_Id: mine'],
    ...['X.Request.Id: mine', 'X_Aya_Consumer: root', 'X-Aya_Consumer: root', 'X.Aya.Principal: root', 'x_aya-x: 1'],
    ...['Client_Cert: :MIIB:', 'X_Consumer_Username: root', 'X_Forwarded_Client_Cert: By=a'],
  ])('does not arrive, even where underscores may: %s', async (line) => {
    for (const through of [gateway, lenient, trusting]) {
      open.clear();
      expect(await forward([line], nameOf(line), through)).toEqual([]);
    }
  });

  it('an honest name with an underscore arrives where that is allowed', async () => {
    expect(await forward(['X_Any: 1'], 'x_any', lenient)).toEqual(['1']);
  });
});

describe('what was matched is what is sent', () => {
  it.each([
    ['/https', 'X-Forwarded-Proto: https'],
    ['/certified', 'Client-Cert: :MIIB:'],
    ['/known', 'X-Aya-Consumer: root'],
    ['/twin', 'X_Role: admin'],
    ['/id', 'X-Request-Id: mine'],
  ])('a condition does not see what the upstream will not: %s with %s', async (path, line) => {
    await ask(gateway.port, request('GET', path, 'any.test', [line]));
    expect(guarded.seen).toEqual([]);
    expect(open.seen).toHaveLength(1);
  });

  it('a condition does not see what Connection takes away', async () => {
    const lines = ['X-Role: admin', 'Connection: close, X-Role'];
    await ask(gateway.port, request('GET', '/role', 'any.test', lines));
    expect(guarded.seen).toEqual([]);
    expect(valuesOf(open.seen[0]!.fields, 'x-role')).toEqual([]);
  });

  it('a condition sees what a trusted proxy says', async () => {
    await ask(trusting.port, request('GET', '/https', 'any.test', ['X-Forwarded-Proto: https']));
    expect(guarded.seen).toHaveLength(1);
  });

  it.each([
    [['X-Role: admin'], 1],
    [['X-Role: user', 'X-Role: admin'], 0],
    [['X-Role: admin', 'X-Role: user'], 0],
    [['x-role: admin', 'X-ROLE: admin'], 0],
    [['X-Role: admin, user'], 0],
    [['X-Role: '], 0],
  ])('a condition sees all values of a repeated field: %j', async (lines, reached) => {
    await ask(gateway.port, request('GET', '/role', 'any.test', lines));
    expect(guarded.seen).toHaveLength(reached);
  });
});

describe('Connection', () => {
  it.each([
    ...['host', 'x-forwarded-for', 'x-forwarded-proto', 'x-forwarded-host', 'x-forwarded-port', 'forwarded', 'via'],
    ...['x-request-id'],
  ])('does not take away a field that the gateway adds: %s', async (name) => {
    for (const value of [name, `close, ${name}`, `keep-alive,${name.toUpperCase()}`, `,${name} ,\t${name}`]) {
      open.clear();
      expect(await forward([`Connection: ${value}`], name), value).toHaveLength(1);
    }
  });

  it('naming the length of a body leaves the body as it is', async () => {
    const lines = ['Connection: content-length, transfer-encoding, x-a'];
    await ask(gateway.port, request('POST', '/t', 'any.test', lines, 'hello'));
    expect(open.seen[0]?.body.toString()).toBe('hello');
  });
});

describe('a body', () => {
  it.each([
    ...['application/json', '\tapplication/json', 'application/json;x', 'application/json garbage', 'APPLICATION/JSON'],
    ...['application/x-www-form-urlencoded', 'multipart/form-data; boundary=', 'text/plain; charset=utf-7', '/', ';;;'],
    ...['application/json, text/plain', '"', '__proto__', 'x'.repeat(10_000)],
  ])('goes on byte for byte, whatever its Content-Type says: %.40s', async (type) => {
    const body = '{"a":1,"a":2,"__proto__":{}}\0&a=b%00';
    await ask(gateway.port, request('POST', '/t', 'any.test', [`Content-Type: ${type}`], body));
    expect(open.seen[0]?.body.toString('latin1')).toBe(body);
    expect(valuesOf(open.seen[0]!.fields, 'content-type')).toEqual([type.trim()]);
  });
});

describe('a Host that names something inside', () => {
  it.each([
    ...['169.254.169.254', 'metadata.google.internal', 'localhost', '127.0.0.1', '[::1]', '0x7f.1', '2130706433'],
    ...['orders.default.svc.cluster.local', '10.0.0.1:8080', 'evil.test'],
  ])('is no way in: %s', async (host) => {
    const { responses } = await ask(bound.port, request('GET', '/t', host));
    expect(responses[0]?.status).toBe(404);
    expect([...open.seen, ...guarded.seen]).toEqual([]);
    await ask(bound.port, request('GET', '/t', 'shop.test'));
    expect(open.seen).toHaveLength(1);
  });
});

describe('cookies', () => {
  it('two hundred pairs arrive as they were', async () => {
    const cookie = Array.from({ length: 200 }, (_, at) => `c${at}=${at}`).join('; ');
    expect(await forward([`Cookie: ${cookie}`], 'cookie')).toEqual([cookie]);
  });

  it.each([
    ['of 64 KiB', 'x'.repeat(65_536), 431],
    ['of a thousand pairs', 'a=1; '.repeat(1_000), 431],
    ['with a NUL', 'a=1\0', 400],
    ['with a line end', 'a=1\rSet-Cookie: b=2', 400],
  ])('%s are refused', async (_, value, status) => {
    const { responses } = await ask(gateway.port, request('GET', '/t', 'any.test', [`Cookie: ${value}`]));
    expect(responses[0]?.status).toBe(status);
    expect(open.seen).toEqual([]);
  });

  it('that are encoded stay encoded', async () => {
    expect(await forward(['Cookie: a=%0d%0aX-Injected:1'], 'cookie')).toEqual(['a=%0d%0aX-Injected:1']);
    expect(valuesOf(open.seen[0]!.fields, 'x-injected')).toEqual([]);
  });
});

describe('the access log', () => {
  it('holds one valid line for each request, whatever its fields and path say', async () => {
    const agents = [
      'quote" and \\ backslash',
      '","status":200,"x":"',
      '${jndi:ldap://evil.test}',
      'C1 \x85 \x9b31m \x9d',
      'high \xff bytes \xe2\x80\xa8',
      '%0d%0a{"level":30}',
      'x'.repeat(10_000),
    ];
    const paths = ['/a%0d%0a%7B%7D', '/a%1b%5b31m', '/%22%5c%5c%22', '/t?token=canary-secret', '/a%c2%9b31m'];
    for (const [at, agent] of agents.entries()) {
      await ask(gateway.port, request('GET', paths[at % paths.length]!, 'any.test', [`User-Agent: ${agent}`]));
    }
    const secrets = [
      'Authorization: Bearer canary-secret',
      'Cookie: session=canary-secret',
      'X-Api-Key: canary-secret',
    ];
    await ask(gateway.port, request('GET', '/last', 'any.test', [...secrets, 'Proxy-Authorization: canary-secret']));
    const text = await until(async () => {
      const written = await readFile(join(gateway.dir, 'access.log'), 'utf8').catch(() => '');
      return written.includes('"/last"') ? written : '';
    }, 'the last line');
    expect(text).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f-\x9f]/);
    expect(text).not.toContain('canary-secret');
    for (const page of ['/metrics', '/config', '/status']) {
      expect((await gateway.admin(page)).body).not.toContain('canary-secret');
    }
    const lines = text.trimEnd().split('\n');
    for (const line of lines) expect(JSON.parse(line)).toMatchObject({ event: 'request', level: 30 });
    const told = lines.map((line) => (JSON.parse(line) as { userAgent?: string }).userAgent);
    expect(told).toContain('","status":200,"x":"');
  });
});
