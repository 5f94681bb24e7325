/** A session: the tokens that a login has brought, and until when they stand for their user. */
import type { TokenEndpointResponse, TokenEndpointResponseHelpers } from 'openid-client';

export type Tokens = TokenEndpointResponse & TokenEndpointResponseHelpers;

/** All moments are milliseconds since the epoch: other gateways read them too. */
export interface Session {
  readonly idToken: string;
  readonly accessToken: string;
  readonly refreshToken?: string;
  /** What was granted, as the provider writes it. */
  readonly scope: string;
  readonly startedAt: number;
  /** Written now and then, not at each request. */
  readonly seenAt: number;
  /** When the access token ends, and from when on it is to be renewed; absent when the provider does not say. */
  readonly expiresAt?: number;
  readonly renewAt?: number;
}

/** Before its end, so that a token which is sent on is still good when it arrives. */
const MOST_AHEAD_MS = 60_000;
const AHEAD = 0.2;

/** @param before what it continues. */
export function sessionOf(tokens: Tokens, asked: readonly string[], now: number, before?: Session): Session {
  const refreshToken = tokens.refresh_token ?? before?.refreshToken;
  const seconds = tokens.expiresIn();
  return {
    // OpenID Connect Core §12.2: a renewal may bring no new one.
    idToken: tokens.id_token ?? before!.idToken,
    accessToken: tokens.access_token,
    ...(refreshToken === undefined ? {} : { refreshToken }),
    // RFC 6749 §5.1: left out, it is what was asked for.
    scope: tokens.scope ?? before?.scope ?? asked.join(' '),
    startedAt: before?.startedAt ?? now,
    seenAt: now,
    ...(seconds === undefined ? {} : { expiresAt: now + seconds * 1000, renewAt: renewAt(now, seconds * 1000) }),
  };
}

function renewAt(now: number, lifetimeMs: number): number {
  return now + lifetimeMs - Math.min(MOST_AHEAD_MS, lifetimeMs * AHEAD);
}

export interface Lifetime {
  readonly maxAge: number;
  readonly idle: number;
}

/** When it ends if nobody comes. */
export function endOf({ startedAt, seenAt }: Session, { maxAge, idle }: Lifetime): number {
  return Math.min(startedAt + maxAge, seenAt + idle);
}

/** Whether it is worth a new cookie that somebody was here. */
export function isToBeTouched({ seenAt }: Session, { idle }: Lifetime, now: number): boolean {
  return now - seenAt > idle / 10;
}
