import { describe, expect, it } from 'vitest';
import Value from 'typebox/value';
import { FakeClock } from '../../test/support/fake-clock.ts';
import deadline from './index.ts';
import { readDeadline } from './read.ts';
import schema from './schema.ts';

describe('a deadline', () => {
  const clock = new FakeClock();
  const startedAt = clock.now() - 100;

  it.each([
    ['250ms', 250],
    ['0ms', 0],
    ['0.5ms', 0.5],
    ['2s', 2_000],
    ['1.5s', 1_500],
    ['999999999s', 999_999_999_000],
  ])('%s is so much after the request came', (text, ms) =>
    expect(readDeadline(text, startedAt, clock)).toBe(startedAt + ms),
  );

  it('of thirteen digits is a moment, on the wall clock', () => {
    expect(readDeadline(String(clock.wall() + 5_000), startedAt, clock)).toBe(clock.now() + 5_000);
    expect(readDeadline('1000000000000', startedAt, clock)).toBeLessThan(clock.now());
  });

  it.each([
    '',
    ' 5ms',
    '5ms ',
    '5',
    '5m',
    '5h',
    '+5ms',
    '-5ms',
    '.5s',
    '5.s',
    '1e3ms',
    '5MS',
    '١ms',
    '1763737200',
    'NaN',
  ])('%j is none', (text) => expect(readDeadline(text, startedAt, clock)).toBeNaN());
});

describe('the options', () => {
  const decode = (options: unknown) => Value.Decode(schema, Value.Default(schema, options));

  it('have the documented defaults', () => {
    const defaults = { trust: ['proxies'], send: 'relative' };
    expect(decode({})).toEqual(defaults);
    expect(decode(true)).toEqual(defaults);
  });

  it('refuse what makes no sense', () => {
    for (const wrong of [{ trust: ['clients'] }, { trust: 'proxies' }, { send: true }, { header: 'x' }, '5s']) {
      expect(Value.Check(schema, Value.Default(schema, wrong))).toBe(false);
    }
    const check = (options: object) => deadline.check!(options as never, {} as never, new Set());
    expect(check({ trust: [], send: 'none' })).toHaveLength(1);
    expect(check({ trust: [], send: 'relative' })).toEqual([]);
    expect(check({ trust: ['proxies'], send: 'none' })).toEqual([]);
  });
});
