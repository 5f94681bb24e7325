import { describe, expect, it } from 'vitest';
import { FakeClock } from '../../test/support/fake-clock.ts';
import type { ConsumerDirectory } from '../../src/data/consumers.ts';
import type { Principal } from '../../src/data/principal.ts';
import { VerifiedCredentials } from './verified.ts';

const clock = new FakeClock();
const principal = (subject: string) => ({ subject }) as Principal;
const later = () => clock.wall() + 60_000;

function remembering(most: number, mostBytes?: number) {
  const consumers = { version: 0 };
  const verified = new VerifiedCredentials(clock, consumers as ConsumerDirectory, most, mostBytes);
  const add = (...names: string[]) => names.forEach((name) => verified.remember(name, principal(name), later()));
  const known = (...names: string[]) => names.filter((name) => verified.get(name) !== undefined);
  return { verified, consumers, add, known };
}

describe('what was verified', () => {
  it('is known until it expires', () => {
    const { verified } = remembering(2);
    const ada = principal('ada');
    verified.remember('a', ada, clock.wall() + 1000);
    clock.advance(999);
    expect(verified.get('a')).toBe(ada);
    clock.advance(1);
    expect(verified.get('a')).toBeUndefined();
    expect(verified.size).toBe(0);
  });

  it('is forgotten when consumers change, or all of it when told', () => {
    const { verified, consumers, add, known } = remembering(4);
    add('a');
    consumers.version++;
    expect(known('a')).toEqual([]);
    add('a', 'b');
    verified.clear();
    expect(known('a', 'b')).toEqual([]);
  });

  it('is bounded in number: those not seen lately go first', () => {
    const { verified, add, known } = remembering(3);
    add('a', 'b', 'c');
    known('a', 'c');
    add('d');
    expect(verified.size).toBe(3);
    expect(known('a', 'b', 'c', 'd')).toEqual(['a', 'c', 'd']);
  });

  it('makes room also where all were seen, or there is room for one', () => {
    const { verified, add, known } = remembering(3);
    add('a', 'b', 'c');
    known('a', 'b', 'c');
    add('d');
    expect(known('a', 'b', 'c', 'd')).toEqual(['b', 'c', 'd']);
    expect(verified.size).toBe(3);
    const one = remembering(1);
    one.add('a');
    one.known('a');
    one.add('b');
    expect(one.known('a', 'b')).toEqual(['b']);
  });

  it('is bounded in bytes', () => {
    const { verified, add, known } = remembering(100, 10);
    add('aaaa', 'bbbb', 'cccc');
    expect(known('aaaa', 'bbbb', 'cccc')).toEqual(['bbbb', 'cccc']);
    add('x'.repeat(11));
    expect(verified.size).toBe(2);
    add('x'.repeat(10));
    expect(verified.size).toBe(1);
    verified.clear();
    add('aaaa', 'bbbb');
    expect(verified.size).toBe(2);
  });

  it('counts a credential once that is remembered twice', () => {
    const { verified, add, known } = remembering(100, 10);
    for (let times = 0; times < 10; times++) add('aaaa');
    add('bbbb');
    expect(known('aaaa', 'bbbb')).toEqual(['aaaa', 'bbbb']);
    expect(verified.size).toBe(2);
  });
});
