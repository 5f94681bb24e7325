/** Sessions of all gateways in Redis: one short string each, that goes away by itself. Nothing waits for a write. */
import type { Logger } from 'pino';
import type { Clock, Random } from '../clock.ts';
import type { RedisOptions } from './options.ts';
import { RedisConnection, script } from './redis.ts';
import type { SessionStore, SharedSession } from './store.ts';

const FIND = script(`return redis.call('GET', KEYS[1])`);

/** ARGV: what the writer believes to be there, what it wants there, for how long (s). Returns what stands, if that is another. */
const SAVE = script(`
local stands = redis.call('GET', KEYS[1])
local isOurs = stands and string.match(stands, '^%d+ %d+ %d+$')
if isOurs and stands ~= ARGV[1] and stands ~= ARGV[2] then return stands end
redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])
return false
`);

export interface RedisSessionsParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

export class RedisSessions implements SessionStore {
  readonly #connection: RedisConnection;
  readonly #prefix: string;
  readonly #timeoutMs: number;
  readonly #clock: Clock;

  constructor(options: RedisOptions, { clock, random, log }: RedisSessionsParts) {
    const store = `${options.host}:${options.port}`;
    this.#prefix = `${options.keyPrefix}session:`;
    this.#timeoutMs = options.timeoutMs;
    this.#clock = clock;
    this.#connection = new RedisConnection(options, {
      clock,
      random,
      // What `aya_store_up` says is said of the connection of limits, to the same store.
      counts: { storeUp: () => {}, storeAsked: () => {} },
      onChange(isUp, reason) {
        if (isUp) log.info({ event: 'session_store_up', store }, 'the store is up: sessions are shared');
        else log.warn({ event: 'session_store_away', store, reason }, `the store of sessions is away: ${reason}`);
      },
    });
    void this.#connection.start();
  }

  get isUp(): boolean {
    return this.#connection.isUp;
  }

  find(key: string, done: (session: SharedSession | undefined) => void): void {
    this.#connection.run(FIND, this.#prefix + key, [], this.#timeoutMs, (reply) => done(this.#read(reply)));
  }

  save(
    key: string,
    before: SharedSession | undefined,
    session: SharedSession,
    seconds: number,
    done: (stands: SharedSession | undefined) => void,
  ): void {
    if (!this.isUp) return;
    const expected = before === undefined ? '' : spelled(before);
    this.#connection.run(SAVE, this.#prefix + key, [expected, spelled(session), seconds], this.#timeoutMs, (reply) =>
      done(this.#read(reply)),
    );
  }

  close(): Promise<void> {
    return this.#connection.close();
  }

  /** Whoever else may write there: three numbers, or nothing. */
  #read(reply: unknown): SharedSession | undefined {
    const [, home, current, beganAt] =
      (typeof reply === 'string' && /^(\d{1,10}) (\d{1,10}) (\d{1,10})$/.exec(reply)) || [];
    if (home === undefined) return undefined;
    const seenAt = Math.floor(this.#clock.wall() / 1000);
    return { home: Number(home), current: Number(current), beganAt: Number(beganAt), seenAt };
  }
}

/** When it was used last is what its end says. */
const spelled = ({ home, current, beganAt }: SharedSession) => `${home} ${current} ${beganAt}`;
