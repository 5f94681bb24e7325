/** The counts of limits in Redis: how a question becomes arguments of the script, and its reply an answer. */
import { hash } from 'node:crypto';
import type { Clock, Random } from '../clock.ts';
import type { LimitSpec, QuotaPeriod } from '../limits/limiter.ts';
import { leaseCap, leaseMs } from '../limits/leased-bound.ts';
import { LIMIT_SCRIPT, OTHER_PERIOD } from './limit-script.ts';
import { script, type RedisConnection, type Script } from './redis.ts';
import type { LimitReply, LimitRequest, LimitStore } from './store.ts';

const COUNTING = script(LIMIT_SCRIPT);

export class RedisLimits implements LimitStore {
  readonly #connection: RedisConnection;
  readonly #counting: Script;
  readonly #keyPrefix: string;
  readonly #clock: Clock;
  /** Names this thread among all that hold leases. */
  readonly #holder: string;
  /** What the clock of Redis is ahead of ours: periods of quotas are those of Redis, whatever this machine thinks. */
  #aheadMs = 0;

  constructor(connection: RedisConnection, keyPrefix: string, clock: Clock, random: Random, counting = COUNTING) {
    this.#counting = counting;
    this.#connection = connection;
    this.#keyPrefix = keyPrefix;
    this.#clock = clock;
    this.#holder = holderName(random);
  }

  get isUp(): boolean {
    return this.#connection.isUp;
  }

  ask(request: LimitRequest, timeoutMs: number, done: (reply: LimitReply | undefined) => void): void {
    this.#ask(request, timeoutMs, (reply) => {
      if (reply?.granted !== OTHER_PERIOD) return done(reply);
      // The first question about a quota may come from a machine whose clock is wrong: now we know by how much.
      this.#ask(request, timeoutMs, (again) => done(again?.granted === OTHER_PERIOD ? undefined : again));
    });
  }

  #ask(request: LimitRequest, timeoutMs: number, done: (reply: LimitReply | undefined) => void): void {
    const { spec } = request;
    const period = spec.algorithm === 'quota' ? spec.periodAt(this.#clock.wall() + this.#aheadMs) : undefined;
    const key = this.#keyPrefix + hashKey(spec, period, request.key);
    this.#connection.run(this.#counting, key, scriptArguments(request, this.#holder, period), timeoutMs, (reply) => {
      if (!isReply(reply)) return done(undefined);
      const [granted, leased, remaining, resetUs, retryUs, seconds, us] = reply;
      if (period !== undefined) this.#aheadMs = Number(seconds) * 1_000 + Number(us) / 1_000 - this.#clock.wall();
      done({ granted, leased, remaining, resetMs: resetUs / 1_000, retryAfterMs: retryUs / 1_000 });
    });
  }
}

/** Callers are hashed: tokens and addresses are nobody's business who may look into Redis. */
export function hashKey(spec: LimitSpec, period: QuotaPeriod | undefined, caller: string): string {
  const shape = period?.id ?? `${spec.algorithm}-${spec.windowMs}`;
  return `limit:${spec.name}:${shape}:${hash('sha256', caller, 'base64url').slice(0, 22)}`;
}

export function scriptArguments(
  { spec, cost, count, held, want, back }: LimitRequest,
  holder: string,
  period: QuotaPeriod | undefined,
): (string | number)[] {
  const { algorithm, max, windowMs, burst } = spec;
  const charge = [cost, count, held, want, back];
  const { startMs = 0, endMs = 0 } = period ?? {};
  return [algorithm, max, windowMs, burst, ...charge, holder, leaseCap(spec), leaseMs(spec), startMs, endMs];
}

type Reply = [number, number, number, number, number, string, string];

const isReply = (reply: unknown): reply is Reply => Array.isArray(reply) && reply.length === 7;

function holderName(random: Random): string {
  return Array.from({ length: 2 }, () => Math.floor(random() * 2 ** 32).toString(36)).join('');
}
