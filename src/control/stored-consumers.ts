/**
 * Follows the consumers of the store on behalf of the data threads: reads all of them when the store tells of a change,
 * and every few seconds, because a message can get lost. While the store is away the set that was read last serves on. An
 * entry that is wrong is left out and named; it takes no other with it.
 */
import type { Clock, Random, Timer } from '../clock.ts';
import { readStoredConsumer } from '../config/interpret-consumers.ts';
import { scanLanguage, type Language } from '../config/language.ts';
import type { ConsumerConfig } from '../config/schema.ts';
import { normalForm } from '../credentials/password-hash.ts';
import { shareConsumers, type SharedConsumers } from '../data/shared-consumers.ts';
import type { RedisOptions } from '../store/options.ts';
import { LatestOnly } from './latest-only.ts';
import type { ControlLog } from './log.ts';

/** A key that was revoked is refused no later than this, whatever becomes of the message. */
const POLL_MS = 4_000;

/** Where they are. */
export interface ConsumerStore {
  /** JSON by name. @throws when the store cannot tell. */
  load(): Promise<ReadonlyMap<string, string>>;
  /** Listens where it does not do so already. */
  listen(onNews: () => void): Promise<void>;
  close(): Promise<void>;
}

export interface StoredConsumersParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: ControlLog;
  /** To all data threads. */
  readonly publish: (consumers: SharedConsumers) => void;
  /** Default: Redis. */
  readonly open?: (options: RedisOptions, onChange: (isUp: boolean, reason: string) => void) => Promise<ConsumerStore>;
}

/** An entry as it was read last, so that the same text is neither checked nor complained of twice. */
interface Entry {
  readonly text: string;
  /** Undefined: it is wrong. */
  readonly consumer: ConsumerConfig | undefined;
}

export class StoredConsumerFollower {
  readonly #parts: StoredConsumersParts;
  readonly #refreshing = new LatestOnly(() => this.#refresh());
  #store: ConsumerStore | undefined;
  #language: Language | undefined;
  #poll: Timer | undefined;
  #entries: ReadonlyMap<string, Entry> = new Map();
  #shared: SharedConsumers | undefined;
  #isClosed = false;

  constructor(parts: StoredConsumersParts) {
    this.#parts = parts;
  }

  /** Resolves when they were read, or could not be. @param options undefined: there is no store. */
  async start(options: RedisOptions | undefined): Promise<void> {
    if (options === undefined) return;
    const { clock, open = this.#open } = this.#parts;
    this.#language = await scanLanguage();
    this.#store = await open(options, (isUp, reason) => this.#tellOf(isUp, reason));
    if (this.#isClosed) return void this.#store.close();
    await this.#refreshing.run(undefined);
    this.#poll = clock.every(POLL_MS, () => void this.#refreshing.run(undefined));
  }

  /** What every new thread has to know; undefined while nothing was read. */
  get current(): SharedConsumers | undefined {
    return this.#shared;
  }

  close(): void {
    this.#isClosed = true;
    this.#poll?.cancel();
    void this.#store?.close();
  }

  readonly #open = async (
    options: RedisOptions,
    onChange: (isUp: boolean, reason: string) => void,
  ): Promise<ConsumerStore> => {
    const { clock, random } = this.#parts;
    const { RedisConsumers } = await import('../store/redis-consumers.ts');
    return RedisConsumers.open(options, { clock, random, onChange });
  };

  async #refresh(): Promise<void> {
    const store = this.#store!;
    try {
      await store.listen(() => void this.#refreshing.run(undefined));
      const texts = await store.load();
      if (!this.#isClosed && (this.#shared === undefined || this.#differs(texts))) this.#take(texts);
    } catch {
      // The store says itself that it is away; the last set serves on.
    }
  }

  #differs(texts: ReadonlyMap<string, string>): boolean {
    if (texts.size !== this.#entries.size) return true;
    for (const [name, text] of texts) if (this.#entries.get(name)?.text !== text) return true;
    return false;
  }

  #take(texts: ReadonlyMap<string, string>): void {
    const names = [...texts.keys()].sort();
    const before = this.#entries;
    this.#entries = new Map(names.map((name) => [name, this.#entry(name, texts.get(name)!, before.get(name))]));
    const consumers = this.#withoutTwins([...this.#entries.values()].flatMap(({ consumer }) => consumer ?? []));
    this.#shared = shareConsumers(consumers);
    this.#parts.publish(this.#shared);
    if (names.length === 0 && before.size === 0) return;
    const fields = { event: 'stored_consumers', consumers: consumers.length };
    this.#parts.log.info(fields, `${consumers.length} consumers of the store`);
  }

  #entry(name: string, text: string, before: Entry | undefined): Entry {
    if (before?.text === text) return before;
    const read = readStoredConsumer(name, text, this.#language!);
    if (typeof read !== 'string') return { text, consumer: read };
    this.#leaveOut(name, read);
    return { text, consumer: undefined };
  }

  /** A credential has one owner: the first by name, so that it is the same one on every gateway. */
  #withoutTwins(consumers: readonly ConsumerConfig[]): ConsumerConfig[] {
    const taken = new Set<string>();
    return consumers.filter((consumer) => {
      const credentials = [
        ...consumer.apiKeys.map(({ sha256 }) => `key ${sha256}`),
        ...consumer.basic.map(({ username }) => `username ${normalForm(username)}`),
        ...consumer.signatureKeys.map(({ id }) => `signature key ${id}`),
      ];
      const isTwin = credentials.some((credential) => taken.has(credential));
      if (isTwin) this.#leaveOut(consumer.name, 'one of its credentials is that of another consumer');
      else for (const credential of credentials) taken.add(credential);
      return !isTwin;
    });
  }

  #leaveOut(name: string, why: string): void {
    const fields = { event: 'stored_consumer_refused', consumer: name };
    this.#parts.log.warn(fields, `consumer '${name}' of the store is left out: ${why}`);
  }

  #tellOf(isUp: boolean, reason: string): void {
    const { log } = this.#parts;
    if (isUp) log.info({ event: 'consumer_store_up' }, 'the store of consumers is there');
    else log.warn({ event: 'consumer_store_away', reason }, 'the store of consumers is away: those read last serve on');
    if (isUp && this.#poll !== undefined) void this.#refreshing.run(undefined);
  }
}
