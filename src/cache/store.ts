/**
 * The cache as one data thread sees it: records in shared memory, and near copies of those that are asked for often, so that
 * a hit parses and copies nothing. A near copy is good while the version of its place is: two loads tell.
 */
import type { Asked, CacheTable, Look } from '../memory/cache-table.ts';
import { ownerOf } from '../memory/cache-table.ts';
import type { Permit } from '../store/redis-answers.ts';
import type { FleetCache } from './fleet-cache.ts';
import type { StoredAnswer, StoredHead } from './stored-answer.ts';

/** Of each thread, beside the shared memory. */
const NEAR_BYTES = 8 * 1024 * 1024;
/** A larger body costs more to send than to copy. */
const NEAR_BODY_BYTES = 64 * 1024;
/** What an answer takes beside its body and its head's text, about; the text is parsed, and takes twice its length. */
const NEAR_BASE_BYTES = 1024;
/** The place was changed while it was being read. */
const READ_TRIES = 3;

interface Near {
  readonly look: Look;
  readonly answers: readonly StoredAnswer[];
  bytes: number;
}

export class CacheStore {
  readonly #table: CacheTable;
  readonly #owner: number;
  /** By key, the oldest first. */
  readonly #near = new Map<string, Near>();
  #nearBytes = 0;

  /** What several gateways share, behind the memory; undefined: this one is alone. */
  readonly fleet: FleetCache | undefined;

  constructor(table: CacheTable, thread: number, fleet?: FleetCache) {
    this.#table = table;
    this.fleet = fleet;
    this.#owner = ownerOf(thread);
  }

  /** Largest body that is stored. */
  get maxEntry(): number {
    return this.#table.maxEntry;
  }

  /** All variants under the key. */
  find(key: string): readonly StoredAnswer[] {
    const near = this.#near.get(key);
    if (near !== undefined) {
      if (near.look.shard.version(near.look.bucket) === near.look.version) return this.#current(near.answers);
      this.#dropNear(key, near);
    }
    for (let tries = 0; tries < READ_TRIES; tries++) {
      const look = this.#table.look(key);
      if (look !== undefined) return this.#read(key, look);
    }
    return NONE;
  }

  /** undefined: it was thrown out meanwhile. */
  body(answer: StoredAnswer): Buffer | undefined {
    const { place, bodyBytes, head } = answer;
    if (answer.body !== undefined) return answer.body;
    const { look, slot } = place!;
    const body = look.shard.body(slot, look.bucket, look.version);
    const near = this.#near.get(head.key);
    if (body !== undefined && bodyBytes <= NEAR_BODY_BYTES && near?.look === look) {
      answer.body = body;
      near.bytes += bodyBytes;
      this.#nearBytes += bodyBytes;
      this.#trimNear(head.key);
    }
    return body;
  }

  /** It was of use: it may stay. */
  touch({ place }: StoredAnswer): void {
    if (place !== undefined) place.look.shard.touch(place.slot);
  }

  /** To be called before the upstream is asked. */
  asked(url: string): Asked {
    return this.#table.asked(url);
  }

  /**
   * @returns whether it is stored in memory. @param mostVariants of its key. @param permit of the store that is shared;
   * undefined: the answer came from there, or must not go there.
   */
  put(head: StoredHead, body: Buffer, asked: Asked, mostVariants: number, permit?: Permit): boolean {
    if (permit !== undefined && body.length <= this.maxEntry) this.fleet?.put(head, body, permit, mostVariants);
    const bytes = Buffer.from(JSON.stringify(head));
    return this.#table.put(this.#owner, head.key, head.variant, asked, bytes, body, mostVariants);
  }

  remove(head: StoredHead): void {
    const { key, variant } = head;
    this.fleet?.remove(head);
    this.#table.remove(this.#owner, key, variant);
  }

  /** Whatever the URL has answered so far, in all threads, and in all gateways as soon as they hear. */
  forget(url: string): void {
    // First: whoever asks the store in between must not believe it.
    this.fleet?.forget(url);
    this.#table.forget(url);
  }

  #current(answers: readonly StoredAnswer[]): readonly StoredAnswer[] {
    for (const { place } of answers) {
      if (this.#table.epoch(place!.mark) !== place!.epoch) return NONE;
    }
    return answers;
  }

  #read(key: string, look: Look): readonly StoredAnswer[] {
    if (look.records.length === 0) return NONE;
    const answers: StoredAnswer[] = [];
    let isWanted = false;
    let bytes = 0;
    for (const { slot, head: text, bodyBytes, mark, epoch } of look.records) {
      const head = JSON.parse(text) as StoredHead;
      if (head.key !== key) continue;
      answers.push({ head, bodyBytes, body: undefined, place: { look, slot, mark, epoch } });
      bytes += NEAR_BASE_BYTES + text.length * 2;
      isWanted ||= look.shard.uses(slot) > 0;
    }
    // Only what was asked for before: a scan must not push out the near copies either.
    if (isWanted) this.#keepNear(key, { look, answers, bytes });
    return answers;
  }

  #keepNear(key: string, near: Near): void {
    this.#near.set(key, near);
    this.#nearBytes += near.bytes;
    this.#trimNear(key);
  }

  #trimNear(but: string): void {
    for (const [oldest, first] of this.#near) {
      if (this.#nearBytes <= NEAR_BYTES || oldest === but) return;
      this.#dropNear(oldest, first);
    }
  }

  #dropNear(key: string, near: Near): void {
    this.#near.delete(key);
    this.#nearBytes -= near.bytes;
  }
}

const NONE: readonly StoredAnswer[] = [];
