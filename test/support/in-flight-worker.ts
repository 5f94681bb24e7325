/** A thread of its own that goes in and out of a limit of requests in flight; says the most that it ever saw inside. */
import { parentPort, workerData } from 'node:worker_threads';
import { systemClock } from '../../src/clock.ts';
import { MemoryLimits, type LimitBuffers } from '../../src/limits/memory-limits.ts';

export interface InFlightWork {
  readonly buffers: LimitBuffers;
  readonly thread: number;
  readonly threads: number;
  readonly keys: number;
  readonly max: number;
  readonly rounds: number;
  /** How many are inside, by key; the cell behind them is the gate. */
  readonly inside: SharedArrayBuffer;
}

const { buffers, thread, threads, keys, max, rounds, inside } = workerData as InFlightWork;
const limiter = new MemoryLimits(buffers, thread, systemClock).concurrency('x', max);
const cells = new Int32Array(inside);

const ready = Atomics.add(cells, keys, 1) + 1;
if (ready === threads) Atomics.notify(cells, keys);
for (let there = ready; there < threads; there = Atomics.load(cells, keys)) Atomics.wait(cells, keys, there);

let most = 0;
let entered = 0;
const held: { readonly key: number; readonly ticket: number }[] = [];
for (let round = 0; round < rounds; round++) {
  const key = (round * 7 + thread) % keys;
  const ticket = limiter.enter(`key-${key}`);
  if (ticket !== -1) {
    entered++;
    most = Math.max(most, Atomics.add(cells, key, 1) + 1);
    held.push({ key, ticket });
  }
  if (held.length > max || ticket === -1) leaveOne();
}
while (held.length > 0) leaveOne();
parentPort!.postMessage({ most, entered });

function leaveOne(): void {
  const left = held.shift();
  if (left === undefined) return;
  Atomics.sub(cells, left.key, 1);
  limiter.leave(left.ticket);
}
