import { describe, expect, it } from 'vitest';
import { seededRandom } from '../clock.ts';
import { CacheShard } from './cache-shard.ts';
import { CacheTable, ownerOf } from './cache-table.ts';

const MIB = 1024 ** 2;
const ME = ownerOf(0);

function put(table: CacheTable, key: string, body: string | Buffer = key, variant = '', mostVariants = 8): boolean {
  const bytes = typeof body === 'string' ? Buffer.from(body) : body;
  return table.put(
    ME,
    key,
    variant,
    table.asked(key),
    Buffer.from(JSON.stringify({ key, variant })),
    bytes,
    mostVariants,
  );
}

function bodies(table: CacheTable, key: string): string[] {
  const look = table.look(key)!;
  return look.records.map(({ slot }) => look.shard.body(slot, look.bucket, look.version)!.toString());
}

/** As a hit does. */
function touch(table: CacheTable, key: string): boolean {
  const look = table.look(key)!;
  for (const { slot } of look.records) look.shard.touch(slot);
  return look.records.length > 0;
}

describe('the memory of the cache', () => {
  it('gives back what was put in, of any length, to every thread', () => {
    const table = CacheTable.allocate(4 * MIB, 256 * 1024);
    const other = new CacheTable(table.buffers);
    for (const length of [0, 1, 900, 1023, 1024, 1025, 2048, 100_000, 256 * 1024]) {
      const body = Buffer.alloc(length, `${length}-`).toString();
      expect(put(table, `key ${length}`, body)).toBe(true);
      expect(bodies(other, `key ${length}`)).toEqual([body]);
      expect(other.look(`key ${length}`)!.records[0]!.head).toBe(JSON.stringify({ key: `key ${length}`, variant: '' }));
    }
  });

  it('replaces a variant by its successor, and bounds how many there are', () => {
    const table = CacheTable.allocate(MIB, 64 * 1024);
    put(table, 'key', 'old', 'a');
    put(table, 'key', 'new', 'a');
    expect(bodies(table, 'key')).toEqual(['new']);
    for (let at = 0; at < 50; at++) put(table, 'key', `variant ${at}`, `v${at}`, 4);
    expect(bodies(table, 'key').sort()).toEqual(['variant 46', 'variant 47', 'variant 48', 'variant 49']);
    table.remove(ME, 'key', 'v47');
    expect(bodies(table, 'key')).toHaveLength(3);
  });

  it('refuses a body over maxEntry', () => {
    const table = CacheTable.allocate(MIB, 64 * 1024);
    expect(put(table, 'key', Buffer.alloc(64 * 1024 + 1))).toBe(false);
    expect(table.stats.entries).toBe(0);
  });

  it('never holds more than it may, and gives all of it back', () => {
    const table = CacheTable.allocate(MIB, 64 * 1024);
    const random = seededRandom(5);
    for (let round = 0; round < 5_000; round++) {
      const key = `key ${Math.floor(random() * 500)}`;
      if (random() < 0.1) table.remove(ME, key, '');
      else put(table, key, Buffer.alloc(Math.floor(random() ** 4 * 60_000), key));
      if (random() < 0.3) touch(table, `key ${Math.floor(random() * 500)}`);
      const { bytes, capacity } = table.stats;
      expect(bytes).toBeLessThanOrEqual(capacity);
    }
    for (let at = 0; at < 500; at++) {
      for (const body of bodies(table, `key ${at}`)) expect(body.replaceAll(`key ${at}`, '').length).toBeLessThan(8);
      table.remove(ME, `key ${at}`, '');
    }
    expect(table.stats).toMatchObject({ entries: 0, bytes: 0 });
  });

  it('keeps what is asked for through a scan ten times its size', () => {
    const table = CacheTable.allocate(MIB, 64 * 1024);
    const hot = Array.from({ length: 200 }, (_, at) => `hot ${at}`);
    for (const key of hot) put(table, key);
    for (const key of hot) touch(table, key);
    for (let at = 0; at < 10_000; at++) {
      put(table, `scan ${at}`);
      // Asked for now and then, as hot keys are.
      if (at % 10 === 0) touch(table, hot[(at / 10) % hot.length]!);
    }
    expect(hot.filter((key) => touch(table, key)).length).toBe(hot.length);
  });
});

describe('forgetting', () => {
  it('of a URL reaches what is stored and what is asked for already', () => {
    const table = CacheTable.allocate(MIB, 64 * 1024);
    const early = table.asked('/url');
    put(table, '/url');
    table.forget('/url');
    expect(bodies(table, '/url')).toEqual([]);
    table.put(ME, '/url', '', early, Buffer.from('{}'), Buffer.from('late'), 8);
    expect(bodies(table, '/url')).toEqual([]);
    put(table, '/url', 'now');
    expect(bodies(table, '/url')).toEqual(['now']);
  });

  it('by purge condemns by head, and lets nothing in that was asked for before', () => {
    const table = CacheTable.allocate(MIB, 64 * 1024);
    for (let at = 0; at < 100; at++) put(table, `key ${at}`);
    const early = table.asked('late');
    expect(table.purge((head) => /"key \d"/.test(head))).toBe(10);
    expect(bodies(table, 'key 5')).toEqual([]);
    expect(bodies(table, 'key 50')).toEqual(['key 50']);
    expect(table.put(ME, 'late', '', early, Buffer.from('{}'), Buffer.from('late'), 8)).toBe(false);
    expect(bodies(table, 'late')).toEqual([]);
  });

  it('of a thread that died while it wrote empties its shard alone, and others go on', () => {
    const table = CacheTable.allocate(16 * MIB, 64 * 1024);
    for (let at = 0; at < 200; at++) put(table, `key ${at}`);
    const dead = ownerOf(3);
    const look = table.look('key 7')!;
    expect(look.shard.lock(dead)).toBe(true);
    expect(put(table, 'key 7', 'refused')).toBe(false);
    table.forgetThread(3);
    expect(bodies(table, 'key 7')).toEqual([]);
    expect(put(table, 'key 7', 'again')).toBe(true);
    expect(bodies(table, 'key 7')).toEqual(['again']);
    expect(table.stats.entries).toBeGreaterThan(150);
  });
});

describe('a reader', () => {
  it('gets nothing of a record whose place was changed since it looked', () => {
    const table = CacheTable.allocate(MIB, 64 * 1024);
    put(table, 'key', 'first');
    const look = table.look('key')!;
    put(table, 'key', 'second');
    expect(look.shard.body(look.records[0]!.slot, look.bucket, look.version)).toBeUndefined();
  });

  it('is told to look again while a place is being changed', () => {
    const shared = new SharedArrayBuffer(CacheShard.bytesFor(64));
    const shard = new CacheShard(shared, 0, 64);
    shard.open();
    const words = new Int32Array(shared);
    const before = shard.version(shard.bucketOf(0));
    // The first versions stand behind the header and the slots.
    const at = 16 + 64 * 16 + shard.bucketOf(0);
    expect(words[at]).toBe(before);
    words[at] = before + 1;
    expect(shard.find(0, 0)).toBeUndefined();
  });
});
