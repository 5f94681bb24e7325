import { expect, test } from 'vitest';
import { FakeClock, settle } from '../../test/support/fake-clock.ts';
import { seededRandom } from '../clock.ts';
import { poll, type Fresh } from './poll.ts';

/** Answers in turn, and when each was asked for. */
async function polled(answers: readonly (Fresh | Error)[]) {
  const clock = new FakeClock();
  const startedAt = clock.now();
  const askedAt: number[] = [];
  const heard: unknown[] = [];
  const stop = new AbortController();
  const ask = async () => {
    const answer = answers[askedAt.length % answers.length]!;
    askedAt.push(clock.now() - startedAt);
    if (answer instanceof Error) throw answer;
    return answer;
  };
  const ended = (async () => {
    for await (const answer of poll(ask, { clock, random: seededRandom(1), dir: '/' }, stop.signal)) heard.push(answer);
  })();
  await settle();
  return { clock, askedAt, heard, stop, ended };
}

test('an answer is asked for again when it has become old, a little earlier', async () => {
  const { clock, askedAt, heard } = await polled([{ instances: [], freshMs: 1_000 }]);
  await clock.advanceAsync(60_000, 50);
  const gaps = askedAt.slice(1).map((at, index) => at - askedAt[index]!);
  expect(Math.min(...gaps)).toBeGreaterThanOrEqual(900);
  expect(Math.max(...gaps)).toBeLessThanOrEqual(1_000);
  expect(heard).toHaveLength(askedAt.length);
});

test('after failures it asks ever more seldom, up to each half minute; one answer ends that', async () => {
  const away = new Error('away');
  const { clock, askedAt, heard } = await polled([
    ...Array.from({ length: 8 }, () => away),
    { instances: [], freshMs: 500 },
  ]);
  await clock.advanceAsync(200_000, 50);
  const seconds = askedAt.slice(1, 10).map((at, index) => Math.ceil((at - askedAt[index]!) / 1_000));
  expect(seconds.slice(0, 3)).toEqual([1, 2, 4]);
  expect(Math.max(...seconds)).toBeLessThanOrEqual(30);
  expect(Math.min(...seconds.slice(5, 8))).toBeGreaterThanOrEqual(27);
  expect(seconds[8]).toBe(1);
  expect(heard.slice(0, 9)).toEqual([...Array.from({ length: 8 }, () => away), []]);
});

test('it ends when it is told to, and leaves nothing behind', async () => {
  const { clock, stop, ended } = await polled([{ instances: [], freshMs: 1_000 }]);
  stop.abort();
  await ended;
  expect(clock.pending).toBe(0);
});
