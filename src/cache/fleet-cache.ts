/**
 * The cache that several gateways share, as one data thread sees it: behind the memory, asked where that has nothing,
 * written to behind the answer. It never gives what this gateway has forgotten, also while the store has yet to be told.
 */
import type { Logger } from 'pino';
import type { Clock, Random } from '../clock.ts';
import type { CacheTable, Asked } from '../memory/cache-table.ts';
import type { RedisOptions } from '../store/options.ts';
import { RedisAnswers, type AnswerReply, type Permit } from '../store/redis-answers.ts';
import { RedisConnection } from '../store/redis.ts';
import { FleetTeller } from './fleet-teller.ts';
import { spelled } from './purge.ts';
import type { StoredAnswer, StoredHead } from './stored-answer.ts';
import http from '../node-http.ts';

/** Bodies that wait to be written; beyond, they are not: a cache may forget. */
const MOST_WRITING_BYTES = 8 * 1024 * 1024;
/** How long an answer that can be confirmed is kept beyond its time. */
const CONFIRMABLE_MS = 3_600_000;
const MOST_TAGS = 128;

export interface FleetCacheParts {
  readonly table: CacheTable;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

export interface Question {
  readonly key: string;
  /** '': no field chooses it. */
  readonly variant: string;
  readonly url: string;
}

/** What the store said. */
export interface Recalled {
  /** To store the answer with, if it has to be fetched. */
  readonly permit: Permit;
  /** Names of the fields that choose, where there are several answers. */
  readonly vary: readonly string[] | undefined;
  readonly answer: (StoredAnswer & { readonly body: Buffer }) | undefined;
  /** The memory's word from before the question. */
  readonly asked: Asked;
}

export class FleetCache {
  readonly #options: RedisOptions;
  readonly #table: CacheTable;
  readonly #clock: Clock;
  readonly #connection: RedisConnection;
  readonly #answers: RedisAnswers;
  readonly #teller: FleetTeller;
  #writingBytes = 0;

  constructor(options: RedisOptions, { table, clock, random, log }: FleetCacheParts) {
    const store = `${options.host}:${options.port}`;
    this.#options = options;
    this.#table = table;
    this.#clock = clock;
    this.#connection = new RedisConnection(options, {
      clock,
      random,
      identify: true,
      // What `aya_store_up` says is said of the store of limits.
      counts: { storeUp: () => {}, storeAsked: () => {} },
      onChange: (isUp, reason) => {
        if (isUp) {
          log.info({ event: 'cache_store_up', store }, 'the store is up: answers are shared');
          this.#teller.flush();
        } else log.warn({ event: 'cache_store_away', store, reason }, `the store of answers is away: ${reason}`);
      },
    });
    this.#answers = new RedisAnswers(this.#connection, options.keyPrefix, clock, random);
    this.#teller = new FleetTeller(this.#answers, table, clock);
  }

  /** Resolves when it is known whether the store is there. Nothing waits for it. */
  start(): Promise<void> {
    return this.#connection.start();
  }

  close(): Promise<void> {
    return this.#connection.close();
  }

  get isUp(): boolean {
    return this.#answers.isUp;
  }

  /** @param done is called once, within the store's timeout; undefined: it did not tell, or must not be believed. */
  recall(question: Question, timeoutMs: number, done: (recalled: Recalled | undefined) => void): void {
    const url = spelled(question.url);
    const asked = this.#table.asked(question.url);
    if (!this.isUp || !this.#table.isTold(asked)) return done(undefined);
    this.#answers.ask({ ...question, url }, timeoutMs, (reply) => {
      // What was forgotten while the store was thinking may be what it says.
      if (reply === undefined || !this.#table.isCurrent(asked) || !this.#table.isTold(asked)) return done(undefined);
      done({ permit: reply.permit, vary: namesIn(reply.vary), answer: answerIn(reply, question), asked });
    });
  }

  get timeoutMs(): number {
    return this.#options.timeoutMs;
  }

  /** Behind the answer: nobody waits. */
  put(head: StoredHead, body: Buffer, permit: Permit, mostVariants: number): void {
    const expiresInMs = this.#usefulMs(head);
    if (!this.isUp || expiresInMs <= 0 || head.tags.length > MOST_TAGS) return;
    if (this.#writingBytes + body.length > MOST_WRITING_BYTES) return;
    const { key, variant, vary, storedAt, tags } = head;
    this.#writingBytes += body.length;
    const text = JSON.stringify(head);
    const answer = { key, variant, vary, head: text, body, storedAt, expiresInMs, tags, mostVariants };
    this.#answers.put(permit, answer, () => {
      this.#writingBytes -= body.length;
    });
  }

  remove({ key, variant }: StoredHead): void {
    if (this.isUp) this.#answers.remove(key, variant);
  }

  /** To be called before the memory forgets it. */
  forget(url: string): void {
    this.#teller.url(url);
  }

  /** Until it is neither fresh, nor good when stale, nor likely to be confirmed. */
  #usefulMs({
    freshMs,
    initialAgeMs,
    storedAt,
    staleIfErrorMs,
    staleWhileRevalidateMs,
    etag,
    lastModified,
  }: StoredHead) {
    const ageMs = initialAgeMs + this.#clock.now() - storedAt;
    const confirmableMs = etag === undefined && lastModified === undefined ? 0 : CONFIRMABLE_MS;
    return Math.max(0, freshMs - ageMs) + Math.max(staleIfErrorMs, staleWhileRevalidateMs, confirmableMs);
  }
}

/** undefined where it is none of ours: other requests' (a hash alone is not believed), corrupted, or foreign. */
function answerIn({ answer }: AnswerReply, { key, variant }: Question): Recalled['answer'] {
  if (answer === undefined) return undefined;
  const { body, storedAt } = answer;
  const head = parsed(answer.head) as StoredHead | undefined;
  if (!isHead(head) || head.key !== key || head.variant !== variant) return undefined;
  return { head: { ...head, storedAt }, bodyBytes: body.length, body };
}

function namesIn(text: string | undefined): readonly string[] | undefined {
  const names = text === undefined ? undefined : parsed(text);
  return isTexts(names) && names.length > 0 ? names : undefined;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const NUMBERS = ['status', 'initialAgeMs', 'freshMs', 'staleWhileRevalidateMs', 'staleIfErrorMs', 'dateMs'] as const;

function isHead(head: StoredHead | undefined): head is StoredHead {
  if (typeof head !== 'object' || head === null) return false;
  const { status, fields, vary, tags, etag, lastModified, url } = head;
  return (
    NUMBERS.every((name) => Number.isFinite(head[name])) &&
    Number.isInteger(status) &&
    status >= 200 &&
    status < 600 &&
    typeof url === 'string' &&
    typeof head.noCache === 'boolean' &&
    typeof head.isPublic === 'boolean' &&
    [etag, lastModified].every((value) => value === undefined || typeof value === 'string') &&
    isTexts(vary) &&
    isTexts(tags) &&
    isTexts(fields) &&
    areFields(fields)
  );
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string');
}

/** What Node would refuse to send must not get that far. */
function areFields(fields: readonly string[]): boolean {
  if (fields.length % 2 === 1) return false;
  try {
    for (let at = 0; at < fields.length; at += 2) {
      http.validateHeaderName(fields[at]!);
      http.validateHeaderValue(fields[at]!, fields[at + 1]!);
    }
    return true;
  } catch {
    return false;
  }
}
