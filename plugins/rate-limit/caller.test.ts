import { expect, it } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import type { Exchange } from '../../src/data/exchange.ts';
import { compileKey } from './caller.ts';

it('keys stay short and distinct, however long the field is that makes them', async () => {
  const keyOf = await compileKey('header:x-tenant', systemClock);
  const keys = ['', 'a', 'b'].map((end) => {
    const exchange = { clientAddress: '203.0.113.7', header: () => 'x'.repeat(16_000) + end };
    return keyOf(exchange as unknown as Exchange);
  });
  expect(new Set(keys).size).toBe(3);
  expect(Math.max(...keys.map(({ length }) => length))).toBeLessThan(256);
});
