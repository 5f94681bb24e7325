/**
 * Waiting for what will be true: the one place of the tests that lets real time pass. A test says what it waits for and
 * by when; it never sleeps for a length it guessed.
 */
import { setTimeout as pause } from 'node:timers/promises';

const POLL_MS = 10;

/** Costs nothing where things go well, and is enough for a machine that has a lot else to do. */
const PATIENCE_MS = 15_000;

/** Resolves with the first truthy value of `condition`; rejects when it has none by the deadline. */
export async function until<Value>(
  condition: () => Value | Promise<Value>,
  what: string,
  deadlineMs = PATIENCE_MS,
): Promise<NonNullable<Value>> {
  const deadline = performance.now() + deadlineMs;
  for (;;) {
    const value = await condition();
    if (value) return value as NonNullable<Value>;
    if (performance.now() > deadline) throw new Error(`not within ${deadlineMs} ms: ${what}`);
    await pause(POLL_MS);
  }
}

/** The promise, or a rejection that names what did not happen in time. */
export function within<Value>(promise: Promise<Value>, what: string, deadlineMs = PATIENCE_MS): Promise<Value> {
  let timeout: NodeJS.Timeout | undefined;
  const expired = new Promise<never>((_, reject) => {
    timeout = setTimeout(() => reject(new Error(`not within ${deadlineMs} ms: ${what}`)), deadlineMs);
  });
  return Promise.race([promise, expired]).finally(() => clearTimeout(timeout));
}

/** Milliseconds that `run` took, with its result. */
export async function timed<Value>(run: () => Promise<Value>): Promise<{ value: Value; ms: number }> {
  const start = performance.now();
  const value = await run();
  return { value, ms: performance.now() - start };
}
