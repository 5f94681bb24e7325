/** Answers that an authority will ask for, as gateways tell each other of them through the store. */

/** Longer than an order: what a gateway that died has left is not given for ever. */
const LIVE_MS = 10 * 60_000;

/**
 * RFC 8555 §8.3: base64url, at least 128 bits. A token becomes a part of a path: nothing else may pass.
 */
const TOKEN = /^[A-Za-z0-9_-]{16,256}$/;
const ANSWER = /^[A-Za-z0-9_-]{16,256}\.[A-Za-z0-9_-]{43}$/;

export interface Challenges {
  /** Milliseconds since the epoch. */
  readonly until: number;
  /** By token. */
  readonly answers: ReadonlyMap<string, string>;
}

export const isToken = (text: unknown): text is string => typeof text === 'string' && TOKEN.test(text);

export const isLive = ({ until }: Challenges, now: number): boolean => now < until && until <= now + 2 * LIVE_MS;

/** @returns undefined: nothing is to be answered any more. */
export function writeChallenges(answers: ReadonlyMap<string, string>, now: number): string | undefined {
  return answers.size === 0 ? undefined : JSON.stringify({ until: now + LIVE_MS, answers: [...answers] });
}

/** @returns none for what is not right. */
export function readChallenges(text: string): Challenges[] {
  try {
    const { until, answers } = JSON.parse(text) as { until: unknown; answers: unknown };
    if (typeof until !== 'number' || !Array.isArray(answers)) return [];
    const right = (answers as unknown[]).filter(
      (pair): pair is [string, string] => Array.isArray(pair) && isToken(pair[0]) && ANSWER.test(String(pair[1])),
    );
    return [{ until, answers: new Map(right) }];
  } catch {
    return [];
  }
}
