/**
 * The shared cache's memory: shards of records, and a count for each URL's answers that are no longer to be used.
 *
 * To forget a URL is to count up one cell: every record carries the cell of its URL and what it counted when the answer was
 * asked for. So a write to a URL reaches all variants, all callers' copies, all threads' near copies and all answers that
 * are still on their way, at the cost of one addition. Two URLs may share a cell; then one is fetched once too often.
 *
 * Where answers are shared with other gateways, a second count for each cell says how much of what was forgotten the store
 * has yet to be told of: what it has under such a URL is not believed until then.
 */
import { hash } from 'node:crypto';
import { CachePages, PAGE_BYTES } from './cache-pages.ts';
import { CacheShard, type Record } from './cache-shard.ts';
import { fillSeed, KeyHash, SEED_WORDS } from './key-hash.ts';

export interface CacheTableBuffers {
  readonly shared: SharedArrayBuffer;
  readonly pages: number;
  readonly shards: number;
  /** Largest record's body. */
  readonly maxEntry: number;
}

/** Cells of URLs. */
const MARKS = 65_536;
/** Stands for all of them, where something is purged. */
export const ALL_MARKS = MARKS;
const UNTOLD_WORDS = MARKS + 16;
/** The seed and the count of purges. */
const HEADER_WORDS = 16;
const PURGES = SEED_WORDS;
const MOST_SHARDS = 16;
/** Fits four of the largest, so that one never empties it. */
const LARGEST_SHARE = 4;
const MOST_HEAD_BYTES = 64 * 1024;
/** A writer holds a shard for microseconds. */
const LOCK_TRIES = 200;

/** Where a key's records are, and how they stood. */
export interface Look {
  readonly shard: CacheShard;
  readonly bucket: number;
  readonly version: number;
  readonly records: readonly Record[];
}

export interface CacheStats {
  readonly entries: number;
  readonly bytes: number;
  readonly capacity: number;
  readonly evictions: number;
}

/** When an answer was asked for, as the table counts. */
export interface Asked {
  readonly mark: number;
  readonly epoch: number;
  readonly purges: number;
}

export class CacheTable {
  readonly buffers: CacheTableBuffers;
  readonly #header: Int32Array;
  readonly #marks: Int32Array;
  readonly #untold: Int32Array;
  /** Of this gateway, among those that share a store; says nothing of the seed. */
  readonly name: string;
  readonly #shards: readonly CacheShard[];
  readonly #keys: KeyHash;
  readonly #urls: KeyHash;
  readonly #variants: KeyHash;

  /** @param bytes for records, their index aside. @param maxEntry largest body. */
  static allocate(bytes: number, maxEntry: number): CacheTable {
    const smallest = Math.max(LARGEST_SHARE * (maxEntry + MOST_HEAD_BYTES), 1024 * 1024);
    const shards = Math.max(1, Math.min(MOST_SHARDS, Math.floor(bytes / smallest)));
    const pages = Math.floor(bytes / shards / PAGE_BYTES);
    const shared = new SharedArrayBuffer(
      (HEADER_WORDS + MARKS + UNTOLD_WORDS) * 4 + shards * CacheShard.bytesFor(pages),
    );
    fillSeed(new Uint32Array(shared, 0, SEED_WORDS));
    const table = new CacheTable({ shared, pages, shards, maxEntry });
    for (const shard of table.#shards) shard.open();
    return table;
  }

  constructor(buffers: CacheTableBuffers) {
    const { shared, pages, shards } = buffers;
    this.buffers = buffers;
    this.#header = new Int32Array(shared, 0, HEADER_WORDS);
    this.#marks = new Int32Array(shared, HEADER_WORDS * 4, MARKS);
    this.#untold = new Int32Array(shared, (HEADER_WORDS + MARKS) * 4, UNTOLD_WORDS);
    const begin = (HEADER_WORDS + MARKS + UNTOLD_WORDS) * 4;
    this.#shards = Array.from(
      { length: shards },
      (_, at) => new CacheShard(shared, begin + at * CacheShard.bytesFor(pages), pages),
    );
    const seed = new Uint32Array(shared, 0, SEED_WORDS);
    this.name = hash('sha256', new Uint8Array(seed.slice().buffer), 'base64url').slice(0, 16);
    this.#keys = new KeyHash(seed, 'key');
    this.#urls = new KeyHash(seed, 'url');
    this.#variants = new KeyHash(seed, 'variant');
  }

  get maxEntry(): number {
    return this.buffers.maxEntry;
  }

  // --- what is no longer to be used ---

  /** To be asked before the upstream is. */
  asked(url: string): Asked {
    const mark = this.markOf(url);
    return { mark, epoch: this.epoch(mark), purges: Atomics.load(this.#header, PURGES) };
  }

  epoch(mark: number): number {
    return Atomics.load(this.#marks, mark);
  }

  /** Everything under the URL, stored or on its way, in all threads. */
  forget(url: string): void {
    Atomics.add(this.#marks, this.markOf(url), 1);
  }

  /** Everything whose head the judge condemns; what is on its way is not stored. @returns how many. */
  purge(judge: (head: string) => boolean): number {
    Atomics.add(this.#header, PURGES, 1);
    return this.#shards.reduce((sum, shard) => sum + shard.condemn(judge), 0);
  }

  /** Nothing of it has been forgotten or purged since. */
  isCurrent({ mark, epoch, purges }: Asked): boolean {
    return this.epoch(mark) === epoch && Atomics.load(this.#header, PURGES) === purges;
  }

  markOf(url: string): number {
    this.#urls.hash(url);
    return this.#urls.low & (MARKS - 1);
  }

  // --- what the store has yet to be told ---

  holdBack(mark: number): void {
    Atomics.add(this.#untold, mark, 1);
  }

  letGo(mark: number): void {
    Atomics.sub(this.#untold, mark, 1);
  }

  /** Whether the store knows all that this gateway has forgotten of it. What a dead thread did not tell stays untold. */
  isTold({ mark }: Asked): boolean {
    return Atomics.load(this.#untold, mark) === 0 && Atomics.load(this.#untold, ALL_MARKS) === 0;
  }

  // --- records ---

  /** undefined while the place changes. */
  look(key: string): Look | undefined {
    this.#keys.hash(key);
    const { low, high } = this.#keys;
    const shard = this.#shardOf(low);
    const bucket = shard.bucketOf(low);
    const version = shard.version(bucket);
    const records = shard.find(low, high);
    if (records === undefined || shard.version(bucket) !== version) return undefined;
    return { shard, bucket, version, records: records.filter(({ mark, epoch }) => this.epoch(mark) === epoch) };
  }

  /** @returns whether it is stored: not where another thread writes in the same place, or where a purge has come between. */
  put(
    owner: number,
    key: string,
    variant: string,
    asked: Asked,
    head: Buffer,
    body: Buffer,
    mostVariants: number,
  ): boolean {
    if (body.length > this.maxEntry || head.length > MOST_HEAD_BYTES) return false;
    this.#keys.hash(key);
    this.#variants.hash(variant);
    const { low: hashLow, high: hashHigh } = this.#keys;
    const shard = this.#shardOf(hashLow);
    if (CachePages.needed(head.length + body.length) * LARGEST_SHARE > this.buffers.pages || !lock(shard, owner))
      return false;
    const { mark, epoch, purges } = asked;
    const slot = shard.put({ hashLow, hashHigh, variant: this.#variants.low, mark, epoch, head, body }, mostVariants);
    // Looked at only now: a purge that has begun since either finds the record or is found here.
    const isCurrent = Atomics.load(this.#header, PURGES) === purges;
    if (!isCurrent) shard.condemnSlot(slot);
    shard.unlock();
    return isCurrent;
  }

  remove(owner: number, key: string, variant: string): void {
    this.#keys.hash(key);
    this.#variants.hash(variant);
    const shard = this.#shardOf(this.#keys.low);
    if (!lock(shard, owner)) return;
    shard.remove(this.#keys.low, this.#keys.high, this.#variants.low);
    shard.unlock();
  }

  /** A thread has died: what it was writing in cannot be trusted. */
  forgetThread(thread: number): void {
    for (const shard of this.#shards) {
      if (shard.owner !== ownerOf(thread)) continue;
      shard.clear();
      shard.unlock();
    }
  }

  get stats(): CacheStats {
    const sum = (of: (shard: CacheShard) => number) => this.#shards.reduce((total, shard) => total + of(shard), 0);
    return {
      entries: sum((shard) => shard.entries),
      bytes: sum((shard) => shard.bytes),
      capacity: this.buffers.pages * this.buffers.shards * PAGE_BYTES,
      evictions: sum((shard) => shard.evictions),
    };
  }

  #shardOf(hashLow: number): CacheShard {
    return this.#shards[(hashLow & 15) % this.#shards.length]!;
  }
}

/** As it stands in a lock. */
export function ownerOf(thread: number): number {
  return thread + 1;
}

function lock(shard: CacheShard, owner: number): boolean {
  for (let tries = 0; tries < LOCK_TRIES; tries++) if (shard.lock(owner)) return true;
  return false;
}
