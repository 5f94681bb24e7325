/** What a test started is stopped when it ends; what a hook or a file started, when the file ends. Latest first. */
import { afterAll, onTestFinished } from 'vitest';

const atFileEnd: (() => Promise<void>)[] = [];

afterAll(async () => {
  for (const stop of atFileEnd.reverse()) await stop();
});

export function cleanup(stop: () => Promise<void>): void {
  try {
    onTestFinished(stop);
  } catch {
    atFileEnd.push(stop); // Vitest's own way to say: not inside a test.
  }
}
