import { describe, expect, it } from 'vitest';
import { calendar, isTimeZone } from './calendar.ts';

const at = (moment: string) => Date.parse(moment);
const HOUR = 3_600_000;

const period = (unit: 'day' | 'month', timeZone: string, moment: string) => {
  const { id, startMs, endMs } = calendar(unit, timeZone)(at(moment));
  return { id, start: new Date(startMs).toISOString(), hours: (endMs - startMs) / HOUR };
};

describe('a day', () => {
  it('begins at midnight where it is asked for', () => {
    expect(period('day', 'UTC', '2026-11-21T08:00:00Z')).toEqual({
      id: '2026-11-21',
      start: '2026-11-21T00:00:00.000Z',
      hours: 24,
    });
    expect(period('day', 'Asia/Kolkata', '2026-11-21T20:00:00Z')).toEqual({
      id: '2026-11-22',
      start: '2026-11-21T18:30:00.000Z',
      hours: 24,
    });
  });

  it('has 23 hours when clocks go forward, and 25 when they go back', () => {
    expect(period('day', 'Europe/Berlin', '2026-03-29T12:00:00Z')).toMatchObject({ id: '2026-03-29', hours: 23 });
    expect(period('day', 'Europe/Berlin', '2026-10-25T12:00:00Z')).toMatchObject({ id: '2026-10-25', hours: 25 });
  });

  it('begins at one where midnight is skipped', () => {
    expect(period('day', 'Africa/Cairo', '2026-04-24T12:00:00Z')).toEqual({
      id: '2026-04-24',
      start: '2026-04-23T22:00:00.000Z',
      hours: 23,
    });
  });

  it('holds the first and the last of its milliseconds, and no other', () => {
    const periodAt = calendar('day', 'America/New_York');
    const { id, startMs, endMs } = periodAt(at('2026-07-04T12:00:00Z'));
    expect([periodAt(startMs).id, periodAt(endMs - 1).id]).toEqual([id, id]);
    expect([periodAt(startMs - 1).id, periodAt(endMs).id]).toEqual(['2026-07-03', '2026-07-05']);
  });
});

describe('a month', () => {
  it('begins on its first day, leap years and changes of the clock included', () => {
    expect(period('month', 'UTC', '2028-02-29T23:59:59Z')).toEqual({
      id: '2028-02',
      start: '2028-02-01T00:00:00.000Z',
      hours: 29 * 24,
    });
    expect(period('month', 'Europe/Berlin', '2026-10-10T00:00:00Z')).toEqual({
      id: '2026-10',
      start: '2026-09-30T22:00:00.000Z',
      hours: 31 * 24 + 1,
    });
  });
});

it('knows which time zones there are', () => {
  expect(['UTC', 'Europe/Berlin', 'Mars/Base', ''].map(isTimeZone)).toEqual([true, true, false, false]);
});
