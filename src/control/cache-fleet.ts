/**
 * The cache of this gateway among those that share a store: tells the others what is purged here, and has this one's memory
 * forget what they were told. Whether anything was missed is known for certain: the stream of news still holds what was
 * heard last, or it does not; then the memory forgets everything. While the store is away the memory serves on alone.
 */
import { purgeJudge, type Purge } from '../cache/purge.ts';
import { FleetTeller, type Told } from '../cache/fleet-teller.ts';
import type { Clock, Random } from '../clock.ts';
import type { CacheTable } from '../memory/cache-table.ts';
import type { RedisOptions } from '../store/options.ts';
import { RedisAnswers } from '../store/redis-answers.ts';
import { RedisConnection } from '../store/redis.ts';
import type { ControlLog } from './log.ts';

/** An operator waits no longer to hear that all were told. */
const TELL_MS = 2_000;
/** Then it is looked again whether nothing was missed, and whether the store still answers. */
const LISTEN_MS = 2_000;

export interface CacheFleetParts {
  readonly table: CacheTable;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: ControlLog;
}

/** `waiting`: the store is away, or slow; it is told when it is back. */
export type Word = 'told' | 'waiting';

export class CacheFleet {
  readonly #table: CacheTable;
  readonly #clock: Clock;
  readonly #log: ControlLog;
  readonly #mouth: RedisConnection;
  /** Of its own: it waits for the store to speak. */
  readonly #ears: RedisConnection;
  readonly #teller: FleetTeller;
  readonly #heard: RedisAnswers;
  #isListening = false;
  #isClosed = false;
  /** The latest news, and of which Redis. */
  #latest = { space: '', id: '' };

  constructor(options: RedisOptions, { table, clock, random, log }: CacheFleetParts) {
    const counts = { storeUp: () => {}, storeAsked: () => {} };
    const shared = { clock, random, counts, identify: true };
    this.#table = table;
    this.#clock = clock;
    this.#log = log;
    this.#mouth = new RedisConnection(options, { ...shared, onChange: (isUp) => void (isUp && this.#teller.flush()) });
    this.#ears = new RedisConnection(options, { ...shared, onChange: (isUp) => void (isUp && this.#listen()) });
    const answers = (connection: RedisConnection) => new RedisAnswers(connection, options.keyPrefix, clock, random);
    this.#teller = new FleetTeller(answers(this.#mouth), table, clock);
    this.#heard = answers(this.#ears);
  }

  /** Resolves after the first attempt to connect, however it went. */
  async start(): Promise<void> {
    await Promise.all([this.#mouth.start(), this.#ears.start()]);
  }

  close(): void {
    this.#isClosed = true;
    void this.#mouth.close();
    void this.#ears.close();
  }

  /** To be called before the memory is purged. Resolves when the store has heard it, or in bounded time. */
  purge(purge: Purge): Promise<Word> {
    return new Promise((resolve) => {
      const late = this.#clock.after(TELL_MS, () => resolve('waiting'));
      this.#teller.purge(purge, () => {
        late.cancel();
        resolve('told');
      });
      if (!this.#mouth.isUp) resolve('waiting');
    });
  }

  async #listen(): Promise<void> {
    if (this.#isListening) return;
    this.#isListening = true;
    while (this.#ears.isUp && !this.#isClosed) {
      try {
        await this.#catchUp();
        for (const { id, from, what } of await this.#heard.news(this.#latest.id, LISTEN_MS)) {
          if (from !== this.#table.name) this.#forget(what);
          this.#latest = { ...this.#latest, id };
        }
      } catch {
        // The connection knows whether the store is away; the next round begins where this one stopped.
      }
    }
    this.#isListening = false;
  }

  #catchUp(): Promise<void> {
    const { space } = this.#heard;
    const heard = this.#latest.space === space ? this.#latest.id : '';
    return new Promise((resolve, reject) => {
      this.#heard.follow(heard, this.#table.name, (place) => {
        if (place === undefined) return reject(new Error('the store does not tell'));
        this.#latest = { space, id: place.heard };
        if (!place.isComplete) this.#forgetAll('news of other gateways may have been missed');
        resolve();
      });
    });
  }

  #forget(what: string): void {
    try {
      const { urls = [], purges = [], all = false } = JSON.parse(what) as Partial<Told>;
      for (const url of urls) this.#table.forget(url);
      for (const purge of purges) this.#table.purge(purgeJudge(purge));
      if (all) this.#forgetAll('another gateway had more to tell than it could keep');
    } catch {
      this.#forgetAll('news of another gateway could not be read');
    }
  }

  #forgetAll(reason: string): void {
    if (this.#table.stats.entries === 0) return;
    this.#table.purge(() => true);
    this.#log.warn({ event: 'cache_emptied', reason }, `the cache begins anew: ${reason}`);
  }
}
