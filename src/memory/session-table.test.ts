import { Worker } from 'node:worker_threads';
import { expect, it } from 'vitest';
import { cleanup } from '../../test/support/cleanup.ts';
import type { SessionWork } from '../../test/support/session-worker.ts';
import { SessionTable, type StoredSession } from './session-table.ts';

const NOW = 1_790_000_000;
const session = (seenAt: number, current = 4_000_000_000): StoredSession => ({
  ...{ home: 7, current, beganAt: NOW - 5, seenAt },
});

it('gives what was stored, until its end', () => {
  const table = SessionTable.allocate(4);
  table.store(-1, 0x0fffffff, session(NOW), NOW + 10);
  const other = new SessionTable(table.buffers);
  expect(other.find(-1, 0x0fffffff, NOW)).toEqual(session(NOW));
  expect(other.find(-1, 0x0fffffff, NOW + 9)).toEqual(session(NOW));
  expect(other.find(-1, 0x0fffffff, NOW + 10)).toBeUndefined();
  expect(other.find(-1, 0x0ffffffe, NOW)).toBeUndefined();
  expect(other.find(0, 0, NOW)).toBeUndefined();
});

it('holds times until the year 2106', () => {
  const table = SessionTable.allocate(1);
  const last = 2 ** 32 - 1;
  table.store(1, 2, { home: 0, current: 0, beganAt: last - 2, seenAt: last - 1 }, last);
  expect(table.find(1, 2, last - 1)).toMatchObject({ beganAt: last - 2, seenAt: last - 1 });
});

it('keeps one session for each key, and in a full bucket gives up the one that was not used for the longest', () => {
  const table = SessionTable.allocate(1);
  for (let at = 0; at < 8; at++) table.store(at, 1, session(NOW + at), NOW + 1_000);
  for (let again = 0; again < 3; again++) table.store(3, 1, session(NOW + 20), NOW + 1_000);
  for (let at = 0; at < 8; at++) expect(table.find(at, 1, NOW + 20)).toBeDefined();
  table.store(8, 1, session(NOW + 21), NOW + 1_000);
  const left = Array.from({ length: 9 }, (_, at) => table.find(at, 1, NOW + 21) !== undefined);
  expect(left).toEqual([false, true, true, true, true, true, true, true, true]);
});

it('takes one that has ended before any other', () => {
  const table = SessionTable.allocate(1);
  for (let at = 0; at < 8; at++) table.store(at, 1, session(NOW + at), at === 5 ? NOW + 9 : NOW + 1_000);
  table.store(8, 1, session(NOW + 10), NOW + 1_000);
  expect(table.find(0, 1, NOW + 10)).toBeDefined();
  expect(table.find(5, 1, NOW)).toBeUndefined();
});

it('does not give what a thread has left half written', () => {
  const table = SessionTable.allocate(1);
  table.store(1, 2, session(NOW), NOW + 10);
  const words = new Int32Array(table.buffers.shared);
  const at = words.indexOf(7);
  for (const word of [at, at + 1, at + 2, at + 3, at + 4]) {
    const before = words[word]!;
    words[word] = before ^ 0x10000;
    expect(table.find(1, 2, NOW)).toBeUndefined();
    words[word] = before;
  }
  expect(table.find(1, 2, NOW)).toBeDefined();
});

it('never gives a mixture of what two threads store at once', async () => {
  const table = SessionTable.allocate(2);
  const gate = new SharedArrayBuffer(4);
  const results = await Promise.all(
    [0, 1].map((thread) => {
      const workerData: SessionWork = { buffers: table.buffers, thread, threads: 2, rounds: 60_000, gate };
      const worker = new Worker(new URL('../../test/support/session-worker.ts', import.meta.url), { workerData });
      cleanup(async () => void (await worker.terminate()));
      return new Promise<{ found: number; mixed: number }>((resolve, reject) => {
        worker.once('message', resolve);
        worker.once('error', reject);
      });
    }),
  );
  for (const { found, mixed } of results) {
    expect(found).toBeGreaterThan(0);
    expect(mixed).toBe(0);
  }
});
