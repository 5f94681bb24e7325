import { beforeAll, describe, expect, it } from 'vitest';
import { configDirectory, FREE_PORTS } from '../../test/support/command.ts';
import { explain, type ExplainOptions, type Explanation } from './explain.ts';

const FILES = {
  'gateway.yaml': FREE_PORTS,
  'routes.d/orders.yaml': `pools:
  orders: { endpoints: [http://10.0.0.1, { url: http://10.0.0.2, backup: true }] }
  orders-next: { endpoints: [http://10.0.0.3], sticky: { cookie: next } }
routes:
  - name: orders
    match: { host: api.example.com, path: /orders/*, methods: [GET] }
    split: [{ pool: orders, weight: 9 }, { pool: orders-next, weight: 1, rewrite: { prefix: /next, host: next.internal } }]
    rewrite: { prefix: /v1 }
  - { name: tagged, match: { host: api.example.com, path: /orders/*, headers: { x-tag: a } }, pool: orders }
  - { name: site, match: { path: /site/* }, pool: orders }
  - { name: fallback, match: { host: api.example.com }, pool: orders }
  - { name: old, match: { path: /old }, redirect: { to: https://new.example.com } }
`,
};

let dir: string;
beforeAll(async () => {
  dir = await configDirectory(FILES);
});

async function text(method: string, url: string, options: Partial<ExplainOptions> = {}): Promise<string> {
  const outcome = await explain(method, url, { dir, header: [], client: '127.0.0.1', ...options });
  expect(outcome.exitCode).toBe(0);
  return outcome.out!;
}

async function data(method: string, url: string, options: Partial<ExplainOptions> = {}): Promise<Explanation> {
  return JSON.parse(await text(method, url, { ...options, json: true })) as Explanation;
}

describe('explain', () => {
  it('names the route that takes the request, and why each other one near it does not', async () => {
    const said = await text('GET', 'http://api.example.com/orders/7');
    expect(said).toContain('route orders (api.example.com /orders/*, routes.d/orders.yaml:5:5): the most specific');
    expect(said).toContain('goes to orders 9, orders-next 1');
    expect(said).toMatch(/ tagged +header x-tag is missing +routes\.d\/orders\.yaml:9:5/);
    expect(said).toMatch(/ fallback +it would, but a more specific path comes first/);
    expect(said).toContain('2 others for another host or path: --all shows them');
    expect(said).not.toContain('site');
  });

  it('shows the others too when asked for all', async () => {
    expect(await text('GET', 'http://api.example.com/orders/7', { all: true })).toMatch(
      / site +path \/orders\/7 is not/,
    );
  });

  it('takes the fields that are given, the host among them', async () => {
    const { chosen } = await data('POST', '/orders/7', { header: ['Host', 'API.example.com', 'X-Tag', 'a'] });
    expect(chosen).toMatchObject({ route: 'tagged', verdict: 'chosen', rank: 2 });
  });

  it('says what a session would change', async () => {
    const { destinations } = await data('GET', 'http://api.example.com/orders/7');
    expect(destinations.map(({ sticky }) => sticky)).toEqual([undefined, 'cookie:next']);
    expect(await text('GET', 'http://api.example.com/orders/7')).toContain(
      'a request with a session (cookie:next) goes where that is, while it takes traffic',
    );
  });

  it('says what each pool would be asked, and of whom', async () => {
    const { destinations } = await data('GET', 'http://api.example.com/orders/7?a=1');
    expect(destinations).toMatchObject([
      {
        pool: 'orders',
        weight: 9,
        sends: 'GET /v1/7?a=1',
        endpoints: [{ considered: true }, { considered: false, reason: 'backup: others are available' }],
      },
      { pool: 'orders-next', sends: 'GET /next/7?a=1 with host next.internal' },
    ]);
  });

  it('answers without a running gateway, and says that the states are unknown', async () => {
    expect(await text('GET', '/site/x', { admin: 'http://127.0.0.1:1' })).toContain(
      'state unknown: no gateway answers at http://127.0.0.1:1',
    );
  });

  it('guesses what was meant when no route matches', async () => {
    const said = await text('GET', '/sites');
    expect(said).toContain('no route matches: it is answered with 404');
    expect(said).toMatch(/ site +path \/sites is not \/site\/\*/);
  });

  it('asks no pool about a route that answers itself', async () => {
    const said = await text('GET', '/old');
    expect(said).toContain('answers with redirect 302 to https://new.example.com');
    expect(said).not.toContain('state');
  });

  it.each([
    ['/a/../../b', 'before any route is looked for, with 400: the path climbs above its root'],
    ['/site/a%2Fb', 'with 400: the path holds an encoded slash'],
  ])('says that %s is refused, and why', async (url, why) => {
    expect(await text('GET', url)).toContain(`refused ${why}`);
  });

  it('refuses a client that is no address', async () => {
    await expect(explain('GET', '/', { dir, header: [], client: 'me' })).rejects.toThrow("--client: 'me'");
  });
});
