import { describe, expect, it } from 'vitest';
import { PASSIVE } from '../../../test/support/config.ts';
import type { Sample } from '../../memory/sample-table.ts';
import { findOutliers } from './outlier-rules.ts';

/** `90/10`: so many good answers, so many failures; `90/10@25` with a median of 25 ms. */
function samples(...written: readonly string[]): Map<number, Sample> {
  return new Map(
    written.map((text, member) => {
      const [ok = 0, failed = 0, medianMs = 10] = text.split(/[/@]/).map(Number);
      return [member, { ok, failed, medianMs }];
    }),
  );
}

const FAILURES = { failurePercentage: { threshold: 0.5, minRequests: 20 } };
const RATE = { successRate: { factor: 1.9, margin: 0.05, minHosts: 5, minRequests: 100 } };
const SLOW = { slow: { factor: 5, margin: 100, minRequests: 20 } };

const found = (rules: object, ...written: readonly string[]) =>
  findOutliers(samples(...written), { ...PASSIVE, ...rules }).map(({ member, what }) => [member, what]);

describe('failure percentage', () => {
  it('finds who fails as often as that, the worst first', () => {
    expect(found(FAILURES, '10/10', '11/9', '5/15')).toEqual([
      [2, '15 of 20 answers failed'],
      [0, '10 of 20 answers failed'],
    ]);
  });

  it('judges nobody by a few answers', () => {
    expect(found(FAILURES, '0/19', '100/0')).toEqual([]);
  });
});

describe('success rate', () => {
  it('finds who is far below the others', () => {
    expect(found(RATE, '100/0', '100/0', '99/1', '100/0', '100/0', '80/20')).toEqual([
      [5, '80.0 % of answers were good, 96.5 % in the pool'],
    ]);
  });

  it('leaves alone who is far below by deviations, but not by a margin that matters', () => {
    expect(found(RATE, '1000/0', '1000/0', '1000/0', '1000/0', '1000/0', '999/1')).toEqual([]);
  });

  it('leaves alone a pool that fails as a whole', () => {
    expect(found(RATE, '50/50', '52/48', '48/52', '51/49', '49/51', '50/50')).toEqual([]);
  });

  it.each([
    ['too few endpoints', ['100/0', '100/0', '100/0', '0/100']],
    ['too few of them with enough answers', ['100/0', '100/0', '100/0', '0/100', '10/0', '10/0']],
  ])('says nothing of %s', (_, written) => {
    expect(found(RATE, ...written)).toEqual([]);
  });
});

describe('slow', () => {
  it('finds who takes many times as long as the others, also in a pool of two', () => {
    expect(found(SLOW, '50/0@20', '50/0@400', '50/0@25')).toEqual([
      [1, 'half of its answers took 400 ms or longer, 23 ms is usual'],
    ]);
    expect(found(SLOW, '50/0@20', '50/0@400')).toHaveLength(1);
  });

  it('leaves alone what nobody feels: five times a millisecond', () => {
    expect(found(SLOW, '50/0@1', '50/0@20', '50/0@1')).toEqual([]);
  });

  it('leaves alone a pool that is slow as a whole, and judges nobody without another to compare with', () => {
    expect(found(SLOW, '50/0@2000', '50/0@1900', '50/0@2100')).toEqual([]);
    expect(found(SLOW, '50/0@2000', '2/0@10')).toEqual([]);
  });

  it('does not take failures for answers', () => {
    expect(found(SLOW, '50/0@20', '10/400@900', '50/0@20')).toEqual([]);
  });
});

it('names each endpoint once, whatever rules it broke', () => {
  expect(found({ ...FAILURES, ...SLOW }, '40/0@20', '40/100@900', '40/0@20')).toEqual([
    [1, '100 of 140 answers failed'],
  ]);
});
