/** What a principal must be to pass. */
import { createHash } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { gatewayFixture, type GatewayFixture } from '../../test/support/gateway.ts';
import { startUpstream } from '../../test/support/upstream.ts';

const apiKeys = (key: string) => [{ sha256: createHash('sha256').update(key).digest('hex') }];

let gateway: GatewayFixture;

const RULES = {
  groups: { groups: ['partners', 'staff'] },
  consumers: { consumers: ['ann', 'eve'] },
  get: { when: 'request.method == "GET" && "partners" in principal.groups' },
  claim: { claims: { tenant: 'acme' } },
  fails: { when: 'principal.claims.tenant == "acme"' },
  both: { groups: ['partners'], when: 'request.headers["x-ok"] == "1"' },
};

const consumers = [
  { name: 'ann', groups: ['partners'], apiKeys: apiKeys('ann') },
  { name: 'bob', groups: ['others'], apiKeys: apiKeys('bob') },
  { name: 'tenant', groups: ['acme', 'partners'], apiKeys: apiKeys('tenant') },
];

let url = '';

const routeOf = (name: string, authorize?: object) => ({
  name,
  match: { path: `/${name}` },
  pool: 'orders',
  auth: { apiKey: {}, optional: true },
  ...(authorize === undefined ? {} : { authorize }),
});

const filesWith = (rules: Record<string, object>) => ({
  pools: { orders: { endpoints: [url] } },
  routes: [...Object.entries(rules).map(([name, rule]) => routeOf(name, rule)), routeOf('plain'), routeOf('elsewhere')],
});

beforeAll(async () => {
  ({ url } = await startUpstream('orders'));
  gateway = await gatewayFixture({
    gateway: { consumers, groups: { acme: { routes: ['groups', 'plain'] }, partners: {} } },
    files: { 'orders.yaml': filesWith(RULES) },
  });
});

async function statusOf(route: string, key: string | undefined, init: RequestInit = {}): Promise<number> {
  const headers = { ...(init.headers as Record<string, string>), ...(key === undefined ? {} : { 'x-api-key': key }) };
  const answer = await fetch(`${gateway.url}/${route}`, { ...init, headers });
  await answer.arrayBuffer();
  return answer.status;
}

describe('authorize', () => {
  it.each([
    ['groups', 'ann', 200],
    ['groups', 'bob', 403],
    ['groups', undefined, 403],
    ['consumers', 'ann', 200],
    ['consumers', 'bob', 403],
    ['get', 'ann', 200],
    ['get', 'bob', 403],
    ['claim', 'ann', 403],
    ['fails', 'ann', 403],
    ['both', 'ann', 403],
    ['groups', 'tenant', 200],
    ['get', 'tenant', 403],
    ['plain', 'tenant', 200],
    ['elsewhere', 'tenant', 403],
    ['elsewhere', 'ann', 200],
    ['elsewhere', undefined, 200],
  ])('%s: %s gets %i', async (route, key, status) => {
    expect(await statusOf(route, key)).toBe(status);
  });

  it('asks for all that is given', async () => {
    expect(await statusOf('both', 'ann', { headers: { 'x-ok': '1' } })).toBe(200);
    expect(await statusOf('both', 'bob', { headers: { 'x-ok': '1' } })).toBe(403);
  });

  it('sees the method', async () => {
    expect(await statusOf('get', 'ann', { method: 'POST' })).toBe(403);
  });

  it('does not tell the client why', async () => {
    const answer = await fetch(`${gateway.url}/fails`, { headers: { 'x-api-key': 'ann' } });
    expect(await answer.text()).not.toMatch(/tenant|claim|when/);
  });

  it('counts a failed expression as an error', async () => {
    expect(await statusOf('fails', 'ann')).toBe(403);
    expect((await gateway.admin('/metrics')).body).toMatch(
      /aya_authorization_total\{route="fails",decision="error"\} [1-9]/,
    );
  });

  it.each([
    [{ when: 'request.methd == "GET"' }, /orders\.yaml:\d+:\d+: .*authorize\.when: No such key: methd \(character 9\)/],
    [{}, /asks for nothing/],
  ])('finds what is wrong when it is loaded: %j', async (rule, message) => {
    await gateway.write('orders.yaml', filesWith({ ...RULES, wrong: rule }));
    const { body } = await gateway.reload();
    expect((JSON.parse(body) as { problems: string[] }).problems.join('\n')).toMatch(message);
    await gateway.write('orders.yaml', filesWith(RULES));
    await gateway.reload();
  });
});
