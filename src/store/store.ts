/**
 * The seam of what several gateways share. A store is one connection of one thread; whoever asks it says by when, and
 * hears within that time: an answer, or that there is none. A store that is away is not asked at all.
 */
import type { LimitSpec } from '../limits/limiter.ts';

/** One exchange about one caller of one limit. All of it happens at one moment of the store's own clock. */
export interface LimitRequest {
  readonly spec: LimitSpec;
  /** The caller, in clear; the store keeps a hash of it. */
  readonly key: string;
  /** `count` requests of this cost wait for the answer. */
  readonly cost: number;
  readonly count: number;
  /** Units of its lease that the asker still has, and how many it would like ahead. */
  readonly held: number;
  readonly want: number;
  /** Units that were charged and not used. */
  readonly back: number;
}

export interface LimitReply {
  /** How many of the waiting requests may pass, the first ones. */
  readonly granted: number;
  /** Units given ahead. They are charged already. */
  readonly leased: number;
  /** What is left for everybody, and until all of it is there again. */
  readonly remaining: number;
  readonly resetMs: number;
  /** Until one more request of that cost would pass; zero: now. */
  readonly retryAfterMs: number;
}

/** Counts for all gateways. */
export interface LimitStore {
  /** Whether asking makes sense now. */
  readonly isUp: boolean;
  /** @param done is called once, within `timeoutMs`; undefined: the store did not tell. */
  ask(request: LimitRequest, timeoutMs: number, done: (reply: LimitReply | undefined) => void): void;
}

/** What happened between a thread and its store, for the metrics. */
export interface StoreCounts {
  storeUp(isUp: boolean): void;
  /** A round trip that ended. */
  storeAsked(isAnswered: boolean): void;
}

/** A session as gateways tell it to each other: ids of endpoints, seconds since the epoch. */
export interface SharedSession {
  readonly home: number;
  readonly current: number;
  readonly beganAt: number;
  readonly seenAt: number;
}

/** Which endpoint a session is at, for all gateways. */
export interface SessionStore {
  readonly isUp: boolean;
  /** @param done is called once, within the store's time; undefined: there is none, or it did not tell. */
  find(key: string, done: (session: SharedSession | undefined) => void): void;
  /**
   * Writes behind the answer, unless the store has another than the one before. @param seconds until it is forgotten, if it is not written again.
   * @param done hears the other that stands, undefined where this one does.
   */
  save(
    key: string,
    before: SharedSession | undefined,
    session: SharedSession,
    seconds: number,
    done: (stands: SharedSession | undefined) => void,
  ): void;
}
