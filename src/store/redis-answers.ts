/** Stored answers in Redis: how a question becomes arguments of a script, and its reply an answer. */
import { hash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import type { Clock, Random } from '../clock.ts';
import { ASK, FOLLOW, FORGET, LONGEST_MS, PUT, REMOVE } from './cache-scripts.ts';
import type { RedisConnection } from './redis.ts';

/** Counted up when what is stored is no longer what it was: other versions of the gateway then share nothing with this one. */
const FORMAT = 1;
const CELLS = 65_536;
/** Nobody waits for what is written. */
const WRITE_MS = 1_000;

/** What was current when a question was asked; an answer to it is stored only while it still is. */
export interface Permit {
  readonly space: string;
  readonly url: string;
  readonly tokens: readonly string[];
  /** What the store's clock is ahead of ours, at least. */
  readonly aheadMs: number;
}

export interface AnswerReply {
  readonly permit: Permit;
  /** Names of the fields that choose among several, as they were written. */
  readonly vary: string | undefined;
  readonly answer: { readonly head: string; readonly body: Buffer; readonly storedAt: number } | undefined;
}

export interface NewAnswer {
  readonly key: string;
  readonly variant: string;
  readonly vary: readonly string[];
  readonly head: string;
  readonly body: Buffer;
  /** On our clock. */
  readonly storedAt: number;
  readonly expiresInMs: number;
  readonly tags: readonly string[];
  /** Under the key. */
  readonly mostVariants: number;
}

/** What is to be forgotten. URLs in their one spelling. */
export interface Forgotten {
  readonly urls: readonly string[];
  readonly prefixes: readonly string[];
  readonly tags: readonly string[];
  readonly all: boolean;
}

export class RedisAnswers {
  readonly #connection: RedisConnection;
  readonly #keyPrefix: string;
  readonly #clock: Clock;
  readonly #name: string;
  #tokens = 0;

  constructor(connection: RedisConnection, keyPrefix: string, clock: Clock, random: Random) {
    this.#connection = connection;
    this.#keyPrefix = keyPrefix;
    this.#clock = clock;
    this.#name = [random(), random()].map((part) => part.toString(36).slice(2)).join('');
  }

  get isUp(): boolean {
    return this.#connection.isUp;
  }

  get space(): string {
    return `${this.#keyPrefix}cache:${FORMAT}:${this.#connection.server}:`;
  }

  /** @param variant '': of an answer that no field chooses. @param done is called once, within `timeoutMs`. */
  ask(
    question: { readonly key: string; readonly variant: string; readonly url: string },
    timeoutMs: number,
    done: (reply: AnswerReply | undefined) => void,
  ): void {
    const { space } = this;
    const { key, variant, url } = question;
    const askedAt = this.#clock.now();
    const args = [idOf(key, variant), cellOf(url), this.#newToken()];
    this.#connection.run(ASK, space, args, timeoutMs, (reply, error) => {
      if (error !== undefined || !Array.isArray(reply)) return done(undefined);
      const [time, cell, list, tags, length, vary, at, sum, head, body] = reply as (Buffer | null | undefined)[];
      const storeNow = Number(time);
      const now = this.#clock.now();
      const tokens = [cell, list, tags, length].map(String);
      const isWhole = at instanceof Buffer && head instanceof Buffer && body instanceof Buffer;
      const isSound = isWhole && Number(sum) === checksum(head, body) && Number.isFinite(Number(at));
      done({
        permit: { space, url, tokens, aheadMs: storeNow - now },
        vary: vary instanceof Buffer ? vary.toString() : undefined,
        // From when it was asked for: an answer may seem older by the way, never younger.
        answer: isSound ? { head: head.toString(), body, storedAt: askedAt - (storeNow - Number(at)) } : undefined,
      });
    });
  }

  put({ space, url, tokens, aheadMs }: Permit, answer: NewAnswer, done: (isStored: boolean) => void): void {
    if (space !== this.space) return done(false);
    const { key, variant, vary, body, storedAt, expiresInMs, tags, mostVariants } = answer;
    const head = Buffer.from(answer.head);
    const args = [
      ...[idOf(key, variant), cellOf(url), ...tokens, this.#newToken()],
      ...[Math.ceil(Math.min(expiresInMs, LONGEST_MS)), url, (storedAt + aheadMs).toFixed(0), checksum(head, body)],
      ...[head, body],
      ...(vary.length === 0 ? ['', ''] : [idOf(key, ''), JSON.stringify(vary)]),
      mostVariants,
      ...tags.map(digest),
    ];
    this.#connection.run(PUT, space, args, WRITE_MS, (reply, error) =>
      done(error === undefined && Number(reply) === 1),
    );
  }

  remove(key: string, variant: string): void {
    this.#connection.run(REMOVE, this.space, [idOf(key, variant)], WRITE_MS, () => {});
  }

  /** @param from who tells, and `what` in words for the others' memories. */
  forget({ urls, prefixes, tags, all }: Forgotten, from: string, what: string, done: (isTold: boolean) => void): void {
    const pairs = [
      ...[...new Set(urls.map(cellOf))].flatMap((cell) => ['cell', cell]),
      ...prefixes.flatMap((prefix) => ['prefix', prefix]),
      ...tags.flatMap((tag) => ['tag', digest(tag)]),
      ...(all ? ['all', ''] : []),
    ];
    const args = [from, what, this.#newToken(), ...pairs];
    this.#connection.run(FORGET, this.space, args, WRITE_MS, (_, error) => done(error === undefined));
  }

  /** Where to go on listening. @param heard the latest news, or ''. @returns undefined: the store does not tell. */
  follow(
    heard: string,
    from: string,
    done: (place: { readonly heard: string; readonly isComplete: boolean } | undefined) => void,
  ): void {
    this.#connection.run(FOLLOW, this.space, [from, '{}', heard], WRITE_MS, (reply, error) => {
      if (error !== undefined || !Array.isArray(reply)) return done(undefined);
      done({ heard: String(reply[0]), isComplete: Number(reply[1]) === 1 });
    });
  }

  /** What was told since. Waits for it so long. @throws when the store does not answer. */
  async news(heard: string, waitMs: number): Promise<readonly News[]> {
    const key = `${this.space}news`;
    const command = ['count', 100, 'block', waitMs, 'streams', key, heard];
    const reply = (await this.#connection.command(waitMs + WRITE_MS, 'xread', ...command)) as Streams | null;
    if (reply === null) return [];
    const entries = Array.isArray(reply) ? (reply[0]?.[1] ?? []) : (Object.values(reply)[0] ?? []);
    return entries.map(([id, fields]) => ({ id, from: valueOf(fields, 'from'), what: valueOf(fields, 'what') }));
  }

  #newToken(): string {
    return `${this.#name}.${++this.#tokens}`;
  }
}

export interface News {
  readonly id: string;
  readonly from: string;
  readonly what: string;
}

type Entries = [id: string, fields: string[]][];
/** As RESP2 and RESP3 have it. */
type Streams = [key: string, entries: Entries][] | Record<string, Entries>;

function valueOf(fields: readonly string[], name: string): string {
  for (let at = 0; at < fields.length; at += 2) if (fields[at] === name) return fields[at + 1]!;
  return '';
}

const digest = (text: string) => hash('sha256', text, 'base64url');
const idOf = (key: string, variant: string) => digest(variant === '' ? key : `${key}\n\n\n${variant}`);
const cellOf = (url: string) => parseInt(hash('sha256', url, 'hex').slice(0, 8), 16) % CELLS;
const checksum = (head: Buffer, body: Buffer) => crc32(body, crc32(head));
