import { describe, expect, it } from 'vitest';
import type { PanicConfig } from '../config/schema.ts';
import { chooseCandidates } from './candidates.ts';

const SPREAD: PanicConfig = { below: 0.5, then: 'spread' };

/** `a` is available, `-a` is not, `a!` has an open breaker, `(a)` is a backup. */
function choose(written: string, panic = SPREAD): { candidates: string; broken: string } {
  const members = written.split(' ').map((word) => ({
    name: /[a-z]/.exec(word)![0],
    backup: word.startsWith('('),
    available: !word.includes('-'),
    closed: !word.includes('!'),
  }));
  const { candidates, broken } = chooseCandidates(
    members,
    panic,
    ({ available }) => available,
    ({ closed }) => closed,
  );
  const names = (chosen: readonly { name: string }[]) => chosen.map(({ name }) => name).join(' ');
  return { candidates: names(candidates), broken: names(broken) };
}

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
  ])('of %s are "%s", and "%s" wait for a probe', (members, candidates, broken) => {
    expect(choose(members)).toEqual({ candidates, broken });
  });

  it('are not all in a panic that fails', () => {
    expect(choose('-a -b! c', { below: 0.5, then: 'fail' })).toEqual({ candidates: 'c', broken: '' });
  });
});
