/** Several limits where verdicts take their time, as those of a store do. */
import { describe, expect, it } from 'vitest';
import type { Exchange } from '../../src/data/exchange.ts';
import type { Limiter, LimitSpec, Verdict } from '../../src/limits/limiter.ts';
import { Admission, type Decision } from './admission.ts';
import type { CompiledLimit } from './limit.ts';

const EXCHANGE = {} as Exchange;
const YES: Verdict = { allowed: true, remaining: 3, resetMs: 1_000, retryAfterMs: 0 };
const NO: Verdict = { allowed: false, remaining: 0, resetMs: 1_000, retryAfterMs: 500 };

/** Answers when told to; notes what it was charged. */
class ScriptedLimiter implements Limiter {
  readonly spec: LimitSpec = { name: 'x', max: 4, windowMs: 1_000, algorithm: 'gcra', burst: 4 };
  charged = 0;
  #done: ((verdict: Verdict) => void) | undefined;

  get isAsked(): boolean {
    return this.#done !== undefined;
  }

  take(_key: string, cost: number, done: (verdict: Verdict) => void): void {
    this.#done = (verdict) => {
      if (verdict.allowed) this.charged += cost;
      done(verdict);
    };
  }

  answer(verdict: Verdict): void {
    const done = this.#done;
    this.#done = undefined;
    done!(verdict);
  }

  refund(_key: string, cost: number): void {
    this.charged -= cost;
  }
}

function limitOf(label: string, parts: Partial<CompiledLimit>, ...limiters: Limiter[]): CompiledLimit {
  return {
    label,
    keyOf: () => 'a',
    costOf: () => 2,
    exempts: undefined,
    charges: limiters.map((limiter) => ({ limiter, label, terms: '4 per 1 s', policy: '' })),
    concurrency: undefined,
    usage: undefined,
    isShadow: false,
    shows: { draft: true, legacy: false },
    ...parts,
  };
}

function places(max: number) {
  const free = { left: max };
  const limiter = { max, enter: () => (free.left > 0 ? --free.left : -1), leave: () => void free.left++ };
  return { free, limiter };
}

function admit(limits: readonly CompiledLimit[]) {
  const decisions: [Decision, number | undefined][] = [];
  const admission = new Admission(EXCHANGE, limits, (decision, error) => decisions.push([decision, error?.status]));
  admission.start();
  return { admission, decisions };
}

describe('limits that answer later', () => {
  it('are asked one after another, and decided once', () => {
    const [first, second] = [new ScriptedLimiter(), new ScriptedLimiter()];
    const { decisions, admission } = admit([limitOf('one', {}, first), limitOf('two', {}, second)]);
    expect([first.isAsked, second.isAsked]).toEqual([true, false]);
    first.answer(YES);
    expect(decisions).toEqual([]);
    second.answer(YES);
    expect(decisions).toEqual([['allowed', undefined]]);
    expect(admission.standings.map(({ limit }) => limit.label)).toEqual(['one', 'two']);
  });

  it('give back what was charged, and the places, when a later one refuses', () => {
    const [rate, quota] = [new ScriptedLimiter(), new ScriptedLimiter()];
    const { free, limiter } = places(1);
    const { decisions } = admit([limitOf('one', { concurrency: limiter }, rate, quota)]);
    expect(free.left).toBe(0);
    rate.answer(YES);
    expect(rate.charged).toBe(2);
    quota.answer(NO);
    expect(decisions).toEqual([['limited', 429]]);
    expect([rate.charged, quota.charged, free.left]).toEqual([0, 0, 1]);
  });

  it('let a shadow refuse nobody, and say that it would have', () => {
    const [shadow, real] = [new ScriptedLimiter(), new ScriptedLimiter()];
    const { decisions, admission } = admit([limitOf('dark', { isShadow: true }, shadow), limitOf('real', {}, real)]);
    shadow.answer(NO);
    real.answer(YES);
    expect(decisions).toEqual([['shadow', undefined]]);
    expect(admission.standings.map(({ limit }) => limit.label)).toEqual(['real']);
  });

  it('give each place back once, when the request ends while they are asked', () => {
    const rate = new ScriptedLimiter();
    const { free, limiter } = places(2);
    const { admission, decisions } = admit([limitOf('one', { concurrency: limiter }, rate)]);
    admission.leave();
    expect(free.left).toBe(2);
    rate.answer(NO);
    expect(free.left).toBe(2);
    expect(decisions).toEqual([['limited', 429]]);
  });
});
