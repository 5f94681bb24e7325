import { beforeEach, describe, expect, test } from 'vitest';
import { config, poolConfig } from '../../test/support/config.ts';
import { FakeClock } from '../../test/support/fake-clock.ts';
import { ENDPOINT, EndpointTable } from '../memory/endpoint-table.ts';
import { EndpointRegistry, RegistryFull } from './endpoint-registry.ts';

const A = 'http://10.0.0.1:80';
const B = 'http://10.0.0.2:80';
const C = 'http://10.0.0.3:80';

const of = (...urls: string[]) => config([poolConfig(urls)]);

let clock: FakeClock;
let table: EndpointTable;
let registry: EndpointRegistry;

beforeEach(() => {
  clock = new FakeClock();
  // Four for endpoints, one for their pool.
  table = EndpointTable.allocate(1, 5);
  registry = new EndpointRegistry(table, clock);
});

function serve(id: number, ...urls: string[]) {
  const serving = of(...urls);
  registry.commit(serving, registry.hold(id, serving));
}

const rowOf = (url: string) => registry.pools.get('orders')!.find((endpoint) => endpoint.url === url)!.row;

describe('rows', () => {
  test('an endpoint keeps its row, and its state with it, when others come and go', () => {
    serve(1, A, B);
    const row = rowOf(B);
    table.addFailure(row);
    serve(2, B, C);
    registry.release(1);
    expect(rowOf(B)).toBe(row);
    expect(table.failures(row)).toBe(1);
  });

  test('a changed weight is shown without a new identity', () => {
    serve(1, A);
    const before = registry.pools.get('orders')![0];
    const heavier = config([poolConfig([{ url: A, weight: 7 }])]);
    registry.commit(heavier, registry.hold(2, heavier));
    expect(registry.pools.get('orders')![0]).toBe(before);
    expect(before!.config.weight).toBe(7);
  });

  test('the same address in two pools, or with another TLS identity, is another endpoint', () => {
    registry = new EndpointRegistry(EndpointTable.allocate(1, 6), clock);
    const both = config([
      poolConfig([A]),
      poolConfig([A], { name: 'users' }),
      poolConfig([A], { name: 'secure', tls: { verify: true, minVersion: '1.2', serverName: 'a.internal' } }),
    ]);
    const rows = [...registry.hold(1, both)].filter(([key]) => key.includes(A)).map(([, row]) => row);
    expect(new Set(rows).size).toBe(3);
  });

  test('a row is not given away while any generation still uses its endpoint', () => {
    serve(1, A, B);
    const row = rowOf(A);
    serve(2, B);
    clock.advance(1);
    serve(3, B, C);
    expect(rowOf(C)).not.toBe(row);
    expect(registry.at(row)!.url).toBe(A);
  });

  test('a free row rests for a turn of the event loop and comes back empty', () => {
    serve(1, A, B, C, 'http://10.0.0.4:80');
    const row = rowOf(A);
    registry.set(registry.at(row)!, ENDPOINT.unhealthy, true, 'active: 3/3 status 503');
    table.begin(row, 0);
    serve(2, B, C);
    registry.release(1);
    expect(registry.at(row)).toBeUndefined();

    expect(() => registry.hold(3, of(B, C, 'http://10.0.0.5:80', 'http://10.0.0.6:80'))).toThrow(RegistryFull);
    clock.advance(0);
    serve(3, B, C, 'http://10.0.0.5:80');
    expect(rowOf('http://10.0.0.5:80')).toBe(row);
    expect(table.status(row)).toBe(0);
    expect(table.inFlight(row)).toBe(0);
    expect(registry.at(row)!.history).toEqual([]);
  });

  test('a configuration that needs more rows than are free is refused whole', () => {
    serve(1, A, B);
    const tooMany = of(A, B, C, 'http://10.0.0.4:80', 'http://10.0.0.5:80');
    expect(() => registry.hold(2, tooMany)).toThrow('3 new endpoints and pools need rows and 2 of 5 are free');
    serve(3, A, B, C, 'http://10.0.0.4:80');
    expect(registry.pools.get('orders')).toHaveLength(4);
  });
});

describe('status', () => {
  test('every change is told with its reason, and remembered with its time', () => {
    serve(1, A);
    const endpoint = registry.pools.get('orders')![0]!;
    const told: string[] = [];
    registry.onChange(({ on, reason }) => told.push(`${on} ${reason}`));
    registry.set(endpoint, ENDPOINT.unhealthy, true, 'active: 3/3 connection refused');
    registry.set(endpoint, ENDPOINT.unhealthy, true, 'active: 4/3 connection refused');
    const since = clock.wall();
    clock.advance(60_000);
    registry.set(endpoint, ENDPOINT.unhealthy, false, 'active: 2/2 status 200');
    expect(told).toEqual(['true active: 3/3 connection refused', 'false active: 2/2 status 200']);
    expect(endpoint.history).toEqual([
      { since, status: ENDPOINT.unhealthy, reason: 'active: 3/3 connection refused' },
      { since: since + 60_000, status: 0, reason: 'active: 2/2 status 200' },
    ]);
  });

  test('an endpoint that is gone is not written to: its row may be another’s', () => {
    serve(1, A);
    const gone = registry.pools.get('orders')![0]!;
    serve(2, B);
    registry.release(1);
    clock.advance(0);
    const full = of(B, C, 'http://10.0.0.4:80', 'http://10.0.0.5:80');
    registry.commit(full, registry.hold(3, full));
    expect(registry.at(gone.row)).toBeDefined();
    registry.set(gone, ENDPOINT.unhealthy, true, 'active: 3/3 connection refused');
    expect(table.status(gone.row)).toBe(0);
  });
});
