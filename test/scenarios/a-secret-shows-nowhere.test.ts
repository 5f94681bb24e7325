/**
 * Every kind of secret that a configuration can hold or a client can send, each with a canary in it. Whatever the gateway
 * says, in logs, errors, metrics, the admin API and the command line, no canary is in it.
 */
import { createHash } from 'node:crypto';
import { beforeAll, expect, it } from 'vitest';
import { hashPassword } from '../../src/credentials/password-hash.ts';
import { aya, configDirectory, FREE_PORTS, ready, spawnAya, type Command } from '../support/command.ts';
import { startUpstream, type Echo } from '../support/upstream.ts';

/** Parts of names and values that must not be seen again; long enough for what wants 32 bytes. */
const canary = (name: string) => `canary-${name}-0123456789abcdef0123456789abcdef`;

let dir: string;
let command: Command;
let url: string;
let adminUrl: string;

const CANARIES = [
  ...['admin', 'jwt', 'hmac', 'client', 'session', 'key', 'password', 'header', 'redis', 'answers', 'acme'],
  ...['fleet', 'sticky', 'sticky-next'],
  ...['query', 'cookie'],
];

beforeAll(async () => {
  const upstream = await startUpstream('orders');
  const files: Record<string, string | object> = {};
  for (const name of ['admin', 'jwt', 'hmac', 'client', 'session', 'header']) {
    files[`secrets/${name}`] = `${canary(name)}\n`;
  }
  const file = (name: string) => `\${file:secrets/${name}}`;
  files['gateway.yaml'] = {
    ...FREE_PORTS,
    admin: { port: 0, token: file('admin') },
    secret: [canary('fleet')],
    // Nobody is there: what is said about that must not name the password either.
    store: `redis://user:${canary('redis')}@127.0.0.1:1`,
    cache: { store: { url: `redis://:${canary('answers')}@127.0.0.1:1` } },
    listen: [
      ...FREE_PORTS.listen,
      {
        host: '127.0.0.1',
        port: 0,
        tls: {
          acme: {
            domains: ['shop.test'],
            termsAgreed: true,
            directory: 'https://127.0.0.1:1/directory',
            externalAccount: { keyId: 'ours', macKey: canary('acme') },
          },
        },
      },
    ],
    consumers: [
      {
        name: 'mobile',
        apiKeys: [{ id: 'm1', sha256: createHash('sha256').update(canary('key')).digest('hex') }],
        basic: [{ username: 'ann', password: await hashPassword(canary('password')) }],
        signatureKeys: [{ id: 'h1', algorithm: 'hmac-sha256', secret: file('hmac') }],
      },
    ],
  };
  files['routes.d/orders.yaml'] = {
    pools: {
      orders: {
        endpoints: [upstream.url],
        sticky: { cookie: 'aya', secrets: [canary('sticky-next'), canary('sticky')] },
      },
    },
    routes: [
      {
        name: 'orders',
        match: { path: '/orders/*' },
        pool: 'orders',
        auth: {
          apiKey: { query: 'key', cookie: 'key' },
          basic: {},
          signature: {},
          jwt: { issuer: 'https://id.test', algorithms: ['HS256'], secret: file('jwt') },
        },
        headers: { request: { set: { 'x-upstream-secret': file('header') } } },
        rateLimit: { max: 1000, per: '1m', by: 'consumer' },
      },
      {
        name: 'pages',
        match: { path: '/pages/*' },
        pool: 'orders',
        auth: {
          oidc: {
            issuer: 'http://127.0.0.1:1',
            clientId: 'shop',
            clientSecret: file('client'),
            path: '/pages/oidc',
            cookie: { secret: file('session') },
          },
        },
      },
    ],
  };
  dir = await configDirectory(files);
  command = spawnAya(['start', dir]);
  ({ url, adminUrl } = await ready(command));
});

const basic = (password: string) => `Basic ${Buffer.from(`ann:${password}`).toString('base64')}`;

it('is so for what is configured, and for what clients send, right or wrong', async () => {
  const answers: string[] = [];
  const ask = async (path: string, headers: Record<string, string> = {}) => {
    const answer = await fetch(url + path, { headers, redirect: 'manual' });
    const text = await answer.text();
    // The upstream repeats what it was sent: its own secret alone may be there.
    if (answer.status === 200) {
      const { fields } = JSON.parse(text) as Echo;
      expect(fields.join('\n').replace(canary('header'), '')).not.toMatch(/canary/);
    } else answers.push(text, JSON.stringify([...answer.headers]));
    return answer.status;
  };
  expect(await ask('/orders/1', { 'x-api-key': canary('key') })).toBe(200);
  expect(await ask('/orders/1', { authorization: basic(canary('password')) })).toBe(200);
  expect(await ask(`/orders/1?key=${canary('query')}`)).toBe(401);
  expect(await ask('/orders/1', { cookie: `key=${canary('cookie')}` })).toBe(401);
  expect(await ask('/orders/1', { 'x-api-key': `${canary('key')}x` })).toBe(401);
  expect(await ask('/orders/1', { authorization: basic(`${canary('password')}x`) })).toBe(401);
  expect(await ask('/orders/1', { authorization: `Bearer ${canary('query')}.e30.${canary('query')}` })).toBe(401);
  const signed = { 'signature-input': `s=("@method");created=1;keyid="${canary('query')}"`, signature: 's=:AA==:' };
  expect(await ask('/orders/1', signed)).toBe(401);
  expect(await ask('/pages/1', { cookie: `aya-session=${canary('cookie')}`, accept: 'text/html' })).toBe(401);
  expect(await ask(`/nowhere?key=${canary('query')}`)).toBe(404);

  const headers = { authorization: `Bearer ${canary('admin')}` };
  for (const path of ['/config', '/status', '/metrics', '/routes', '/pools', '/limits', '/readyz', '/certificates']) {
    answers.push(await (await fetch(adminUrl + path, { headers })).text());
  }
  answers.push(await (await fetch(`${adminUrl}/reload`, { method: 'POST', headers })).text());
  answers.push(await (await fetch(`${adminUrl}/config`)).text());

  const said = await Promise.all([aya('check', dir), aya('routes', dir), aya('consumer', 'list', '--dir', dir)]);
  command.signal('SIGTERM');
  const { out, err } = await command.ended;
  const all = [...answers, ...said.flatMap(({ out, err }) => [out, err]), out, err].join('\n');
  expect(out).toContain('/orders/1');
  expect(CANARIES.filter((name) => all.includes(canary(name)))).toEqual([]);
});

it('is so for a configuration that is wrong where a secret stands', async () => {
  const short = '"${file:secrets/short}"';
  const broken = await configDirectory({
    'secrets/short': 'canary-short',
    'gateway.yaml':
      `admin: { token: ${short} }\nstore: "redis://:\${file:secrets/short}@not a host"\nthreads: ${short}\n` +
      `consumers: [{ name: ${short}, apiKeys: [{ sha256: ${short} }] }]\n`,
  });
  const { out, err, exitCode } = await aya('check', broken);
  expect(exitCode).not.toBe(0);
  expect(out + err).toMatch(/gateway\.yaml:1:\d+/);
  expect(out + err).not.toContain('canary');
});
