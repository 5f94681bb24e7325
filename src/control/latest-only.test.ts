import { expect, test } from 'vitest';
import { settle } from '../../test/support/fake-clock.ts';
import { LatestOnly } from './latest-only.ts';

/** A job that ends when told. */
function held() {
  const started: string[] = [];
  const ends: (() => void)[] = [];
  const latest = new LatestOnly((input: string) => {
    started.push(input);
    return new Promise<string>((resolve) => ends.push(() => resolve(`done ${input}`)));
  });
  return { latest, started, end: () => ends.shift()!() };
}

test('two at once are one after the other', async () => {
  const { latest, started, end } = held();
  const first = latest.run('first');
  const second = latest.run('second');
  expect(started).toEqual(['first']);
  end();
  expect(await first).toBe('done first');
  await settle();
  expect(started).toEqual(['first', 'second']);
  end();
  expect(await second).toBe('done second');
});

test('of many that wait only the last one runs, and answers for all', async () => {
  const { latest, started, end } = held();
  const first = latest.run('first');
  const waiting = ['second', 'third', 'fourth'].map((input) => latest.run(input));
  end();
  await first;
  await settle();
  end();
  expect(await Promise.all(waiting)).toEqual(['done fourth', 'done fourth', 'done fourth']);
  expect(started).toEqual(['first', 'fourth']);
});

test('one that fails does not stop the next', async () => {
  const latest = new LatestOnly((input: string) =>
    input === 'bad' ? Promise.reject(new Error('refused')) : Promise.resolve(input),
  );
  const bad = latest.run('bad');
  const good = latest.run('good');
  await expect(bad).rejects.toThrow('refused');
  expect(await good).toBe('good');
  expect(await latest.run('again')).toBe('again');
});
