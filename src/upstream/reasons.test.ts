import { describe, expect, it } from 'vitest';
import { BREAKER } from '../memory/breaker-table.ts';
import { ENDPOINT } from '../memory/endpoint-table.ts';
import { AGAINST, reasonsAgainst, reasonsOf, reasonText, statusWords, type Standing } from './reasons.ts';

const FINE: Standing = {
  status: 0,
  breaker: BREAKER.closed,
  weight: 1,
  writtenWeight: 1,
  isFull: false,
  levelServes: true,
  isWarming: false,
  backup: false,
  isCandidate: true,
  isTried: false,
};

const wordsOf = (standing: Partial<Standing>) =>
  reasonsOf(reasonsAgainst({ ...FINE, ...standing })).map(([, word]) => word);

describe('the reasons against an endpoint', () => {
  it.each<[string, Partial<Standing>, string[]]>([
    ['is none, when it may be picked', {}, []],
    ['is its status', { isCandidate: false, status: ENDPOINT.unhealthy | ENDPOINT.ejected }, ['unhealthy', 'ejected']],
    ['is its breaker', { isCandidate: false, breaker: BREAKER.open }, ['breaker open']],
    [
      'is its breaker, also while that is probed',
      { isCandidate: false, breaker: BREAKER.halfOpen },
      ['breaker half-open'],
    ],
    ['is that another attempt had it', { isTried: true }, ['tried already']],
    ['is its weight', { weight: 0, writtenWeight: 0 }, ['weight 0']],
    ['is what its agent says of its weight', { weight: 0 }, ['weight 0 by its agent']],
    ['is that it has all that it may have', { isFull: true }, ['at limit']],
    ['is that it is a backup, while others serve', { backup: true, isCandidate: false }, ['backup']],
    ['is its zone, while those of the own one serve', { isCandidate: false }, ['other zone']],
    ['is its priority, while those before it serve', { isCandidate: false, levelServes: false }, ['lower priority']],
    ['is a slow start, which keeps it from nothing', { isWarming: true }, ['slow start']],
    ['is not that, when it has to serve itself', { backup: true }, []],
    [
      'is a worse one than that, where there is one',
      { backup: true, isCandidate: false, status: ENDPOINT.draining },
      ['draining'],
    ],
    ['in panic is not its status', { status: ENDPOINT.unhealthy, isTried: true }, ['tried already']],
  ])('%s', (_, standing, words) => {
    expect(wordsOf(standing)).toEqual(words);
  });

  it('have a word each, and no bit in common', () => {
    const bits = Object.values(AGAINST);
    expect(new Set(bits).size).toBe(bits.length);
    expect(reasonsOf(bits.reduce((all, bit) => all | bit, 0))).toHaveLength(bits.length);
  });

  it('are those of the endpoint table in the same words, whatever is added to it', () => {
    // What only says how a drain is meant is no reason.
    const names = Object.keys(ENDPOINT).filter((name) => name !== 'keepsSessions');
    const all = Object.values(ENDPOINT).reduce((sum, bit) => sum | bit, 0);
    expect(statusWords(all)).toEqual(names);
    expect(wordsOf({ isCandidate: false, status: all })).toEqual(names);
  });

  it('begin with their word where they are told as a sentence', () => {
    for (const [, word] of reasonsOf(0xffffff)) expect(reasonText(word).startsWith(word)).toBe(true);
  });
});
