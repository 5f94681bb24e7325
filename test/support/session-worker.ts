/** A thread of its own that stores sessions whose parts belong together, and looks whether those it finds do. */
import { parentPort, workerData } from 'node:worker_threads';
import { SessionTable, type SessionTableBuffers } from '../../src/memory/session-table.ts';

export interface SessionWork {
  readonly buffers: SessionTableBuffers;
  readonly thread: number;
  readonly threads: number;
  readonly rounds: number;
  /** One cell: how many are there. */
  readonly gate: SharedArrayBuffer;
}

const KEYS = 20;
const NOW = 1_790_000_000;

const { buffers, thread, threads, rounds, gate } = workerData as SessionWork;
const table = new SessionTable(buffers);
const there = new Int32Array(gate);

const ready = Atomics.add(there, 0, 1) + 1;
if (ready === threads) Atomics.notify(there, 0);
for (let count = ready; count < threads; count = Atomics.load(there, 0)) Atomics.wait(there, 0, count);

let found = 0;
let mixed = 0;
for (let round = 0; round < rounds; round++) {
  const key = (round * 7 + thread) % KEYS;
  const home = (round * 2 + thread) & 0xffffff;
  table.store(key, 1, { home, current: home + 1, beganAt: NOW + home, seenAt: NOW + home + 2 }, NOW * 2);
  const session = table.find((round * 3) % KEYS, 1, NOW);
  if (session === undefined) continue;
  found += 1;
  const isWhole =
    session.current === session.home + 1 &&
    session.beganAt === NOW + session.home &&
    session.seenAt === NOW + session.home + 2;
  if (!isWhole) mixed += 1;
}
parentPort!.postMessage({ found, mixed });
