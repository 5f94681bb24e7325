import { describe, expect, it } from 'vitest';
import { candidates, pickContext, requestOf } from '../../test/support/picking.ts';
import { createBalancer, scanBalancers } from './balance.ts';
import type { Balancer, Candidate } from './endpoint.ts';
import { stepMs, warmthAt } from './slow-start.ts';
import { Tiers, type Seat } from './tiers.ts';

const definitions = await scanBalancers();
const START = { for: 30_000, aggression: 1, min: 0.1 };

describe('what an endpoint has of its weight', () => {
  it.each([
    // [share of the window, aggression, weight]: Envoy's formula.
    [0, 1, 0.1],
    [0.05, 1, 0.1],
    [0.5, 1, 0.5],
    [0.25, 2, 0.5],
    [0.5, 0.5, 0.25],
    [0.999, 1, 0.999],
    [1, 1, 1],
    [40, 1, 1],
  ])('after %d of its window, with an aggression of %d, is %d', (elapsed, aggression, expected) => {
    expect(warmthAt({ ...START, aggression }, 1_000, 1_000 + elapsed * 30_000)).toBeCloseTo(expected, 9);
  });

  it('is all where it never started beside others, and never less than the least, whatever the clock says', () => {
    expect(warmthAt(START, 0, 5)).toBe(1);
    expect(warmthAt(START, 1_000, 0)).toBe(0.1);
  });

  it('is looked at often enough, and not more', () => {
    expect(stepMs(START)).toBe(600);
    expect(stepMs({ ...START, for: 100 })).toBe(100);
  });
});

describe.each([...definitions.keys()])('with %s, one that starts slowly', (name) => {
  const WARMTH = 0.2;

  /** Three endpoints, or five; the first is cold. @returns the share it has of picks by as many clients. */
  function shareOfFirst(count: number, prepare: (table: ReturnType<typeof pickContext>['table']) => void): number {
    const context = pickContext(5);
    const config = name === 'hash' ? { hash: 'header:x-user' } : name;
    const tiers = new Tiers<Candidate>(
      () => createBalancer<Seat<Candidate>>(definitions, config, context),
      context.random,
    );
    const members = candidates(...Array.from({ length: count }, () => 1));
    prepare(context.table);
    tiers.update([{ priority: 0, share: 1, members }], ({ row }) => (row === 0 ? WARMTH : 1));
    let picked = 0;
    for (let number = 0; number < 8_000; number++) if (tiers.pick(requestOf(number))!.row === 0) picked += 1;
    return picked / 8_000;
  }

  it.each([3, 5])('beside %d others has its part of the share, though it has nothing to do', (count) => {
    const fair = WARMTH / (WARMTH + count - 1);
    // Everybody else is busy: whoever goes by requests in flight would give all to the new one.
    const share = shareOfFirst(count, (table) => {
      for (let row = 1; row < count; row++) for (let busy = 0; busy < 20; busy++) table.begin(row, 0);
    });
    expect(share).toBeGreaterThan(fair * 0.7);
    expect(share).toBeLessThan(fair * 1.3);
  });

  it('has no more of it for being fast', () => {
    const share = shareOfFirst(3, (table) => {
      table.setAverage(0, 1, 0);
      for (let row = 1; row < 3; row++) table.setAverage(row, 50, 0);
    });
    expect(share).toBeLessThan((WARMTH / (WARMTH + 2)) * 1.3);
  });
});

describe('tiers', () => {
  const MEMBERS = candidates(1, 1, 1, 1);
  const SHARED = [
    { priority: 0, share: 0.7, members: MEMBERS.slice(0, 2) },
    { priority: 1, share: 0.3, members: MEMBERS.slice(2) },
  ];

  function tiersOf(name: string) {
    const context = pickContext(9);
    const config = name === 'hash' ? { hash: 'header:x-user' } : name;
    const create = (): Balancer<Seat<Candidate>> => createBalancer(definitions, config, context);
    return { tiers: new Tiers<Candidate>(create, context.random), table: context.table };
  }

  it.each([...definitions.keys()])('have their shares with %s, whatever each of them costs', (name) => {
    const { tiers, table } = tiersOf(name);
    for (const row of [0, 1]) {
      for (let busy = 0; busy < 50; busy++) table.begin(row, 0);
      table.setAverage(row, 500, 0);
    }
    tiers.update(SHARED, () => 1);
    let second = 0;
    for (let number = 0; number < 10_000; number++) if (tiers.pick(requestOf(number))!.row >= 2) second += 1;
    expect(second / 10_000).toBeGreaterThan(0.27);
    expect(second / 10_000).toBeLessThan(0.33);
  });

  it.each(['hash', 'ip-hash', 'url-hash'])('keep the keys of %s where they are, but for what spills', (name) => {
    const { tiers } = tiersOf(name);
    const homes = () => Array.from({ length: 5_000 }, (_, number) => tiers.pick(requestOf(number))!.row);
    tiers.update([{ priority: 0, share: 1, members: MEMBERS.slice(0, 2) }], () => 1);
    const before = homes();
    tiers.update(SHARED, () => 1);
    const after = homes();
    expect(homes()).toEqual(after);
    const moved = after.filter((row, at) => row !== before[at]).length / 5_000;
    expect(moved).toBeGreaterThan(0.27);
    expect(moved).toBeLessThan(0.33);
    expect(after.every((row, at) => row === before[at] || row >= 2)).toBe(true);
  });

  it('pick nobody where there is none', () => {
    const { tiers } = tiersOf('random');
    tiers.update([], () => 1);
    expect(tiers.pick(requestOf(1))).toBeUndefined();
  });
});
