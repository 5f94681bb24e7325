/** What threads do to each other in the table, step by step; that they do not in a storm is in limits/memory-limits.test.ts. */
import { describe, expect, it } from 'vitest';
import { LimitTable, MAX_COUNT, TICKS_PER_MS } from './limit-table.ts';

const WALL = Date.UTC(2026, 0, 1);
const wall = () => WALL;

/** Two threads' views of one table with a single bucket of sixteen slots. */
function twoThreads() {
  const one = LimitTable.allocate(0, 1);
  return { one, other: new LimitTable(one.buffers) };
}

function charge(table: LimitTable, key: number, due: number, isBlocked = false, now = 0): boolean {
  const slot = table.open(key, key, now, wall);
  return slot !== -1 && table.setDue(slot, due, isBlocked);
}

function dueOf(table: LimitTable, key: number): number | undefined {
  return table.find(key, key) === -1 ? undefined : table.due;
}

describe('a state', () => {
  it('keeps moments and counts as they were written', () => {
    const { one, other } = twoThreads();
    for (const due of [1, 2 ** 31, 2 ** 32 + 7, 2 ** 52 + 1]) {
      charge(one, 7, due);
      expect(dueOf(other, 7)).toBe(due);
    }
    for (const count of [0, 1, MAX_COUNT]) {
      one.open(9, 9, 0, wall);
      const slot = one.open(9, 9, 0, wall);
      expect(one.setCount(slot, count, 1_000 * TICKS_PER_MS, false)).toBe(true);
      expect(other.find(9, 9)).toBe(slot);
      expect(other.count).toBe(count);
      expect(other.isBlocked).toBe(false);
    }
  });
});

describe('a thread that comes late', () => {
  it('cannot charge a state that another has changed', () => {
    const { one, other } = twoThreads();
    charge(one, 7, 100);
    const slot = one.open(7, 7, 0, wall);
    expect(charge(other, 7, 200)).toBe(true);
    expect(one.setDue(slot, 150, false)).toBe(false);
    expect(dueOf(one, 7)).toBe(200);
  });

  it('cannot charge a slot that another key has taken meanwhile', () => {
    const { one, other } = twoThreads();
    for (let key = 1; key <= 16; key++) charge(one, key, 100);
    const slot = one.open(1, 1, 50, wall);
    for (let key = 21; key <= 36; key++) expect(charge(other, key, 300, false, 200)).toBe(true);
    expect(one.setDue(slot, 150, false)).toBe(false);
    expect(dueOf(one, 1)).toBeUndefined();
    for (let key = 21; key <= 36; key++) expect(dueOf(one, key)).toBe(300);
  });
});

describe('a thread that dies while it takes a slot', () => {
  it('leaves a claim that the next one for this key completes', () => {
    const { one, other } = twoThreads();
    const slot = one.open(7, 7, 0, wall);
    expect(one.isFresh).toBe(true);
    expect(other.open(7, 7, 0, wall)).toBe(slot);
    expect(other.isFresh).toBe(true);
    expect(other.setDue(slot, 100, false)).toBe(true);
    expect(one.setDue(slot, 100, false)).toBe(false);
    expect(dueOf(one, 7)).toBe(100);
  });

  it('takes no room from others', () => {
    const { one, other } = twoThreads();
    for (let key = 1; key <= 16; key++) one.open(key, key, 0, wall);
    for (let key = 21; key <= 36; key++) expect(charge(other, key, 100)).toBe(true);
  });
});

describe('room', () => {
  it('is taken from who is free soonest, and never from who is blocked', () => {
    const { one } = twoThreads();
    for (let key = 1; key <= 16; key++) charge(one, key, key * 100, key <= 3);
    expect(charge(one, 99, 5_000)).toBe(true);
    expect(dueOf(one, 4)).toBeUndefined();
    for (const key of [1, 2, 3, 5, 16]) expect(dueOf(one, key)).toBe(key * 100);
  });

  it('is nobody’s while all are blocked, and it is known until when', () => {
    const { one } = twoThreads();
    for (let key = 1; key <= 16; key++) charge(one, key, key * 100, true);
    expect(one.open(99, 99, 40, wall)).toBe(-1);
    expect(one.crowdedFor).toBe(60);
    expect(charge(one, 99, 5_000, false, 100)).toBe(true);
  });

  it('comes back from counts when their time is over, by the clock that they were given', () => {
    const { one } = twoThreads();
    for (let key = 1; key <= 8; key++) one.setCount(one.open(key, key, 0, wall), 1, 1_000 * TICKS_PER_MS, true);
    for (let key = 9; key <= 16; key++) one.setWallCount(one.open(key, key, 0, wall), 1, WALL + 60_000, true);
    expect(one.open(99, 99, 0, wall)).toBe(-1);
    expect(charge(one, 99, 9e15, true, 1_200 * TICKS_PER_MS)).toBe(true);
    const later = () => WALL + 60_000;
    const slot = one.open(98, 98, 0, later);
    expect(slot).not.toBe(-1);
  });
});
