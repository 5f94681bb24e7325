import { expect, test } from 'vitest';
import { routeConfig } from '../../test/support/config.ts';
import { FakeClock } from '../../test/support/fake-clock.ts';
import { NO_ROUTE, OTHER_ROUTES, RouteRegistry } from './route-registry.ts';

const named = (...names: string[]) => names.map((name) => routeConfig(name));

function registry(maxRoutes: number) {
  const clock = new FakeClock();
  const reset: number[] = [];
  return { clock, reset, routes: new RouteRegistry(maxRoutes, clock, (row) => reset.push(row)) };
}

test('a route keeps its row over reloads, whatever comes before it', () => {
  const { routes } = registry(10);
  const before = routes.hold(1, named('a', 'b')).get('b');
  const after = routes.hold(2, named('z', 'b')).get('b');
  routes.release(1);
  expect(after).toBe(before);
  expect(routes.names.get(before!)).toBe('b');
});

test('no route gets a row that means something else', () => {
  const { routes } = registry(2);
  const rows = [...routes.hold(1, named('a', 'b')).values()];
  expect(rows).not.toContain(OTHER_ROUTES.row);
  expect(rows).not.toContain(NO_ROUTE.row);
});

test('routes beyond the bound share one row, and get their own when there is room again', () => {
  const { clock, reset, routes } = registry(2);
  expect(routes.hold(1, named('a', 'b', 'c', 'd')).get('d')).toBe(OTHER_ROUTES.row);
  const freed = routes.hold(2, named('b', 'd')).get('a');
  expect(freed).toBeUndefined();
  routes.release(1);
  clock.advance(0);
  reset.length = 0;
  const row = routes.hold(3, named('b', 'd')).get('d')!;
  expect(row).toBeGreaterThan(NO_ROUTE.row);
  expect(reset).toEqual([row]);
  expect([...routes.names.values()].sort()).toEqual(['__none__', '__other__', 'b', 'd']);
});
