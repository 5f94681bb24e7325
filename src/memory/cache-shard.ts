/**
 * One part of the shared cache: records of bytes in pages of memory that all threads see, found by a hash.
 *
 * Readers take no lock. Each bucket has a version, odd while its chain is being changed; a reader copies what it wants and
 * then looks whether the version is still the same, so a record that was thrown out meanwhile is never handed on. Writers
 * take the shard by one compare-and-swap or do without: a cache may forget. A thread that dies while it writes leaves
 * its number in the lock, and the control plane empties the shard.
 *
 * Who has to go when pages are needed is decided as in S3-FIFO (Yang et al., SOSP 2023): newcomers wait in a small queue,
 * and only those that are asked for again move to the main one. A scan passes through the small queue and leaves the rest
 * alone; what it threw out too early is remembered as a ghost, and comes back to the main queue.
 */
import { CachePages, PAGE_BYTES } from './cache-pages.ts';
import { CacheQueue, QUEUE_WORDS } from './cache-queue.ts';

/** Of a slot: its fields as 32-bit words, 64 bytes in all: one cache line. */
const SLOT_WORDS = 16;
const CHAIN = 0;
const HASH_LOW = 1;
const HASH_HIGH = 2;
const VARIANT = 3;
const FIRST_PAGE = 4;
const HEAD_BYTES = 5;
const BODY_BYTES = 6;
/** How often it was asked for lately: 0 to 3. */
const USES = 7;
const QUEUE = 8;
const OLDER = 9;
const NEWER = 10;
const SEQUENCE = 11;
const MARK = 12;
const EPOCH = 13;
/** 1: purged; it only waits to be thrown out. */
const DEAD = 14;

const MOST_USES = 3;
const SMALL = 1;
const MAIN = 2;
/** Of all pages: what the small queue may hold when pages are needed. */
const SMALL_SHARE = 0.1;

/** The shard's own words. */
const LOCK = 0;
const FREE_SLOT = 1;
const SMALL_QUEUE = 2;
const MAIN_QUEUE = SMALL_QUEUE + QUEUE_WORDS;
const COUNT = 8;
const BYTES = 9;
const EVICTED = 10;
const LAST_SEQUENCE = 11;
/** The first slot that was never used. */
const UNUSED_SLOT = 12;
const HEADER_WORDS = 16;

/** A walk that takes longer met a chain in change. */
const LONGEST_CHAIN = 256;

export interface Record {
  readonly slot: number;
  readonly head: string;
  readonly bodyBytes: number;
  /** The URL's cell, and its count when the record's answer was asked for. */
  readonly mark: number;
  readonly epoch: number;
}

export interface NewRecord {
  readonly hashLow: number;
  readonly hashHigh: number;
  /** Records of one hash differ in this. */
  readonly variant: number;
  readonly mark: number;
  readonly epoch: number;
  readonly head: Buffer;
  readonly body: Buffer;
}

export class CacheShard {
  readonly #words: Int32Array;
  /** Numbers of slots begin at 1. */
  readonly #slots: Int32Array;
  readonly #versions: Int32Array;
  readonly #buckets: Int32Array;
  readonly #ghosts: Int32Array;
  readonly #pages: CachePages;
  readonly #small: CacheQueue;
  readonly #main: CacheQueue;
  readonly #count: number;

  static bytesFor(pages: number): number {
    const buckets = bucketsFor(pages);
    return (HEADER_WORDS + pages * SLOT_WORDS + 3 * buckets) * 4 + CachePages.bytesFor(pages);
  }

  /** @param offset of its bytes, a multiple of 4. */
  constructor(shared: SharedArrayBuffer, offset: number, pages: number) {
    const buckets = bucketsFor(pages);
    let at = offset;
    const words = (count: number) => {
      const view = new Int32Array(shared, at, count);
      at += count * 4;
      return view;
    };
    this.#words = words(HEADER_WORDS);
    this.#slots = words(pages * SLOT_WORDS);
    this.#versions = words(buckets);
    this.#buckets = words(buckets);
    this.#ghosts = words(buckets);
    this.#pages = new CachePages(shared, at, pages);
    this.#count = pages;
    const links = { slots: this.#slots, words: SLOT_WORDS, older: OLDER, newer: NEWER };
    const queue = (first: number) => new CacheQueue(this.#words.subarray(first, first + QUEUE_WORDS), links);
    this.#small = queue(SMALL_QUEUE);
    this.#main = queue(MAIN_QUEUE);
  }

  /** In memory that is all zero. */
  open(): void {
    this.#words.fill(0, FREE_SLOT, HEADER_WORDS);
    this.#words[UNUSED_SLOT] = 1;
    this.#pages.clear();
  }

  /** Throws everything out. Only while nobody writes. */
  clear(): void {
    this.#buckets.fill(0);
    for (let slot = 1; slot <= this.#count; slot++) this.#slots[this.#word(slot, QUEUE)] = 0;
    this.open();
    // On to the next even number: whoever was reading reads anew.
    for (let at = 0; at < this.#versions.length; at++) Atomics.store(this.#versions, at, (this.#versions[at]! | 1) + 1);
  }

  // --- reading ---

  bucketOf(hashLow: number): number {
    return (hashLow >>> 4) & (this.#buckets.length - 1);
  }

  /** Changes whenever anything in the bucket does. */
  version(bucket: number): number {
    return Atomics.load(this.#versions, bucket);
  }

  /** What is stored under the hash, of any variant; undefined when the bucket changed meanwhile. */
  find(hashLow: number, hashHigh: number): Record[] | undefined {
    const bucket = this.bucketOf(hashLow);
    const version = this.version(bucket);
    if ((version & 1) === 1) return undefined;
    const found: Record[] = [];
    let slot = this.#buckets[bucket]!;
    for (let steps = 0; slot !== 0; steps++) {
      if (steps > LONGEST_CHAIN) return undefined;
      const base = slot * SLOT_WORDS - SLOT_WORDS;
      const slots = this.#slots;
      if (slots[base + HASH_LOW] === hashLow && slots[base + HASH_HIGH] === hashHigh && slots[base + DEAD] === 0) {
        const head = this.#pages.copy(slots[base + FIRST_PAGE]!, 0, slots[base + HEAD_BYTES]!);
        if (head === undefined) return undefined;
        found.push({
          slot,
          head: head.toString('utf8'),
          bodyBytes: slots[base + BODY_BYTES]!,
          mark: slots[base + MARK]!,
          epoch: slots[base + EPOCH]!,
        });
      }
      slot = slots[base + CHAIN]!;
    }
    return this.#isStill(bucket, version) ? found : undefined;
  }

  /** The body of a record that `find` gave under this version; undefined when it may be another's by now. */
  body(slot: number, bucket: number, version: number): Buffer | undefined {
    const base = slot * SLOT_WORDS - SLOT_WORDS;
    const bytes = this.#pages.copy(
      this.#slots[base + FIRST_PAGE]!,
      this.#slots[base + HEAD_BYTES]!,
      this.#slots[base + BODY_BYTES]!,
    );
    return this.#isStill(bucket, version) ? bytes : undefined;
  }

  /** Somebody has asked for it: it may stay longer. */
  touch(slot: number): void {
    const at = this.#word(slot, USES);
    // Two threads may count one use as one, and a use may count for whom it does not belong to: it is a hint.
    if (this.#slots[at]! < MOST_USES) this.#slots[at]!++;
  }

  uses(slot: number): number {
    return this.#slots[this.#word(slot, USES)]!;
  }

  /** A read-modify-write: no load of the copied bytes may move behind it. */
  #isStill(bucket: number, version: number): boolean {
    return Atomics.add(this.#versions, bucket, 0) === version;
  }

  // --- writing ---

  /** @returns false when another thread has it: then there is nothing to write. */
  lock(owner: number): boolean {
    return Atomics.compareExchange(this.#words, LOCK, 0, owner) === 0;
  }

  unlock(): void {
    Atomics.store(this.#words, LOCK, 0);
  }

  get owner(): number {
    return Atomics.load(this.#words, LOCK);
  }

  /** Under the lock. In place of the one of its variant; the oldest go where there are `mostVariants`. @returns its slot. */
  put(record: NewRecord, mostVariants: number): number {
    this.remove(record.hashLow, record.hashHigh, record.variant);
    this.#boundVariants(record, mostVariants);
    const pages = CachePages.needed(record.head.length + record.body.length);
    const words = this.#words;
    while (this.#pages.free < pages) this.#evict();
    const slot = this.#takeSlot();
    const base = slot * SLOT_WORDS - SLOT_WORDS;
    const slots = this.#slots;
    slots[base + HASH_LOW] = record.hashLow;
    slots[base + HASH_HIGH] = record.hashHigh;
    slots[base + VARIANT] = record.variant;
    slots[base + HEAD_BYTES] = record.head.length;
    slots[base + BODY_BYTES] = record.body.length;
    slots[base + MARK] = record.mark;
    slots[base + EPOCH] = record.epoch;
    slots[base + USES] = 0;
    slots[base + DEAD] = 0;
    slots[base + SEQUENCE] = ++words[LAST_SEQUENCE]!;
    slots[base + FIRST_PAGE] = this.#pages.write(record.head, record.body);
    words[COUNT]!++;
    words[BYTES]! += pages * PAGE_BYTES;
    this.#enqueue(slot, this.#forgetGhost(record.hashLow) ? MAIN : SMALL, pages);
    this.#link(slot);
    return slot;
  }

  /** Under the lock. */
  remove(hashLow: number, hashHigh: number, variant: number): void {
    const slots = this.#slots;
    for (let slot = this.#buckets[this.bucketOf(hashLow)]!; slot !== 0; slot = slots[this.#word(slot, CHAIN)]!) {
      const base = slot * SLOT_WORDS - SLOT_WORDS;
      const isOf = slots[base + HASH_LOW] === hashLow && slots[base + HASH_HIGH] === hashHigh;
      if (isOf && slots[base + VARIANT] === variant) return this.#release(slot);
    }
  }

  #boundVariants({ hashLow, hashHigh }: NewRecord, most: number): void {
    const slots = this.#slots;
    let count = 0;
    let oldest = 0;
    for (let slot = this.#buckets[this.bucketOf(hashLow)]!; slot !== 0; slot = slots[this.#word(slot, CHAIN)]!) {
      const base = slot * SLOT_WORDS - SLOT_WORDS;
      if (slots[base + HASH_LOW] !== hashLow || slots[base + HASH_HIGH] !== hashHigh) continue;
      count++;
      if (oldest === 0 || slots[base + SEQUENCE]! < slots[this.#word(oldest, SEQUENCE)]!) oldest = slot;
    }
    if (count >= most) this.#release(oldest);
  }

  #takeSlot(): number {
    const slot = this.#words[FREE_SLOT]!;
    if (slot === 0) return this.#words[UNUSED_SLOT]!++;
    this.#words[FREE_SLOT] = this.#slots[this.#word(slot, CHAIN)]!;
    return slot;
  }

  #link(slot: number): void {
    const bucket = this.bucketOf(this.#slots[this.#word(slot, HASH_LOW)]!);
    Atomics.add(this.#versions, bucket, 1);
    this.#slots[this.#word(slot, CHAIN)] = this.#buckets[bucket]!;
    this.#buckets[bucket] = slot;
    Atomics.add(this.#versions, bucket, 1);
  }

  /** Out of its chain first: nobody finds it any more when its pages become another's. */
  #release(slot: number): void {
    const slots = this.#slots;
    const base = this.#word(slot, 0);
    const bucket = this.bucketOf(slots[base + HASH_LOW]!);
    Atomics.add(this.#versions, bucket, 1);
    if (this.#buckets[bucket] === slot) this.#buckets[bucket] = slots[base + CHAIN]!;
    else {
      let before = this.#buckets[bucket]!;
      while (slots[this.#word(before, CHAIN)] !== slot) before = slots[this.#word(before, CHAIN)]!;
      slots[this.#word(before, CHAIN)] = slots[base + CHAIN]!;
    }
    Atomics.add(this.#versions, bucket, 1);
    const pages = this.#pagesOf(slot);
    this.#queueOf(slot).remove(slot, pages);
    this.#pages.release(slots[base + FIRST_PAGE]!, pages);
    const words = this.#words;
    slots[base + QUEUE] = 0;
    slots[base + CHAIN] = words[FREE_SLOT]!;
    words[FREE_SLOT] = slot;
    words[COUNT]!--;
    words[BYTES]! -= pages * PAGE_BYTES;
  }

  #pagesOf(slot: number): number {
    const bytes = this.#slots[this.#word(slot, HEAD_BYTES)]! + this.#slots[this.#word(slot, BODY_BYTES)]!;
    return CachePages.needed(bytes);
  }

  // --- who has to go ---

  /** Throws one out, or moves one on that has earned it. */
  #evict(): void {
    const isSmallFull = this.#small.pages > this.#count * SMALL_SHARE || this.#main.oldest === 0;
    const queue = isSmallFull && this.#small.oldest !== 0 ? SMALL : MAIN;
    const slot = (queue === SMALL ? this.#small : this.#main).oldest;
    const uses = this.#word(slot, USES);
    if (this.#slots[uses] === 0 || this.#slots[this.#word(slot, DEAD)] === 1) {
      if (queue === SMALL) this.#rememberGhost(this.#slots[this.#word(slot, HASH_LOW)]!);
      this.#words[EVICTED]!++;
      return this.#release(slot);
    }
    const pages = this.#pagesOf(slot);
    this.#queueOf(slot).remove(slot, pages);
    // Up from the small queue it begins anew; round the main one each use is worth one more round.
    this.#slots[uses] = queue === SMALL ? 0 : this.#slots[uses]! - 1;
    this.#enqueue(slot, MAIN, pages);
  }

  #enqueue(slot: number, queue: number, pages: number): void {
    this.#slots[this.#word(slot, QUEUE)] = queue;
    this.#queueOf(slot).add(slot, pages);
  }

  #queueOf(slot: number): CacheQueue {
    return this.#slots[this.#word(slot, QUEUE)] === SMALL ? this.#small : this.#main;
  }

  /** One place for each bucket: a newer ghost takes an older one's, which bounds them as a queue would. */
  #rememberGhost(hashLow: number): void {
    this.#ghosts[this.bucketOf(hashLow)] = hashLow | 1;
  }

  #forgetGhost(hashLow: number): boolean {
    const at = this.bucketOf(hashLow);
    if (this.#ghosts[at] !== (hashLow | 1)) return false;
    this.#ghosts[at] = 0;
    return true;
  }

  // --- all of it ---

  /** Makes records unusable whose head the judge condemns. Takes no lock: at worst it condemns a newcomer in a slot. */
  condemn(judge: (head: string) => boolean): number {
    let condemned = 0;
    for (let slot = 1; slot < this.#words[UNUSED_SLOT]!; slot++) {
      const base = slot * SLOT_WORDS - SLOT_WORDS;
      if (this.#slots[base + QUEUE] === 0 || this.#slots[base + DEAD] === 1) continue;
      const head = this.#pages.copy(this.#slots[base + FIRST_PAGE]!, 0, this.#slots[base + HEAD_BYTES]!);
      if (head === undefined || !judge(head.toString('utf8'))) continue;
      this.condemnSlot(slot);
      condemned++;
    }
    return condemned;
  }

  condemnSlot(slot: number): void {
    const bucket = this.bucketOf(this.#slots[this.#word(slot, HASH_LOW)]!);
    this.#slots[this.#word(slot, DEAD)] = 1;
    // By two: near copies notice, and it stays what it was, odd or even.
    Atomics.add(this.#versions, bucket, 2);
  }

  get entries(): number {
    return this.#words[COUNT]!;
  }

  get bytes(): number {
    return this.#words[BYTES]!;
  }

  get evictions(): number {
    return this.#words[EVICTED]!;
  }

  #word(slot: number, field: number): number {
    return slot * SLOT_WORDS - SLOT_WORDS + field;
  }
}

/** A power of two, about one for each record of two pages. */
function bucketsFor(pages: number): number {
  return 2 ** Math.max(4, Math.ceil(Math.log2(pages / 2)));
}
