/**
 * One connection to Redis, of one thread. It knows only three things: to run a script, to run a command, and whether it
 * is up. ioredis speaks the protocol; when to connect again and whom to ask meanwhile is decided here, so it neither
 * reconnects nor queues nor repeats by itself. Each failure has one result: the question is answered with an error within
 * its time, and the store counts as away or not:
 *
 * | Redis | then |
 * |---|---|
 * | refuses the connection, or ends it | away at once |
 * | does not answer (slow, stopped, half-open socket) | away after three questions without an answer; connected anew |
 * | LOADING, READONLY, OOM, MISCONF, NOAUTH, WRONGPASS, NOPERM | away at once, until a write of the probe passes |
 * | NOSCRIPT, after a restart or SCRIPT FLUSH | the script is sent again, nobody notices |
 */
import { hash } from 'node:crypto';
import { isIP } from 'node:net';
import type { Redis } from 'ioredis';
import type { Clock, Random } from '../clock.ts';
import { Availability } from './availability.ts';
import type { RedisOptions } from './options.ts';
import type { StoreCounts } from './store.ts';

/** A probe has more time than a request: it may have to connect, and nobody waits for it. */
const PROBE_MS = 1_000;

const QUIT_MS = 200;

/** Whatever is asked next will be refused too. */
const REFUSES_ALL = /^(LOADING|READONLY|OOM|MISCONF|NOAUTH|WRONGPASS|NOPERM|MASTERDOWN|CLUSTERDOWN|MOVED)\b/;

export interface RedisParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly counts: StoreCounts;
  /** `reason` holds no secret. */
  readonly onChange: (isUp: boolean, reason: string) => void;
  /** Asks each connection which Redis it leads to (`RedisConnection.server`). */
  readonly identify?: boolean;
}

/** What became of a question. Errors are sentences: what ioredis throws holds the arguments, the password among them. */
export type Answered = (reply: unknown, error: string | undefined) => void;

/** @returns after the first attempt to connect, however it went. */
export async function connectRedis(options: RedisOptions, parts: RedisParts): Promise<RedisConnection> {
  const connection = new RedisConnection(options, parts);
  await connection.start();
  return connection;
}

export class RedisConnection {
  readonly #options: RedisOptions;
  readonly #clock: Clock;
  readonly #counts: StoreCounts;
  readonly #availability: Availability;
  readonly #identifies: boolean;
  #client: Redis | undefined;
  #server = '';
  #isClosed = false;

  constructor(options: RedisOptions, { clock, random, counts, onChange, identify = false }: RedisParts) {
    this.#options = options;
    this.#identifies = identify;
    this.#clock = clock;
    this.#counts = counts;
    this.#availability = new Availability({
      clock,
      random,
      probe: () => this.#probe(),
      onChange: (isUp, reason) => {
        counts.storeUp(isUp);
        onChange(isUp, reason);
      },
    });
  }

  /** Once. Resolves after the first attempt to connect, however it went. */
  start(): Promise<void> {
    return this.#availability.start();
  }

  /** Whether asking makes sense now. */
  get isUp(): boolean {
    return this.#availability.isUp;
  }

  /** Which Redis the connection leads to: another after each restart and each change of the primary. */
  get server(): string {
    return this.#server;
  }

  /** Runs the script whole, at one moment. @param done is called once, within `timeoutMs`. */
  run(script: Script, key: string, args: readonly Argument[], timeoutMs: number, done: Answered): void {
    const client = this.#client;
    if (client === undefined || !this.isUp) return done(undefined, 'the store is away');
    const call = (...command: [string, ...Argument[]]) =>
      script.repliesBytes ? client.callBuffer(...command) : client.call(...command);
    const answer = call('evalsha', script.sha, 1, key, ...args).catch((error: unknown) => {
      if (!sentence(error).startsWith('NOSCRIPT')) throw error;
      return call('eval', script.text, 1, key, ...args);
    });
    this.#await(client, answer, timeoutMs, done);
  }

  /** Runs one command. @throws an Error that holds no argument. */
  command(timeoutMs: number, name: string, ...args: readonly (string | number)[]): Promise<unknown> {
    const client = this.#client;
    if (client === undefined || !this.isUp) return Promise.reject(new Error('the store is away'));
    return new Promise((resolve, reject) => {
      this.#await(client, client.call(name, ...args), timeoutMs, (reply, error) =>
        error === undefined ? resolve(reply) : reject(new Error(error)),
      );
    });
  }

  /** Ends the connection once what was asked is answered, or at once when it is away. */
  async close(): Promise<void> {
    const client = this.#client;
    const isUp = this.isUp;
    this.#isClosed = true;
    this.#availability.close();
    this.#client = undefined;
    if (client === undefined) return;
    if (isUp) await this.#within(client.quit(), QUIT_MS).catch(() => {});
    client.disconnect();
  }

  #await(client: Redis, answer: Promise<unknown>, timeoutMs: number, done: Answered): void {
    let isOver = false;
    const end = (reply: unknown, error: string | undefined, isFinal: boolean) => {
      if (isOver) return;
      isOver = true;
      timeout.cancel();
      this.#counts.storeAsked(error === undefined);
      if (error === undefined) this.#availability.succeeded();
      else this.#fail(client, error, isFinal);
      done(reply, error);
    };
    const expire = () => end(undefined, `no answer within ${timeoutMs} ms`, false);
    // A turn later: when it was this thread that was slow, the answer lies in the socket and is read first.
    const timeout = this.#clock.after(timeoutMs, () => void setImmediate(expire));
    answer.then(
      (reply) => end(reply, undefined, false),
      (error: unknown) => end(undefined, sentence(error), REFUSES_ALL.test(sentence(error))),
    );
  }

  #fail(client: Redis, reason: string, isFinal: boolean): void {
    // What became of questions to a connection that was given up says nothing about the next one.
    if (this.#client !== client) return;
    this.#availability.failed(reason, isFinal);
    // Whatever kept it from answering, the next probe begins with a new connection.
    if (!this.isUp) this.#drop();
  }

  /** Connects, and writes: a replica that only reads would let a question pass. */
  async #probe(): Promise<string | undefined> {
    const { db, keyPrefix } = this.#options;
    const client = await openClient(this.#options);
    if (this.#isClosed) return undefined;
    let heard = '';
    this.#client = client;
    client.on('error', (error: unknown) => (heard ||= sentence(error)));
    client.on('end', () => this.#ended(client, heard));
    try {
      await this.#within(client.connect(), PROBE_MS);
      // ioredis would go on in database 0 if this one did not exist.
      if (db !== 0) await this.#within(client.select(db), PROBE_MS);
      await this.#within(client.set(`${keyPrefix}probe`, 1, 'PX', PROBE_MS), PROBE_MS);
      if (this.#identifies) this.#server = serverOf(String(await this.#within(client.info(), PROBE_MS)));
      return undefined;
    } catch (error) {
      if (this.#client === client) this.#drop();
      return heard || sentence(error);
    }
  }

  #ended(client: Redis, reason: string): void {
    if (this.#client !== client) return;
    this.#client = undefined;
    this.#availability.lost(reason || 'the connection has ended');
  }

  #drop(): void {
    const client = this.#client;
    this.#client = undefined;
    client?.disconnect();
  }

  #within<Value>(promise: Promise<Value>, timeoutMs: number): Promise<Value | undefined> {
    return new Promise((resolve, reject) => {
      const timeout = this.#clock.after(timeoutMs, () => reject(new Error(`no answer within ${timeoutMs} ms`)));
      promise.then(resolve, reject).finally(() => timeout.cancel());
    });
  }
}

type Argument = string | number | Buffer;

export interface Script {
  readonly text: string;
  readonly sha: string;
  /** Strings of its reply come as buffers. */
  readonly repliesBytes: boolean;
}

export function script(text: string, repliesBytes = false): Script {
  return { text, sha: hash('sha1', text, 'hex'), repliesBytes };
}

/** The process, and whose data it has: a replica that becomes the primary may lack what the one before it had confirmed. */
function serverOf(info: string): string {
  const field = (name: string) => new RegExp(`^${name}:(\\w+)`, 'm').exec(info)?.[1] ?? '';
  return hash('sha256', `${field('run_id')} ${field('master_replid')}`, 'hex').slice(0, 16);
}

/** Loaded when there is a store: most gateways have none. It is not connected yet, and neither reconnects nor queues. */
export async function openClient({ host, port, tls, username, password }: RedisOptions): Promise<Redis> {
  const { Redis } = await import('ioredis');
  return new Redis({
    host,
    port,
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...(tls ? { tls: isIP(host) === 0 ? { servername: host } : {} } : {}),
    connectionName: 'aya',
    connectTimeout: PROBE_MS,
    lazyConnect: true,
    retryStrategy: null,
    enableOfflineQueue: false,
    // The probe finds out more than INFO says.
    enableReadyCheck: false,
    disableClientInfo: true,
  });
}

/** Without the stack, the command and its arguments. */
function sentence(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code } = error as { code?: string };
  return error.message === '' ? (code ?? error.name) : error.message;
}
