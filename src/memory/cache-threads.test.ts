/** Four threads that write, read and forget in one small cache, so that every slot changes hands all the time. */
import { Worker } from 'node:worker_threads';
import { expect, it } from 'vitest';
import { CacheTable } from './cache-table.ts';

const ROUNDS = 20_000;

it('threads that write over each other never read what is not theirs', async () => {
  const table = CacheTable.allocate(1024 ** 2, 64 * 1024);
  const results = await Promise.all([0, 1, 2, 3].map((thread) => run(thread, table)));
  for (const { torn } of results) expect(torn).toBe(0);
  expect(results.reduce((sum, { hits }) => sum + hits, 0)).toBeGreaterThan(ROUNDS / 10);
  expect(table.stats.bytes).toBeLessThanOrEqual(table.stats.capacity);
});

function run(thread: number, { buffers }: CacheTable): Promise<{ hits: number; torn: number }> {
  const worker = new Worker(new URL('../../test/support/cache-worker.ts', import.meta.url), {
    workerData: { thread, rounds: ROUNDS, buffers },
  });
  return new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
}
