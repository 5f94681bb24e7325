/**
 * What the gateways of a fleet know together about their certificates, in Redis: one hash `<prefix>acme` with accounts,
 * certificates and failures, one `<prefix>acme:challenges` with the answers that authorities wait for, a version that every
 * write counts up, and a lease for each certificate: whoever has it orders.
 */
import type { Clock, Random } from '../clock.ts';
import type { RedisOptions } from './options.ts';
import { RedisConnection, script } from './redis.ts';

/** Nobody waits for it but an order. */
const ANSWER_MS = 5_000;

const RELEASE = script(`if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0`);

export interface AcmeStoreParts {
  readonly clock: Clock;
  readonly random: Random;
  /** `reason` holds no secret. */
  readonly onChange: (isUp: boolean, reason: string) => void;
}

export class RedisAcme {
  readonly #connection: RedisConnection;
  readonly #key: string;

  private constructor(connection: RedisConnection, keyPrefix: string) {
    this.#connection = connection;
    this.#key = `${keyPrefix}acme`;
  }

  /** Resolves after the first attempt to connect, however it went. */
  static async open(options: RedisOptions, parts: AcmeStoreParts): Promise<RedisAcme> {
    const counts = { storeUp: () => {}, storeAsked: () => {} };
    const connection = new RedisConnection(options, { ...parts, counts });
    await connection.start();
    return new RedisAcme(connection, options.keyPrefix);
  }

  get isUp(): boolean {
    return this.#connection.isUp;
  }

  /** Another one after every write. @throws as all of these, when the store cannot tell. */
  async version(): Promise<string> {
    return String(await this.#ask('get', `${this.#key}:version`));
  }

  async read(name: string): Promise<string | undefined> {
    return ((await this.#ask('hget', this.#key, name)) as string | null) ?? undefined;
  }

  async write(name: string, text: string): Promise<void> {
    await this.#ask('hset', this.#key, name, text);
    await this.#ask('incr', `${this.#key}:version`);
  }

  /** @returns what is there: this, or what another gateway has written before. */
  async writeFirst(name: string, text: string): Promise<string> {
    const isFirst = (await this.#ask('hsetnx', this.#key, name, text)) === 1;
    if (isFirst) await this.#ask('incr', `${this.#key}:version`);
    return isFirst ? text : ((await this.read(name)) ?? text);
  }

  /** What the certificates that are being ordered want to be answered. */
  async challenges(): Promise<readonly string[]> {
    const reply = await this.#ask('hvals', `${this.#key}:challenges`);
    return reply as string[];
  }

  /** @param text undefined: nothing any more. */
  async writeChallenges(name: string, text: string | undefined): Promise<void> {
    if (text === undefined) await this.#ask('hdel', `${this.#key}:challenges`, name);
    else await this.#ask('hset', `${this.#key}:challenges`, name, text);
    await this.#ask('incr', `${this.#key}:version`);
  }

  /** @returns whether nobody else has it. It ends by itself. */
  async lease(name: string, holder: string, forMs: number): Promise<boolean> {
    return (await this.#ask('set', `${this.#key}:lease:${name}`, holder, 'NX', 'PX', forMs)) === 'OK';
  }

  release(name: string, holder: string): Promise<void> {
    return new Promise((resolve) => {
      this.#connection.run(RELEASE, `${this.#key}:lease:${name}`, [holder], ANSWER_MS, () => resolve());
    });
  }

  close(): Promise<void> {
    return this.#connection.close();
  }

  #ask(name: string, ...args: readonly (string | number)[]): Promise<unknown> {
    return this.#connection.command(ANSWER_MS, name, ...args);
  }
}
