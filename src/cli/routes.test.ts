import { expect, it } from 'vitest';
import { configDirectory } from '../../test/support/command.ts';
import { routes } from './routes.ts';

const FILES = {
  'routes.d/orders.yaml': `pools:
  orders: { endpoints: [http://10.0.0.1] }
  orders-next: { endpoints: [http://10.0.0.2] }
routes:
  - { name: rest, pool: orders }
  - name: beta
    match: { path: /orders/*, headers: { x-version: "2" }, query: { debug: { present: false } } }
    pool: orders-next
  - name: orders
    match: [{ host: api.example.com, path: /orders/*, methods: [GET, POST] }, { path: { regex: "/v[0-9]+/orders" } }]
    split: [{ pool: orders, weight: 95 }, { pool: orders-next, weight: 5 }]
  - { name: docs, match: { path: /docs }, redirect: { to: https://docs.example.com, status: 301 } }
`,
};

it('lists every match in the order of precedence, with what it asks for, where it goes and where it was written', async () => {
  const { out = '', exitCode } = await routes(await configDirectory(FILES));
  expect(exitCode).toBe(0);
  const cells = out.split('\n').map((line) => line.split(/ {2,}/));
  expect(cells.slice(1)).toEqual([
    ['1', 'api.example.com', '/orders/*', 'GET,POST', 'orders', 'orders 95, orders-next 5', 'routes.d/orders.yaml:9:5'],
    ['2', '*', '/docs', 'any', 'docs', 'redirect 301 to https://docs.example.com', 'routes.d/orders.yaml:12:5'],
    [
      '3',
      '*',
      '/orders/*',
      'any',
      'header x-version = 2, query debug is absent',
      'beta',
      'orders-next',
      'routes.d/orders.yaml:6:5',
    ],
    ['4', '*', '~ /v[0-9]+/orders', 'any', 'orders', 'orders 95, orders-next 5', 'routes.d/orders.yaml:9:5'],
    ['5', '*', '/*', 'any', 'rest', 'orders', 'routes.d/orders.yaml:5:5'],
  ]);
});

it('gives the same as data', async () => {
  const { out = '' } = await routes(await configDirectory(FILES), { json: true });
  const rows = JSON.parse(out) as object[];
  expect(rows[0]).toMatchObject({
    rank: 1,
    route: 'orders',
    methods: ['GET', 'POST'],
    pools: [{ pool: 'orders', weight: 95 }, {}],
  });
  expect(rows[1]).toMatchObject({ route: 'docs', methods: null, redirect: { status: 301 } });
});

it('refuses a wrong configuration with every error in it', async () => {
  const dir = await configDirectory({
    'routes.d/a.yaml': 'routes: [{ name: a, match: { path: /a }, pool: x }, { name: b, pool: y }]',
  });
  await expect(routes(dir)).rejects.toThrow(/2 errors\n.*a\.yaml:1:.*\n.*a\.yaml:1:/);
});
