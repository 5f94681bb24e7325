/**
 * Tells the store, and through it the other gateways, what this one has forgotten. Everything is told, in order, one
 * message under way at a time; what comes meanwhile goes in the next. What could not be told waits until the store is back.
 */
import type { Clock } from '../clock.ts';
import { ALL_MARKS, type CacheTable } from '../memory/cache-table.ts';
import type { Forgotten, RedisAnswers } from '../store/redis-answers.ts';
import { spelled, type Purge } from './purge.ts';

/** More are one: everything. */
const MOST_WAITING = 1_000;
/** The store is there, and yet did not answer. */
const AGAIN_AFTER_MS = 500;

/** In the words of `news`. */
export interface Told {
  /** As the caches of routes spell them. */
  readonly urls: readonly string[];
  readonly purges: readonly Purge[];
  readonly all: boolean;
}

/** What waits for one message. */
class Waiting {
  readonly urls = new Set<string>();
  readonly purges: Purge[] = [];
  all = false;
  /** Of the table: what must not be asked of the store until this is told. */
  readonly marks = new Set<number>();
  readonly onTold: (() => void)[] = [];

  get isEmpty(): boolean {
    return this.urls.size === 0 && this.purges.length === 0 && !this.all;
  }
}

export class FleetTeller {
  readonly #answers: RedisAnswers;
  readonly #table: CacheTable;
  readonly #clock: Clock;
  #waiting = new Waiting();
  #isTelling = false;

  constructor(answers: RedisAnswers, table: CacheTable, clock: Clock) {
    this.#answers = answers;
    this.#table = table;
    this.#clock = clock;
  }

  url(url: string): void {
    this.#hold(this.#table.markOf(url));
    this.#waiting.urls.add(url);
    this.#bound();
    this.flush();
  }

  purge(purge: Purge, onTold: () => void): void {
    this.#hold(ALL_MARKS);
    this.#waiting.purges.push(purge);
    this.#waiting.onTold.push(onTold);
    this.#bound();
    this.flush();
  }

  /** To be called when the store is back, too. */
  readonly flush = (): void => {
    if (this.#isTelling || this.#waiting.isEmpty || !this.#answers.isUp) return;
    const message = this.#waiting;
    this.#waiting = new Waiting();
    this.#isTelling = true;
    const told: Told = { urls: [...message.urls], purges: message.purges, all: message.all };
    this.#answers.forget(forgottenBy(told), this.#table.name, JSON.stringify(told), (isTold) => {
      this.#isTelling = false;
      if (!isTold) return this.#takeBack(message);
      for (const mark of message.marks) this.#table.letGo(mark);
      for (const tell of message.onTold) tell();
      this.flush();
    });
  };

  #hold(mark: number): void {
    if (this.#waiting.marks.has(mark)) return;
    this.#waiting.marks.add(mark);
    this.#table.holdBack(mark);
  }

  #takeBack(message: Waiting): void {
    const waiting = this.#waiting;
    for (const url of message.urls) waiting.urls.add(url);
    waiting.purges.unshift(...message.purges);
    waiting.all ||= message.all;
    waiting.onTold.unshift(...message.onTold);
    for (const mark of message.marks) {
      if (waiting.marks.has(mark)) this.#table.letGo(mark);
      else waiting.marks.add(mark);
    }
    this.#bound();
    if (this.#answers.isUp) this.#clock.after(AGAIN_AFTER_MS, this.flush);
  }

  #bound(): void {
    const { urls, purges } = this.#waiting;
    if (urls.size + purges.length <= MOST_WAITING) return;
    urls.clear();
    purges.length = 0;
    this.#waiting.all = true;
  }
}

function forgottenBy({ urls, purges, all }: Told): Forgotten {
  return {
    urls: [...urls, ...purges.flatMap(({ url }) => url)].map(spelled),
    prefixes: purges.flatMap(({ prefix }) => prefix).map(spelled),
    tags: purges.flatMap(({ tag }) => tag),
    all,
  };
}
