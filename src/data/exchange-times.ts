/** When an exchange is overdue: what happened when, and how long each part of it may take. */
import { GatewayError } from '../errors.ts';
import { lateRequest, slowBody } from './request-body.ts';
import type { Rule } from './rule.ts';

/** A slow body is cut when it falls behind its rate: its first ten seconds are free. */
const BODY_GRACE_MS = 10_000;

/**
 * Whoever sets a deadline may set one that no endpoint can meet, so it tells nothing of the one that did not; and no further
 * try is in time.
 */
function deadlineOver(route: string, afterMs: number): GatewayError {
  const message = `route '${route}': the caller's deadline of ${Math.round(afterMs)} ms is over`;
  return new GatewayError('http_response_timeout', message, { retry: 'never' });
}

/** What of its exchange the times depend on. */
interface Progress {
  readonly rule: Rule;
  readonly startedAt: number;
  /** The client has not sent all of its body. */
  readonly isUploading: boolean;
  /** Bytes that came from the client since it began. */
  readonly bytesReceived: number;
  readonly client: { readonly minRate: number; readonly requestMs: number };
  readonly grpc: { readonly timeoutMs: number; readonly lasting: boolean } | undefined;
}

export class ExchangeTimes {
  /** Of the answer; 0: there is none yet. */
  lastByteAt = 0;
  /** When the upstream had the whole request: from then on it may be waited for. */
  sentAt = 0;
  /** Whether `total` applies: not to event streams. */
  bounded = true;
  /** When the caller stops waiting, where it has said so (`x-request-deadline`). */
  deadlineAt = Infinity;
  /** Of the request's body, as far as anybody has looked. */
  #lastUploadAt = 0;
  #seenBytes = 0;
  /** Since when the upstream takes no more of the body; 0: it does. */
  #blockedAt = 0;
  /** For how long it has not, in all: no fault of the client's. */
  #blockedMs = 0;

  blocked(now: number): void {
    this.#blockedAt = now;
  }

  resumed(now: number): void {
    if (this.#blockedAt > 0) this.#blockedMs += now - this.#blockedAt;
    this.#blockedAt = 0;
  }

  /** Looked at when something may be overdue: whether more of the request has come since the last time. */
  look(now: number, bytesReceived: number): void {
    if (bytesReceived > this.#seenBytes) this.#lastUploadAt = now;
    this.#seenBytes = bytesReceived;
  }

  /** The nearest moment at which something may be overdue. */
  nextDue(progress: Progress): number {
    return Math.min(this.#endsAt(progress), this.#answerDue(progress), this.bodyDue(progress));
  }

  /** Milliseconds left for the whole answer: what the route allows, what the caller does. */
  leftMs(progress: Progress, now: number): number {
    return this.#endsAt(progress) - now;
  }

  /** Milliseconds left for the head, over all tries. */
  remainingMs(progress: Progress, now: number): number {
    return Math.min(this.#endsAt(progress), progress.startedAt + progress.rule.headMs) - now;
  }

  #endsAt(progress: Progress): number {
    const { rule, startedAt } = progress;
    const totalAt = this.bounded && rule.totalMs > 0 ? startedAt + rule.totalMs : Infinity;
    return Math.min(totalAt, this.#callerAt(progress));
  }

  #callerAt({ startedAt, grpc }: Progress): number {
    const callAt = startedAt + (grpc?.timeoutMs ?? Infinity);
    return this.bounded ? Math.min(callAt, this.deadlineAt) : callAt;
  }

  /** Silence once the head is there; before that, what the head may take once the upstream has the whole request. */
  #answerDue({ rule, startedAt, isUploading, grpc }: Progress): number {
    if (grpc?.lasting === true && (isUploading || this.lastByteAt > 0)) {
      return Math.max(startedAt, this.lastByteAt, this.#lastUploadAt) + rule.streamIdleMs;
    }
    if (this.lastByteAt > 0) return this.lastByteAt + (this.bounded ? rule.idleMs : rule.streamIdleMs);
    if (this.#blockedAt > 0) return this.#blockedAt + rule.headMs;
    return isUploading ? Infinity : Math.max(startedAt, this.sentAt) + rule.headMs;
  }

  /** What is due now, as an error. */
  overdue(progress: Progress, now: number): GatewayError {
    const { rule, startedAt, client } = progress;
    if (this.bodyDue(progress) <= now) {
      const isLate = startedAt + this.#blockedMs + client.requestMs <= now;
      return isLate ? lateRequest() : slowBody(client.minRate);
    }
    const callerAt = this.#callerAt(progress);
    if (callerAt <= now) return deadlineOver(rule.name, callerAt - startedAt);
    const what =
      this.lastByteAt === 0 && !progress.isUploading
        ? `no answer within ${rule.headMs} ms`
        : 'it came to a halt or took too long';
    return new GatewayError('http_response_timeout', `route '${rule.name}': ${what}`);
  }

  /** A body may take ten seconds, and one more for each `minRate` bytes that came; with its head, `requestMs` at most. */
  bodyDue({ isUploading, startedAt, bytesReceived, client, grpc }: Progress): number {
    if (!isUploading || this.#blockedAt > 0 || grpc?.lasting === true) return Infinity;
    const atRateMs = BODY_GRACE_MS + (bytesReceived / client.minRate) * 1000;
    return startedAt + this.#blockedMs + Math.min(atRateMs, client.requestMs);
  }
}
