import { describe, expect, it } from 'vitest';
import { seededRandom } from '../clock.ts';
import { EndpointTable } from '../memory/endpoint-table.ts';
import { budgetOf } from '../../test/support/budget.ts';
import { FakeClock } from '../../test/support/fake-clock.ts';
import type { RetryBudget } from './retry-budget.ts';

function budgetAt() {
  const clock = new FakeClock();
  return { clock, budget: budgetOf(clock) };
}

/** How many of so many are granted, each over before the next is asked for. */
function take(budget: RetryBudget, share: number, wanted: number): number {
  let taken = 0;
  for (let at = 0; at < wanted; at++) {
    if (budget.ask(share) !== 'granted') continue;
    budget.leave();
    taken++;
  }
  return taken;
}

describe('a budget over ten seconds', () => {
  it('lets a single request on a quiet pool be retried', () => {
    const { clock, budget } = budgetAt();
    budget.recordRequest(clock.now());
    expect(take(budget, 0.2, 10)).toBe(3);
    expect(budget.ask(0.2)).toBe('spent');
  });

  it('allows a share of the requests', () => {
    const { budget, clock } = budgetAt();
    for (let request = 0; request < 100; request++) {
      budget.recordRequest(clock.now());
      clock.advance(90);
    }
    expect(take(budget, 0.2, 100)).toBe(20);
  });

  it('charges twice for what did not help, so that an outage is asked 1.1 times as often', () => {
    const { budget, clock } = budgetAt();
    let extra = 0;
    for (let request = 0; request < 1_000; request++) {
      budget.recordRequest(clock.now());
      clock.advance(30);
      if (budget.ask(0.2) !== 'granted') continue;
      budget.leaveFailed();
      extra++;
    }
    expect(extra).toBeGreaterThan(90);
    expect(extra).toBeLessThanOrEqual(105);
  });

  it('forgets requests and retries after ten seconds, together', () => {
    const { budget, clock } = budgetAt();
    for (let request = 0; request < 100; request++) budget.recordRequest(clock.now());
    expect(take(budget, 0.2, 100)).toBe(20);
    clock.advance(9_000);
    expect(take(budget, 0.2, 100)).toBe(0);
    clock.advance(1_000);
    expect(take(budget, 0.2, 100)).toBe(3);
    clock.advance(3_600_000);
    expect(take(budget, 0.2, 100)).toBe(3);
  });

  it('leaves out a request whose body came so slowly that its second is another one’s now', () => {
    const { budget, clock } = budgetAt();
    const startedAt = clock.now();
    clock.advance(10_000);
    for (let request = 0; request < 100; request++) budget.recordRequest(clock.now());
    budget.recordRequest(startedAt);
    expect(take(budget, 0.2, 100)).toBe(20);
  });

  it('is off at 100 % and shut at 0 %', () => {
    const { clock, budget } = budgetAt();
    budget.recordRequest(clock.now());
    expect(take(budget, 1, 50)).toBe(50);
    expect(take(budgetOf(new FakeClock()), 0, 50)).toBe(0);
  });

  it('keeps all tries under a full outage at 1.2 times the requests, however they arrive', () => {
    for (let seed = 1; seed <= 20; seed++) {
      const { budget, clock } = budgetAt();
      const random = seededRandom(seed);
      const meanGapMs = 1 + random() * 300;
      let tries = 0;
      for (let request = 0; request < 1_000; request++) {
        clock.advance(random() < 0.5 ? 0 : random() * 2 * meanGapMs);
        budget.recordRequest(clock.now());
        tries += 1 + take(budget, 0.2, 2);
      }
      expect(tries).toBeLessThanOrEqual(1_200);
    }
  });
});

describe('a budget over open requests', () => {
  function busyPool(active: number) {
    const clock = new FakeClock();
    const budget = budgetOf(clock, { active: () => active });
    for (let request = 0; request < 10_000; request++) budget.recordRequest(clock.now());
    return { clock, budget };
  }

  const grantedAtOnce = (budget: RetryBudget, wanted = 1_000) =>
    Array.from({ length: wanted }, () => budget.ask(0.2)).filter((answer) => answer === 'granted').length;

  it('allows a share of them at once, however much was saved', () => {
    const { budget } = busyPool(100);
    expect(grantedAtOnce(budget)).toBe(20);
    expect(budget.ask(0.2)).toBe('crowded');
  });

  it('has a place again for each that leaves', () => {
    const { budget } = busyPool(100);
    grantedAtOnce(budget);
    budget.leave();
    expect(grantedAtOnce(budget)).toBe(1);
  });

  it('always allows three', () => {
    expect(grantedAtOnce(busyPool(1).budget)).toBe(3);
  });
});

describe('over threads', () => {
  it('is one: what any of them was asked and was granted counts for all', () => {
    const clock = new FakeClock();
    const table = EndpointTable.allocate(3, 1);
    const threads = [0, 1, 2].map((thread) => budgetOf(clock, { table, thread }));
    for (const budget of threads) for (let request = 0; request < 50; request++) budget.recordRequest(clock.now());
    expect(take(threads[0]!, 0.2, 20)).toBe(20);
    expect(take(threads[1]!, 0.2, 20)).toBe(10);
    expect(take(threads[2]!, 0.2, 20)).toBe(0);
  });

  it('takes back what a thread that died had under way', () => {
    const clock = new FakeClock();
    const table = EndpointTable.allocate(2, 1);
    const [dying, living] = [0, 1].map((thread) => budgetOf(clock, { table, thread, active: () => 1 }));
    for (let request = 0; request < 100; request++) living!.recordRequest(clock.now());
    for (let at = 0; at < 3; at++) expect(dying!.ask(0.2)).toBe('granted');
    expect(living!.ask(0.2)).toBe('crowded');
    table.forgetThread(0);
    expect(living!.ask(0.2)).toBe('granted');
  });
});
