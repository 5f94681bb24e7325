/** One thread of cache-threads.test.ts: a body is its key over and over, so that any other byte is seen. */
import { parentPort, workerData } from 'node:worker_threads';
import { seededRandom } from '../../src/clock.ts';
import { CacheTable, ownerOf, type CacheTableBuffers } from '../../src/memory/cache-table.ts';

const KEYS = 400;

const { thread, rounds, buffers } = workerData as { thread: number; rounds: number; buffers: CacheTableBuffers };
const table = new CacheTable(buffers);
const random = seededRandom(thread + 1);
let hits = 0;
let torn = 0;

for (let round = 0; round < rounds; round++) {
  const key = `key-${Math.floor(random() ** 2 * KEYS)};`;
  const chance = random();
  if (chance < 0.4) {
    const body = Buffer.alloc(Math.floor(random() * 8_000), key);
    table.put(ownerOf(thread), key, '', table.asked(key), Buffer.from(key), body, 4);
  } else if (chance < 0.42) table.forget(key);
  else read(key);
}
parentPort!.postMessage({ hits, torn });

function read(key: string): void {
  const look = table.look(key);
  const record = look?.records[0];
  if (look === undefined || record === undefined) return;
  const body = look.shard.body(record.slot, look.bucket, look.version);
  if (body === undefined) return;
  hits++;
  look.shard.touch(record.slot);
  if (record.head !== key || !body.equals(Buffer.alloc(body.length, key))) torn++;
}
