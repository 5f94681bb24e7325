import { expect, test } from 'vitest';
import { scanLanguage } from './language.ts';
import { assemble } from './load.ts';

const POOL = 'pools: { a: { endpoints: [http://10.0.0.1:80] } }\n';
const language = await scanLanguage();

function routeOf(route: string, gateway = '{}') {
  const sources = [
    { file: 'gateway.yaml', bytes: Buffer.from(gateway) },
    { file: 'routes.d/a.yaml', bytes: Buffer.from(`${POOL}routes:\n  - { name: r, pool: a, ${route} }\n`) },
  ];
  const { config, problems } = assemble(import.meta.dirname, sources, { env: {}, language });
  expect(problems).toEqual([]);
  return config!.routes[0]!;
}

test('a route of gRPC takes bodies of any size, and its answer may begin late', () => {
  const { limits, timeout } = routeOf('match: { grpc: shop.Orders }');
  expect([limits.body, timeout.head, timeout.streamIdle]).toEqual(['none', 300_000, 300_000]);
  expect(routeOf('match: { grpc: shop.Orders }, timeout: { streamIdle: 1h }').timeout.head).toBe(3_600_000);
});

test('what the route or the defaults of the gateway say holds', () => {
  const own = routeOf('match: { grpc: shop.Orders }, timeout: { head: 1s }, limits: { body: 2MiB }');
  expect([own.limits.body, own.timeout.head]).toEqual([2 * 1024 ** 2, 1000]);
  const common = routeOf(
    'match: { grpc: shop.Orders }',
    '{ defaults: { timeout: { head: 2s }, limits: { body: 3MiB } } }',
  );
  expect([common.limits.body, common.timeout.head]).toEqual([3 * 1024 ** 2, 2000]);
});

test('a route that takes other requests too has the usual ones', () => {
  const { limits, timeout } = routeOf('match: [{ grpc: shop.Orders }, { path: /shop }]');
  expect([limits.body, timeout.head]).toEqual([1024 ** 2, 15_000]);
});
