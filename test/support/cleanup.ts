/** What a test started is stopped when it ends; what a hook or a file started, when the file ends. Latest first. */
import { onTestFinished } from 'vitest';

const atFileEnd: (() => Promise<void>)[] = [];

export function cleanup(stop: () => Promise<void>): void {
  try {
    onTestFinished(stop);
  } catch {
    atFileEnd.push(stop); // Vitest's own way to say: not inside a test.
  }
}

/** For the setup file: test files share this module. */
export async function endOfFile(): Promise<void> {
  for (const stop of atFileEnd.splice(0).reverse()) await stop();
}
