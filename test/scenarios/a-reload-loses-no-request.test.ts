/** The configuration changes under load, well and badly, and nobody who asks can tell. */
import { describe, expect, it } from 'vitest';
import {
  gatewayFixture,
  reloadedGateway,
  type GatewayFixture,
  type GatewayFixtureOptions,
} from '../support/gateway.ts';
import { startLoad } from '../support/load.ts';
import { RawConnection, request } from '../support/raw-client.ts';
import { until } from '../support/until.ts';
import { byPath, slow, startUpstream, type Echo, type Upstream } from '../support/upstream.ts';

const service = (pool: string, upstreams: readonly Upstream[], revision: number) => ({
  pools: { [pool]: { endpoints: upstreams.map(({ url }) => url) } },
  routes: [
    {
      name: pool,
      match: { path: `/${pool}/*` },
      pool,
      headers: { request: { set: { 'x-revision': `${revision}`, 'x-revision-too': `${revision}` } } },
    },
    ...Array.from({ length: revision % 3 }, (_, at) => ({
      name: `${pool}-${revision}-${at}`,
      match: { path: `/${pool}-${revision}-${at}` },
      pool,
    })),
  ],
});

type Files = GatewayFixtureOptions['files'];

const started = (threads: number) => (files: Files) => gatewayFixture({ gateway: { threads }, files });

async function startFleet(
  start: (files: Files) => Promise<GatewayFixture>,
): Promise<{ gateway: GatewayFixture; orders: Upstream[] }> {
  const answers = byPath({ slow: slow(600) });
  const orders = await Promise.all(['orders-1', 'orders-2', 'orders-3'].map((name) => startUpstream(name, answers)));
  return { gateway: await start({ 'orders.yaml': service('orders', orders, 0) }), orders };
}

describe('ten reloads under load', () => {
  it.each([
    ['on kept connections', false],
    ['on fresh connections', true],
  ])('that change routes and endpoints lose nothing: %s', async (_, fresh) => {
    const { gateway, orders } = await startFleet(started(2));
    const load = startLoad(gateway.url, { clients: 8, fresh, everyMs: 5 });
    for (let revision = 1; revision <= 10; revision++) {
      const [first, second, third] = orders as [Upstream, Upstream, Upstream];
      const members = [
        [first, second],
        [second, third],
        [first, second, third],
      ][revision % 3]!;
      await gateway.write('orders.yaml', service('orders', members, revision));
      expect((await gateway.reload()).status).toBe(200);
      const served = load.served;
      await until(() => load.served > served + 20, 'load behind the reload');
    }
    await load.stop();
    expect(load.failures).toEqual([]);
    expect(load.served).toBeGreaterThan(200);
    expect(orders.flatMap(({ seen }) => seen).filter(isMixed)).toEqual([]);
  });
});

/** Half of one configuration, half of another. */
function isMixed({ fields }: { fields: readonly string[] }): boolean {
  const value = (name: string) => fields[fields.findIndex((field) => field.toLowerCase() === name) + 1];
  return value('x-revision') !== value('x-revision-too');
}

describe('a reload', () => {
  const reloaded = reloadedGateway();

  it('leaves a request in flight on the generation it began with, and serves the next on the new', async () => {
    const { gateway, orders } = await startFleet(reloaded);
    const connection = await RawConnection.open(gateway.port);
    connection.send(request('GET', '/orders/slow', 'any.test'));
    await until(() => orders.some(({ requests }) => requests > 0), 'the request at the upstream');
    await gateway.write('orders.yaml', service('orders', orders, 1));
    expect((await gateway.reload()).status).toBe(200);
    const next = (await (await fetch(`${gateway.url}/orders/x`)).json()) as Echo;
    expect(next.fields).toContain('x-revision');
    expect(revisionOf(next)).toBe('1');
    expect(revisionOf(JSON.parse((await connection.answer()).text()) as Echo)).toBe('0');
    connection.close();
  });

  it('keeps the connections to endpoints that stay', async () => {
    const { gateway, orders } = await startFleet(reloaded);
    const ask = async () => void (await (await fetch(`${gateway.url}/orders/x`)).text());
    for (let at = 0; at < 12; at++) await ask();
    const before = orders.map(({ connections }) => connections);
    await gateway.write('orders.yaml', service('orders', orders, 1));
    expect((await gateway.reload()).status).toBe(200);
    for (let at = 0; at < 12; at++) await ask();
    expect(orders.map(({ connections }) => connections)).toEqual(before);
  });

  it('takes up a file by itself when it changes', async () => {
    const { gateway, orders } = await startFleet(reloaded);
    await gateway.write('orders.yaml', service('orders', orders, 7));
    await until(
      async () => revisionOf((await (await fetch(`${gateway.url}/orders/x`)).json()) as Echo) === '7',
      'the new revision',
    );
  });

  it('of the same files changes nothing', async () => {
    const { gateway } = await startFleet(reloaded);
    expect((await gateway.reload()).status).toBe(200);
    expect((await fetch(`${gateway.url}/orders/x`)).status).toBe(200);
  });

  it('twice at once is serialised, and the last wins', async () => {
    const { gateway, orders } = await startFleet(reloaded);
    await gateway.write('orders.yaml', service('orders', orders, 1));
    const first = gateway.reload();
    await gateway.write('orders.yaml', service('orders', orders, 2));
    const [one, two] = await Promise.all([first, gateway.reload()]);
    expect([one.status, two.status]).toEqual([200, 200]);
    expect(revisionOf((await (await fetch(`${gateway.url}/orders/x`)).json()) as Echo)).toBe('2');
  });

  it('during a shutdown does no harm', async () => {
    const { gateway } = await startFleet(started(1));
    const closed = gateway.close();
    await gateway.reload().catch(() => undefined);
    await closed;
  });
});

const BROKEN: Readonly<Record<string, string>> = {
  'a syntax error': 'routes:\n  - name: x\n   pool: y',
  'an unknown key': 'routes:\n  - name: x\n    pool: orders\n    tiemout: { head: 1s }',
  'a wrong type': 'routes:\n  - name: x\n    match: { methods: GET }\n    pool: orders',
  'a bad duration': 'routes:\n  - name: x\n    pool: orders\n    timeout: { head: soon }',
  'a bad regex': "routes:\n  - name: x\n    match: { path: { regex: '(' } }\n    pool: orders",
  'an unknown pool': 'routes:\n  - name: x\n    match: { path: /x }\n    pool: oders',
  'a duplicate route':
    'routes:\n  - { name: x, match: { path: /1 }, pool: orders }\n  - { name: x, match: { path: /2 }, pool: orders }',
  'a duplicate key': 'routes:\n  - name: x\n    name: y\n    pool: orders',
  'a prototype key': 'pools:\n  __proto__: { endpoints: [http://127.0.0.1:1] }',
  'an alias bomb': `a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: [*d,*d,*d,*d,*d,*d,*d,*d,*d]`,
  'an endpoint with a path': 'pools:\n  x: { endpoints: ["http://127.0.0.1:1/path"] }',
  'no document at all': '%&@',
};

describe('a broken file', () => {
  it('is named with line and column and does not stop the others from serving', async () => {
    const { gateway } = await startFleet(started(1));
    const load = startLoad(gateway.url, { clients: 4, everyMs: 5 });
    for (const [what, content] of Object.entries(BROKEN)) {
      await gateway.write('broken.yaml', content);
      const { body } = await gateway.reload();
      expect(body, what).toMatch(/broken\.yaml:\d+:\d+/);
    }
    await load.stop();
    expect(load.failures).toEqual([]);
    expect(({} as Record<string, unknown>)['endpoints']).toBeUndefined();
  });

  it('leaves its last good version in force, and says so', async () => {
    const { gateway, orders } = await startFleet(started(1));
    await gateway.write('orders.yaml', 'routes: [');
    expect((await gateway.reload()).body).toMatch(/orders\.yaml:\d+:\d+/);
    expect((await fetch(`${gateway.url}/orders/x`)).status).toBe(200);
    expect((await gateway.admin('/metrics')).body).toMatch(/stale[^\n]*orders\.yaml/);
    await gateway.write('orders.yaml', service('orders', orders, 3));
    expect((await gateway.reload()).status).toBe(200);
    expect(revisionOf((await (await fetch(`${gateway.url}/orders/x`)).json()) as Echo)).toBe('3');
  });
});

function revisionOf({ fields }: Echo): string | undefined {
  return fields[fields.findIndex((field) => field.toLowerCase() === 'x-revision') + 1];
}
