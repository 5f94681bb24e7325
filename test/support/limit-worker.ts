/** A thread of its own that charges keys until it is told that it has tried often enough; says how often it was allowed. */
import { parentPort, workerData } from 'node:worker_threads';
import { systemClock } from '../../src/clock.ts';
import type { LimitSpec } from '../../src/limits/limiter.ts';
import { MemoryLimits, type LimitBuffers } from '../../src/limits/memory-limits.ts';

export interface LimitWork {
  readonly buffers: LimitBuffers;
  readonly thread: number;
  readonly threads: number;
  readonly spec: LimitSpec;
  readonly keys: readonly string[];
  readonly tries: number;
  /** All begin at once: each counts itself in and waits for the others. */
  readonly gate: SharedArrayBuffer;
}

const { buffers, thread, threads, spec, keys, tries, gate } = workerData as LimitWork;
const limiter = new MemoryLimits(buffers, thread, systemClock).limiter(spec);
const allowed = new Map<string, number>();

const cell = new Int32Array(gate);
const ready = Atomics.add(cell, 0, 1) + 1;
if (ready === threads) Atomics.notify(cell, 0);
for (let there = ready; there < threads; there = Atomics.load(cell, 0)) Atomics.wait(cell, 0, there);

for (let attempt = 0; attempt < tries; attempt++) {
  for (const key of keys) {
    limiter.take(key, 1, (verdict) => {
      if (verdict.allowed) allowed.set(key, (allowed.get(key) ?? 0) + 1);
    });
  }
}
parentPort!.postMessage(allowed);
