/** Keys as they are made, sent, mistyped and run out. One clear rule: exactly one key, and it is known. */
import { beforeAll, describe, expect, it } from 'vitest';
import { createApiKey, hashApiKey } from '../../../src/credentials/api-key.ts';
import { gatewayFixture, type GatewayFixture } from '../../../test/support/gateway.ts';
import { RawConnection } from '../../../test/support/raw-client.ts';
import { startUpstream, type Echo } from '../../../test/support/upstream.ts';

const OURS = createApiKey('m1');
const SECOND = createApiKey('m2');
const LATE = createApiKey('late');
const FOREIGN = 'legacy+key/of=another,maker';

let gateway: GatewayFixture;

beforeAll(async () => {
  const upstream = await startUpstream('orders');
  const route = (name: string, auth: object, rest: object = {}) => ({
    name,
    match: { path: `/${name}/*` },
    pool: 'orders',
    auth: { failures: false, ...auth },
    ...rest,
  });
  gateway = await gatewayFixture({
    gateway: {
      consumers: [
        {
          name: 'mobile',
          apiKeys: [
            { id: OURS.id, sha256: OURS.sha256 },
            { id: SECOND.id, sha256: SECOND.sha256, expires: '2999-01-01' },
            { sha256: hashApiKey(FOREIGN) },
          ],
        },
        { name: 'late', apiKeys: [{ sha256: LATE.sha256, expires: '2020-01-01T00:00:00Z' }] },
        { name: 'root', apiKeys: [{ sha256: hashApiKey('clé') }, { sha256: hashApiKey('') }] },
      ],
    },
    files: {
      'orders.yaml': {
        pools: { orders: { endpoints: [upstream.url] } },
        routes: [
          route('all', { apiKey: { query: 'key', cookie: 'key' } }),
          route('header', { apiKey: {} }),
          route('bearer', { apiKey: { header: 'Authorization' } }),
          route('forwarded', { apiKey: { query: 'key', forward: true } }),
          route('moved', { apiKey: { query: 'key' } }, { rewrite: { prefix: '/inner' } }),
          route('optional', { apiKey: {}, optional: true }),
          {
            name: 'gone',
            match: { path: '/gone/*' },
            auth: { apiKey: { query: 'key' } },
            redirect: { host: 'other.test', port: 80 },
          },
        ],
      },
    },
  });
});

const ask = (path: string, headers: Record<string, string> = {}) => fetch(gateway.url + path, { headers });
const status = async (path: string, headers: Record<string, string> = {}) => (await ask(path, headers)).status;

/** The upstream's view: what it was asked, and the fields in one text. */
async function seen(path: string, headers: Record<string, string> = {}) {
  const answer = await ask(path, headers);
  expect(answer.status).toBe(200);
  const { target, fields } = (await answer.json()) as Echo;
  return { target, fields: fields.join('\n').toLowerCase() };
}

describe('a key', () => {
  it.each([
    ['in the field', '/all/x', { 'x-api-key': OURS.key }],
    ['in the query', `/all/x?key=${OURS.key}`, {}],
    ['in a cookie', '/all/x', { cookie: `a=1; key=${OURS.key}` }],
    ['after ApiKey', '/bearer/x', { authorization: `ApiKey ${OURS.key}` }],
    ['after Bearer', '/bearer/x', { authorization: `bearer ${OURS.key}` }],
    ['that replaces another while both work', '/all/x', { 'x-api-key': SECOND.key }],
    ['of another maker', '/all/x', { 'x-api-key': FOREIGN }],
    ['of another maker in the query', `/all/x?key=${encodeURIComponent(FOREIGN)}`, {}],
  ])('%s opens', async (_, path, headers) => expect(await status(path, headers)).toBe(200));

  const half = OURS.key.slice(0, -8);
  it.each<[string, string, Record<string, string>]>([
    ['in two places', `/all/x?key=${OURS.key}`, { 'x-api-key': OURS.key }],
    ['in the field and in a cookie', '/all/x', { 'x-api-key': OURS.key, cookie: `key=${OURS.key}` }],
    ['twice in the query', `/all/x?key=${OURS.key}&k%65y=${OURS.key}`, {}],
    ['beside an empty one', `/all/x?key=&key=${OURS.key}`, {}],
    ['beside a parameter without a value', `/all/x?key&key=${OURS.key}`, {}],
    ['in two cookies', '/all/x', { cookie: `key=${OURS.key}; key=${SECOND.key}` }],
    ['that is the beginning of one', '/all/x', { 'x-api-key': half }],
    ['with more behind it', '/all/x', { 'x-api-key': `${OURS.key}x` }],
    ['in capitals', '/all/x', { 'x-api-key': OURS.key.toUpperCase() }],
    ['with its hash in its place', '/all/x', { 'x-api-key': OURS.sha256 }],
    ['with a NUL', `/all/x?key=${OURS.key}%00`, {}],
    ['with a space', `/all/x?key=${OURS.key}+`, {}],
    ['with a line end', `/all/x?key=${OURS.key}%0d%0a`, {}],
    ['beyond ASCII, though its hash is known', `/all/x?key=cl%C3%A9`, {}],
    ['in broken UTF-8', `/all/x?key=cl%E9`, {}],
    ['that is empty, though its hash is known', '/all/x?key=', {}],
    ['whose checksum is wrong', '/all/x', { 'x-api-key': `${OURS.key.slice(0, -1)}-` }],
    ['in a place that the route does not know', `/header/x?key=${OURS.key}`, {}],
    ['after another scheme', '/bearer/x', { authorization: `Basic ${OURS.key}` }],
    ['that has run out', '/all/x', { 'x-api-key': LATE.key }],
  ])('%s does not', async (_, path, headers) => {
    const answer = await ask(path, headers);
    expect(answer.status).toBe(401);
    expect(answer.headers.get('www-authenticate')).toBe('ApiKey');
    const text = await answer.text();
    for (const secret of [OURS.key, SECOND.key, LATE.key, OURS.sha256]) expect(text).not.toContain(secret);
  });

  it('sent in two fields of the name does not', async () => {
    const connection = await RawConnection.open(gateway.port);
    connection.send(`GET /all/x HTTP/1.1\r\nhost: a\r\nx-api-key: ${OURS.key}\r\nX-Api-Key: ${OURS.key}\r\n\r\n`);
    expect((await connection.answer()).status).toBe(401);
    connection.close();
  });

  it('sent as one fullwidth twin of itself does not', async () => {
    const twin = OURS.key.replace(/[a-z]/, (letter) => String.fromCodePoint(letter.codePointAt(0)! + 0xfee0));
    expect(await status(`/all/x?key=${encodeURIComponent(twin)}`)).toBe(401);
  });

  it('that is wrong lets nobody pass as nobody', async () => {
    expect(await status('/optional/x', { 'x-api-key': 'wrong' })).toBe(401);
    expect(await status('/optional/x')).toBe(200);
  });
});

describe('the upstream', () => {
  it('learns whose key it was, and not the key, wherever it stood', async () => {
    const places: [string, Record<string, string>][] = [
      ['/all/x?a=1', { 'x-api-key': OURS.key }],
      [`/all/x?a=1&key=${OURS.key}`, {}],
      [`/all/x?k%65y=${OURS.key}&a=1`, {}],
      ['/all/x?a=1', { cookie: `key=${OURS.key}` }],
    ];
    for (const [path, headers] of places) {
      const { target, fields } = await seen(path, headers);
      expect(target).toBe('/all/x?a=1');
      expect(fields).toContain('x-aya-consumer\nmobile');
      expect(fields).toContain('x-aya-principal\nm1');
      expect(fields).not.toContain(OURS.key.toLowerCase());
    }
  });

  it('gets the other cookies', async () => {
    const { fields } = await seen('/all/x', { cookie: `a=1; key=${OURS.key}; b=2` });
    expect(fields).toContain('cookie\na=1; b=2');
  });

  it('does not get the key back where the path is rewritten', async () => {
    expect((await seen(`/moved/x?a=1&key=${OURS.key}`)).target).toBe('/inner/x?a=1');
    expect((await seen(`/moved/x?key=${OURS.key}`)).target).toBe('/inner/x');
  });

  it('is not told of it by a redirect, which may lead to another host', async () => {
    const answer = await fetch(`${gateway.url}/gone/x?a=1&key=${OURS.key}`, { redirect: 'manual' });
    expect(answer.headers.get('location')).toBe('http://other.test/gone/x?a=1');
  });

  it('gets it where the route says so', async () => {
    expect((await seen(`/forwarded/x?key=${OURS.key}`)).target).toBe(`/forwarded/x?key=${OURS.key}`);
  });
});

describe('operators', () => {
  it('see a key that has run out apart from one that nobody has', async () => {
    const page = (await gateway.admin('/metrics')).body;
    expect(page).toMatch(/aya_auth_requests_total\{route="all",outcome="expired"\} [1-9]/);
    expect(page).toMatch(/aya_auth_requests_total\{route="all",outcome="invalid"\} [1-9]/);
  });

  it('see no key in the log, the metrics or the configuration', async () => {
    const pages = await Promise.all(['/metrics', '/config', '/routes'].map((path) => gateway.admin(path)));
    const told = JSON.stringify([gateway.logs, pages]);
    for (const { key } of [OURS, SECOND, LATE]) expect(told).not.toContain(key);
  });
});
