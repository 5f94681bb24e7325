import { describe, expect, it } from 'vitest';
import { seededRandom } from '../clock.ts';
import { FakeClock } from '../../test/support/fake-clock.ts';
import { RetryBudget } from './retry-budget.ts';

function budgetAt() {
  const clock = new FakeClock();
  return { clock, budget: new RetryBudget(clock) };
}

function take(budget: RetryBudget, share: number, wanted: number): number {
  let taken = 0;
  for (let at = 0; at < wanted; at++) if (budget.tryRetry(share)) taken++;
  return taken;
}

describe('a retry budget', () => {
  it('lets a single request on a quiet pool be retried', () => {
    const { budget } = budgetAt();
    budget.recordRequest();
    expect(take(budget, 0.2, 10)).toBe(3);
  });

  it('allows a share of the requests of the last ten seconds', () => {
    const { budget, clock } = budgetAt();
    for (let request = 0; request < 100; request++) {
      budget.recordRequest();
      clock.advance(90);
    }
    expect(take(budget, 0.2, 100)).toBe(20);
  });

  it('forgets requests and retries after ten seconds, together', () => {
    const { budget, clock } = budgetAt();
    for (let request = 0; request < 100; request++) budget.recordRequest();
    expect(take(budget, 0.2, 100)).toBe(20);
    clock.advance(9_000);
    expect(take(budget, 0.2, 100)).toBe(0);
    clock.advance(1_000);
    expect(take(budget, 0.2, 100)).toBe(3);
    clock.advance(3_600_000);
    expect(take(budget, 0.2, 100)).toBe(3);
  });

  it('is off at 100 % and shut at 0 %', () => {
    const { budget } = budgetAt();
    budget.recordRequest();
    expect(take(budget, 1, 50)).toBe(50);
    expect(take(new RetryBudget(new FakeClock()), 0, 50)).toBe(0);
  });

  it('keeps all tries under a full outage at 1.2 times the requests, however they arrive', () => {
    for (let seed = 1; seed <= 20; seed++) {
      const { budget, clock } = budgetAt();
      const random = seededRandom(seed);
      const meanGapMs = 1 + random() * 300;
      let tries = 0;
      for (let request = 0; request < 1_000; request++) {
        clock.advance(random() < 0.5 ? 0 : random() * 2 * meanGapMs);
        budget.recordRequest();
        tries += 1 + take(budget, 0.2, 2);
      }
      expect(tries).toBeLessThanOrEqual(1_200);
    }
  });
});
