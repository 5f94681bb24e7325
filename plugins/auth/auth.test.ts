/** What holds for every method: who is asked, what the upstream learns, how often one may guess. */
import { createHash } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { gatewayFixture, type GatewayFixture } from '../../test/support/gateway.ts';
import { startUpstream, type Echo } from '../../test/support/upstream.ts';

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');

let gateway: GatewayFixture;

beforeAll(async () => {
  const upstream = await startUpstream('orders');
  const apiKey = { query: 'key' };
  gateway = await gatewayFixture({
    gateway: {
      trustedProxies: ['127.0.0.1'],
      consumers: [
        { name: 'mobile', groups: ['partners', 'eu'], apiKeys: [{ id: 'm1', sha256: sha256('mobile-key') }] },
        { name: 'late', apiKeys: [{ sha256: sha256('late-key'), expires: '2020-01-01' }] },
      ],
    },
    files: {
      'orders.yaml': {
        pools: { orders: { endpoints: [upstream.url] } },
        routes: [
          { name: 'guarded', match: { path: '/guarded' }, pool: 'orders', auth: { apiKey } },
          { name: 'both', match: { path: '/both' }, pool: 'orders', auth: { apiKey, basic: {} } },
          { name: 'open', match: { path: '/open' }, pool: 'orders', auth: { apiKey, optional: true } },
          {
            name: 'guessed',
            match: { path: '/guessed' },
            pool: 'orders',
            auth: { apiKey, failures: { max: 3, per: '1h' } },
          },
        ],
      },
    },
  });
});

const fieldsOf = ({ fields }: Echo): Record<string, string> =>
  Object.fromEntries(fields.flatMap((name, at) => (at % 2 === 0 ? [[name.toLowerCase(), fields[at + 1]!]] : [])));

const ask = (path: string, headers: Record<string, string> = {}) => fetch(gateway.url + path, { headers });

describe('defaults', () => {
  it('widen no guard: a route with auth of its own has only that', async () => {
    const upstream = await startUpstream('orders');
    const consumers = [{ name: 'mobile', apiKeys: [{ sha256: sha256('mobile-key') }] }];
    const guarded = await gatewayFixture({
      gateway: { consumers, defaults: { auth: { apiKey: {}, optional: true } } },
      files: {
        'orders.yaml': {
          pools: { orders: { endpoints: [upstream.url] } },
          routes: [
            { name: 'own', match: { path: '/own' }, pool: 'orders', auth: { basic: {} } },
            { name: 'default', match: { path: '/default' }, pool: 'orders' },
            { name: 'none', match: { path: '/none' }, pool: 'orders', auth: false },
          ],
        },
      },
    });
    const statuses = async (key: string) => {
      const answers = ['/own', '/default', '/none'].map((path) =>
        fetch(guarded.url + path, { headers: { 'x-api-key': key } }),
      );
      return (await Promise.all(answers)).map(({ status }) => status);
    };
    expect(await statuses('mobile-key')).toEqual([401, 200, 200]);
    expect(await statuses('wrong')).toEqual([401, 401, 200]);
  });
});

describe('a route with auth', () => {
  it('asks those for credentials who bring none', async () => {
    const answer = await ask('/guarded');
    expect(answer.status).toBe(401);
    expect(answer.headers.get('www-authenticate')).toBe('ApiKey');
    expect(answer.headers.get('content-type')).toBe('application/problem+json');
  });

  it('tells the upstream who calls, and keeps the key to itself', async () => {
    const answer = await ask('/guarded', { 'x-api-key': 'mobile-key', 'x-aya-consumer': 'root' });
    expect(answer.status).toBe(200);
    const headers = fieldsOf((await answer.json()) as Echo);
    expect(headers).toMatchObject({
      'x-aya-consumer': 'mobile',
      'x-aya-principal': 'm1',
      'x-aya-groups': 'partners,eu',
    });
    expect(headers).not.toHaveProperty('x-api-key');
  });

  it('takes the key out of the query too', async () => {
    const answer = await ask('/guarded?a=1&k%65y=mobile-key&b=2');
    expect(((await answer.json()) as Echo).target).toBe('/guarded?a=1&b=2');
  });

  it('keeps a credential to itself that another method’s has made needless', async () => {
    const answer = await ask('/both', { 'x-api-key': 'mobile-key', authorization: 'Basic YW5uOnNlY3JldA==' });
    expect(answer.status).toBe(200);
    expect(fieldsOf((await answer.json()) as Echo)).not.toHaveProperty('authorization');
  });

  it.each(['wrong', 'mobile-ke', 'mobile-key\u00e9', 'late-key'])('refuses the key %s', async (key) => {
    const answer = await ask('/guarded', { 'x-api-key': key });
    expect(answer.status).toBe(401);
    expect(await answer.text()).not.toContain(key);
  });

  it('lets nobody pass as somebody where auth is optional', async () => {
    const headers = fieldsOf((await (await ask('/open', { 'x-aya-consumer': 'root' })).json()) as Echo);
    expect(headers).not.toHaveProperty('x-aya-consumer');
    expect((await ask('/open', { 'x-api-key': 'wrong' })).status).toBe(401);
  });

  it('counts what came of requests', async () => {
    const page = (await gateway.admin('/metrics')).body;
    expect(page).toMatch(/aya_auth_requests_total\{route="guarded",outcome="ok"\} [1-9]/);
    expect(page).toMatch(/aya_auth_requests_total\{route="guarded",outcome="invalid"\} [1-9]/);
  });
});

describe('guessing', () => {
  const guess = (from: string, key = 'wrong') => ask('/guessed', { 'x-api-key': key, 'x-forwarded-for': from });

  it('ends after a few, right or wrong, and for nobody else', async () => {
    for (let time = 0; time < 3; time++) expect((await guess('203.0.113.1')).status).toBe(401);
    const blocked = await guess('203.0.113.1', 'mobile-key');
    expect(blocked.status).toBe(429);
    expect(Number(blocked.headers.get('retry-after'))).toBeGreaterThan(0);
    expect((await guess('203.0.113.2', 'mobile-key')).status).toBe(200);
  });

  it('is not begun anew with another address of the same network', async () => {
    for (let time = 1; time <= 3; time++) expect((await guess(`2001:db8::${time}`)).status).toBe(401);
    expect((await guess('2001:db8::4', 'mobile-key')).status).toBe(429);
    expect((await guess('2001:db8:0:1::4', 'mobile-key')).status).toBe(200);
  });
});
