import { describe, expect, it } from 'vitest';
import { seededRandom } from '../clock.ts';
import type { PanicConfig } from '../config/schema.ts';
import { ENDPOINT } from '../memory/endpoint-table.ts';
import { chooseCandidates, type Choice } from './candidates.ts';

const SPREAD: PanicConfig = { below: 0.5, then: 'spread' };

interface Options {
  readonly panic?: PanicConfig;
  readonly zone?: string;
}

/**
 * `a` is available, `-a` is not, `~a` drains, `?a` joins, `a!` has an open breaker, `(a)` is a backup, `a1` of priority 1,
 * `a@x` in zone x, `a*3` of weight 3, `a%20` has a fifth of its weight.
 */
function choose(written: string, { panic = SPREAD, zone }: Options = {}) {
  const members = written.split(' ').map((word) => ({
    name: /[a-z]/.exec(word)![0],
    backup: word.startsWith('('),
    priority: Number(/[a-z](\d)/.exec(word)?.[1] ?? 0),
    zone: /@([a-z])/.exec(word)?.[1],
    weight: Number(/\*(\d+)/.exec(word)?.[1] ?? 1),
    part: Number(/%(\d+)/.exec(word)?.[1] ?? 100) / 100,
    status:
      (word.includes('-') ? ENDPOINT.unhealthy : 0) |
      (word.includes('~') ? ENDPOINT.draining : 0) |
      (word.includes('?') ? ENDPOINT.joining : 0),
    isClosed: !word.includes('!'),
  }));
  return chooseCandidates(members, { panic, overprovisioning: 1.4, zone }, (member) => member);
}

const names = (members: readonly { readonly name: string }[]) => members.map(({ name }) => name).join(' ');

/** `a b 70, c 30` */
const tiersOf = ({ tiers }: Choice<{ readonly name: string }>) =>
  tiers.map(({ members, share }) => `${names(members)} ${Math.round(share * 100)}`).join(', ');

describe('those who may be picked', () => {
  it.each([
    ['a b c', 'a b c', ''],
    ['a! b c', 'b c', 'a'],
    ['-a b! c', 'c', 'b'],
    // A breaker is no verdict on health: it neither brings on a panic nor gives way to one.
    ['a! b! c', 'c', 'a b'],
    ['-a -b! c', 'a c', 'b'],
    ['-a! -b! -c!', '', 'a b c'],
    ['a! b! c!', '', 'a b c'],
    // Backups stand in also for those whose breakers are open.
    ['a! b! (c)', 'c', 'a b'],
    ['a! b! (-c)', '', 'a b'],
    ['a! b! (c!) (d)', 'd', 'a b c'],
    ['-a -b (c!) (d)', 'd', 'c'],
    ['-a -b (c!)', '', 'c'],
    // So does the next priority, whose own breakers are not asked while it has no share.
    ['a! b! c1', 'c', 'a b'],
    ['a b c1!', 'a b', ''],
    ['a b! c1!', 'a', 'b c'],
    // Who joins waits, unless all do.
    ['a ?b', 'a', ''],
    ['?a ?b', 'a b', ''],
    ['-a ?b', 'a', ''],
    ['~a ?b', 'b', ''],
  ])('of %s are "%s", and "%s" wait for a probe', (members, candidates, broken) => {
    const choice = choose(members);
    expect([names(choice.candidates), names(choice.broken)]).toEqual([candidates, broken]);
  });

  it('are not all in a panic that fails', () => {
    const choice = choose('-a -b! c', { panic: { below: 0.5, then: 'fail' } });
    expect([names(choice.candidates), names(choice.broken), choice.panic]).toEqual(['c', '', true]);
    const none = choose('-a -b', { panic: { below: 0.5, then: 'fail' } });
    expect([names(none.candidates), none.panic]).toEqual(['', true]);
  });

  it.each([
    // As many as can be lost are taken up by the others; what is more spills.
    ['a b c1', 'a b 100'],
    ['-a b c1', 'b 70, c 30'],
    ['-a b c d1', 'b c 93, d 7'],
    ['-a -b c1 d2', 'c 100'],
    ['-a b -c1 d1 e2', 'b 70, d 30'],
    ['-a*3 b*1 c1', 'b 35, c 65'],
    ['a0 b1 c1*0', 'a 100'],
    // A pool of three with one left panics alone, and relies on the next priority where there is one.
    ['-a -b c', 'a b c 100'],
    ['-a -b c d1', 'c 47, d 53'],
    // Of two and two with one and none: none is left to rely on, and only the level without half of its own panics.
    ['-a b -c1 -d1', 'b 100'],
    ['-a -b -c d e1 -f1 -g1', 'a b c d 43, e f g 57'],
    ['-a -b c1 -d1', 'c 100'],
    ['-a -b -c1', 'a b 67, c 33'],
    // Nothing spills to backups while the others can serve, or one of two is left; then they are a level as any.
    ['-a b (c)', 'b 100'],
    ['-a -b c (d)', 'c 47, d 53'],
    ['-a -b (c)', 'c 100'],
    ['-a -b (-c)', 'a b 100'],
    ['-a b1 (c)', 'b 100'],
    // One that drains takes nothing, in a panic neither, and is missed.
    ['~a b c1', 'b 70, c 30'],
    ['~a ~b c', 'c 100'],
    ['~a ~b', ''],
    ['~a -b -c', 'b c 100'],
    ['~a (b)', 'b 100'],
    // Those that start slowly bring their level back as slowly.
    ['a%10 b%10 c1', 'a b 14, c 86'],
    ['a%10 b', 'a b 100'],
    // Weight 0 can do nothing.
    ['a*0 b1', 'b 100'],
    ['a*0', ''],
  ])('of %s are, with their shares, "%s"', (members, tiers) => {
    expect(tiersOf(choose(members))).toBe(tiers);
  });

  it.each([
    ['a b1', 'b'],
    ['a b1 (c)', 'b c'],
    ['-a b1 (c)', 'c'],
    ['a b1! -c1 ~d1', ''],
  ])('of %s leave "%s" for a further try', (members, reserve) => {
    expect(choose(members).reserve.map(names).filter(Boolean).join(' ')).toBe(reserve);
  });

  it.each([
    ['a@x b@y', 'a 100'],
    ['a@x b@x -c@x d@y e@y f@y', 'a b 100'],
    ['a@x -b@x -c@x d@y e@y f@y', 'a 70, d e f 30'],
    ['a@x b@y c@y d@y e@y f@y g@y h@y i@y j@y', 'a 28, b c d e f g h i j 72'],
    ['-a@x b@y c@y', 'b c 100'],
    ['a@y b@z', 'a b 100'],
    ['a b', 'a b 100'],
    ['a@x b', 'a 100'],
    // In a panic nobody asks where.
    ['-a@x -b@x -c@y d@y', 'a b c d 100'],
    ['-a@x b@y c1@x', 'b 70, c 30'],
    ['a@x%10 b@y', 'a 25, b 75'],
  ])('of %s in zone x are, with their shares, "%s"', (members, tiers) => {
    expect(tiersOf(choose(members, { zone: 'x' }))).toBe(tiers);
  });

  it('have shares that add up to one, each of them once, and none that drains', () => {
    const random = seededRandom(11);
    const draw = (...words: readonly string[]) => words[Math.floor(random() * words.length)]!;
    for (let round = 0; round < 3_000; round++) {
      const words = Array.from({ length: 1 + Math.floor(random() * 6) }, (_, at) => {
        const name = String.fromCharCode(97 + at);
        const mark = draw('', '', '-', '~', '?');
        const rest = `${draw('', '!')}${draw('', '@x', '@y')}${draw('', '*0', '*3')}${draw('', '%30')}`;
        return random() < 0.2 ? `(${mark}${name}${rest})` : `${mark}${name}${draw('0', '1', '2')}${rest}`;
      });
      const choice = choose(words.join(' '), {
        zone: draw('x', 'z'),
        panic: { below: 0.5, then: draw('spread', 'fail') as 'fail' },
      });
      const { tiers, candidates, broken, reserve } = choice;
      const about = words.join(' ');
      if (tiers.length > 0)
        expect(
          tiers.reduce((sum, { share }) => sum + share, 0),
          about,
        ).toBeCloseTo(1, 9);
      const all = [...candidates, ...broken, ...reserve.flat()].map(({ name }) => name);
      expect(new Set(all).size, about).toBe(all.length);
      for (const { status } of [...candidates, ...broken, ...reserve.flat()])
        expect(status & ENDPOINT.draining, about).toBe(0);
      for (const { members } of tiers)
        expect(
          members.some(({ weight }) => weight > 0),
          about,
        ).toBe(true);
      // Whoever could serve does so, or stands by.
      const able = candidates.length > 0 || broken.length > 0;
      const settled = words.some((word) => !/[?~]/.test(word));
      const isThere = words.some((word) => !/[-~!]|\*0/.test(word) && (!settled || !word.includes('?')));
      if (isThere) expect(able && tiers.length > 0, about).toBe(true);
    }
  });
});
