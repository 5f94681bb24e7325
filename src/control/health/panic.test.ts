import { expect, test } from 'vitest';
import { config, logEntries, poolConfig } from '../../../test/support/config.ts';
import { FakeClock } from '../../../test/support/fake-clock.ts';
import { ENDPOINT, EndpointTable } from '../../memory/endpoint-table.ts';
import { EndpointRegistry } from '../endpoint-registry.ts';
import { PanicWatch } from './panic.ts';

test('panic is said once when a pool falls below its share, counted, and said again when it is over', () => {
  const clock = new FakeClock();
  const registry = new EndpointRegistry(EndpointTable.allocate(1, 16), clock);
  const { log, events } = logEntries();
  const panic = new PanicWatch(registry, log);
  const serving = config([
    poolConfig([...[1, 2, 3].map((at) => `http://10.0.0.${at}:80`), { url: 'http://10.0.0.4:80', backup: true }]),
  ]);
  registry.commit(serving, registry.hold(1, serving));
  panic.update(serving.pools);
  const members = registry.pools.get('orders')!;
  const set = (index: number, on: boolean) =>
    registry.set(members[index]!, ENDPOINT.unhealthy, on, 'active: 3/3 status 503');

  set(0, true);
  expect(panic.isOn('orders')).toBe(false);
  set(1, true);
  expect(panic.isOn('orders')).toBe(false); // The backup serves with the one that is left, and they are trusted.
  set(3, true);
  expect(panic.isOn('orders')).toBe(true);
  set(2, true);
  set(3, false);
  expect(panic.isOn('orders')).toBe(false);
  set(3, true);
  set(0, false);
  set(1, false);
  expect(events()).toEqual(['pool_panic', 'pool_panic_over', 'pool_panic', 'pool_panic_over']);
  expect(panic.count('orders')).toBe(2);
});
