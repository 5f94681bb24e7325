/**
 * Consumers that several gateways share, in Redis: one hash `<prefix>consumers` with each consumer's JSON under its name,
 * and a message in the channel of the same name after every change. Any tool may write there; `aya consumer … --store`
 * is one.
 */
import type { Redis } from 'ioredis';
import type { Clock, Random } from '../clock.ts';
import type { RedisOptions } from './options.ts';
import { openClient, RedisConnection } from './redis.ts';

/** Nobody waits for it, and there can be many. */
const ANSWER_MS = 5_000;
const LISTEN_MS = 1_000;

export interface ConsumerStoreParts {
  readonly clock: Clock;
  readonly random: Random;
  /** `reason` holds no secret. */
  readonly onChange: (isUp: boolean, reason: string) => void;
}

export class RedisConsumers {
  readonly #options: RedisOptions;
  readonly #key: string;
  readonly #clock: Clock;
  readonly #connection: RedisConnection;
  #subscriber: Redis | undefined;

  private constructor(options: RedisOptions, connection: RedisConnection, clock: Clock) {
    this.#options = options;
    this.#clock = clock;
    this.#connection = connection;
    this.#key = `${options.keyPrefix}consumers`;
  }

  /** Resolves after the first attempt to connect, however it went. */
  static async open(options: RedisOptions, parts: ConsumerStoreParts): Promise<RedisConsumers> {
    const counts = { storeUp: () => {}, storeAsked: () => {} };
    const connection = new RedisConnection(options, { ...parts, counts });
    await connection.start();
    return new RedisConsumers(options, connection, parts.clock);
  }

  /** JSON by name. @throws when the store cannot tell. */
  async load(): Promise<ReadonlyMap<string, string>> {
    const reply = await this.#connection.command(ANSWER_MS, 'hgetall', this.#key);
    if (!Array.isArray(reply)) return new Map(Object.entries(reply as Record<string, string>));
    const flat = reply as string[];
    return new Map(flat.flatMap((name, at) => (at % 2 === 0 ? [[name, flat[at + 1]!]] : [])));
  }

  /** @param json undefined: it is to be there no more. */
  async write(name: string, json: string | undefined): Promise<void> {
    const ask = (...command: [string, ...string[]]) => this.#connection.command(ANSWER_MS, ...command);
    if (json === undefined) await ask('hdel', this.#key, name);
    else await ask('hset', this.#key, name, json);
    await ask('publish', this.#key, name);
  }

  /** Listens where it does not do so already. @param onNews may be called for nothing. */
  async listen(onNews: () => void): Promise<void> {
    if (this.#subscriber !== undefined || !this.#connection.isUp) return;
    const subscriber = await openClient(this.#options);
    this.#subscriber = subscriber;
    const lost = () => {
      if (this.#subscriber === subscriber) this.#subscriber = undefined;
    };
    // Whoever polls learns of everything too, only later.
    subscriber.on('error', () => {});
    subscriber.on('end', lost);
    subscriber.on('message', onNews);
    // Whatever hangs then fails.
    const timeout = this.#clock.after(LISTEN_MS, () => subscriber.disconnect());
    try {
      await subscriber.connect();
      await subscriber.subscribe(this.#key);
    } catch {
      lost();
      subscriber.disconnect();
      return;
    } finally {
      timeout.cancel();
    }
    // What changed before the subscription was there.
    onNews();
  }

  async close(): Promise<void> {
    this.#subscriber?.disconnect();
    await this.#connection.close();
  }
}
