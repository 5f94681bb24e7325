/** Asks again and again: when an answer has become old, and after failures at growing distances. */
import { pause } from '../pause.ts';
import type { Answer, Instance, SourceContext } from './source.ts';

/** Gateways that started together do not ask together for ever. */
const JITTER = 0.1;
const FIRST_BACKOFF_MS = 1_000;
const LONGEST_BACKOFF_MS = 30_000;

export interface Fresh {
  readonly instances: readonly Instance[];
  /** For how long it need not be asked again. */
  readonly freshMs: number;
}

/** @param ask throws with a reason for the log. */
export async function* poll(
  ask: () => Promise<Fresh>,
  { clock, random }: SourceContext,
  signal: AbortSignal,
): AsyncGenerator<Answer> {
  let failures = 0;
  for (;;) {
    let answer: Answer;
    let againInMs: number;
    try {
      const { instances, freshMs } = await ask();
      answer = instances;
      againInMs = freshMs;
      failures = 0;
    } catch (error) {
      answer = error as Error;
      againInMs = Math.min(FIRST_BACKOFF_MS * 2 ** failures++, LONGEST_BACKOFF_MS);
    }
    if (signal.aborted) return;
    yield answer;
    try {
      await pause(clock, againInMs * (1 - JITTER * random()), signal);
    } catch {
      return;
    }
  }
}
