import { describe, expect, it } from 'vitest';
import { editDistance, nearest } from './nearest.ts';

describe('the word that was probably meant', () => {
  it.each([
    ['timout', 'timeout'],
    ['tiemout', 'timeout'],
    ['retries', undefined],
    ['max_in_flight', 'maxInFlight'],
    ['MATCH', 'match'],
    ['pol', 'pool'],
    ['max_in', 'maxInFlight'],
    ['max', undefined],
    ['least', undefined],
    ['leastconn', 'least-connections'],
    ['least_conn', 'least-connections'],
    ['x', undefined],
  ])('%s → %s', (written, meant) => {
    expect(
      nearest(written, ['timeout', 'match', 'pool', 'maxInFlight', 'least-connections', 'least-response-time']),
    ).toBe(meant);
  });

  it('counts letters missing, added, replaced and two neighbours swapped as one mistake each', () => {
    expect([
      editDistance('abc', 'ab'),
      editDistance('ab', 'abc'),
      editDistance('abc', 'axc'),
      editDistance('abc', 'acb'),
    ]).toEqual([1, 1, 1, 1]);
    expect(editDistance('', 'abc')).toBe(3);
  });
});
