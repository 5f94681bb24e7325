import { describe, expect, it } from 'vitest';
import { FakeClock } from '../../../test/support/fake-clock.ts';
import { Recent } from './recent.ts';

describe('what was found out lately', () => {
  it('is forgotten in its time', () => {
    const clock = new FakeClock();
    const recent = new Recent<string>(clock, 10, 100);
    recent.set('a', 'x', clock.wall() + 1000, 1);
    recent.set('b', 'x', clock.wall(), 1);
    clock.advance(999);
    expect([recent.get('a'), recent.get('b')]).toEqual(['x', undefined]);
    clock.advance(1);
    expect(recent.get('a')).toBeUndefined();
  });

  it('makes room for what is newer, the least used first', () => {
    const clock = new FakeClock();
    const recent = new Recent<number>(clock, 3, 100);
    for (const name of ['a', 'b', 'c']) recent.set(name, 1, clock.wall() + 1000, 1);
    recent.get('a');
    recent.set('d', 1, clock.wall() + 1000, 1);
    expect(['a', 'b', 'c', 'd'].filter((name) => recent.get(name) !== undefined)).toEqual(['a', 'c', 'd']);
  });

  it('takes no more bytes than it may', () => {
    const clock = new FakeClock();
    const recent = new Recent<number>(clock, 100, 10);
    for (const name of ['a', 'b', 'c']) recent.set(name, 1, clock.wall() + 1000, 4);
    recent.set('huge', 1, clock.wall() + 1000, 11);
    recent.set('c', 2, clock.wall() + 1000, 4);
    expect(['a', 'b', 'c', 'huge'].map((name) => recent.get(name))).toEqual([undefined, 1, 2, undefined]);
  });
});
