import { describe, expect, it } from 'vitest';
import { FakeClock, settle } from '../../test/support/fake-clock.ts';
import { seededRandom } from '../clock.ts';
import { Availability } from './availability.ts';

function watched(seed = 1) {
  const clock = new FakeClock();
  const changes: string[] = [];
  const probedAt: number[] = [];
  let failure: string | undefined;
  const availability = new Availability({
    clock,
    random: seededRandom(seed),
    probe() {
      probedAt.push(clock.now());
      return Promise.resolve(failure);
    },
    onChange: (isUp, reason) => changes.push(isUp ? 'up' : reason),
  });
  return { clock, availability, changes, probedAt, become: (next: string | undefined) => (failure = next) };
}

describe('the availability of a store', () => {
  it('is known after the first probe', async () => {
    const { availability, changes } = watched();
    expect(availability.isUp).toBe(false);
    await availability.start();
    expect({ isUp: availability.isUp, changes }).toEqual({ isUp: true, changes: ['up'] });
  });

  it('ends with the third failure in a row, with one that is final, and with a lost connection', async () => {
    for (const lose of [
      (availability: Availability) => {
        availability.failed('slow', false);
        availability.failed('slow', false);
        availability.succeeded();
        availability.failed('slow', false);
        availability.failed('slow', false);
        expect(availability.isUp).toBe(true);
        availability.failed('slow', false);
      },
      (availability: Availability) => availability.failed('slow', true),
      (availability: Availability) => availability.lost('slow'),
    ]) {
      const { availability, changes } = watched();
      await availability.start();
      lose(availability);
      expect({ isUp: availability.isUp, changes }).toEqual({ isUp: false, changes: ['up', 'slow'] });
    }
  });

  it('is asked for ever more rarely, one probe at a time, and told once', async () => {
    const { clock, availability, changes, probedAt, become } = watched();
    become('refused');
    await availability.start();
    await clock.advanceAsync(60_000, 20);
    const pauses = probedAt.slice(1).map((at, number) => at - probedAt[number]!);
    expect(pauses[0]).toBeLessThanOrEqual(150 + 20);
    expect(Math.max(...pauses)).toBeLessThanOrEqual(7_500 + 20);
    expect(Math.min(...pauses.slice(6))).toBeGreaterThanOrEqual(2_500);
    expect(changes).toEqual(['refused']);
    become(undefined);
    await clock.advanceAsync(8_000, 20);
    expect({ isUp: availability.isUp, changes }).toEqual({ isUp: true, changes: ['refused', 'up'] });
    expect(clock.pending).toBe(0);
  });

  it('returns to many at many moments', async () => {
    const many = Array.from({ length: 64 }, (_, seed) => watched(seed + 1));
    const returned = await Promise.all(
      many.map(async ({ clock, availability, probedAt, become }) => {
        become('refused');
        await availability.start();
        await clock.advanceAsync(30_000, 50);
        become(undefined);
        while (!availability.isUp) await clock.advanceAsync(50);
        return probedAt.at(-1)!;
      }),
    );
    const bySecond = Map.groupBy(returned, (at) => Math.floor(at / 1_000));
    expect(Math.max(...[...bySecond.values()].map(({ length }) => length))).toBeLessThan(64 / 2);
  });

  it('is not asked for once it is closed', async () => {
    const { clock, availability, probedAt } = watched();
    await availability.start();
    availability.lost('gone');
    availability.close();
    clock.advance(60_000);
    await settle();
    expect(probedAt).toHaveLength(1);
  });
});
