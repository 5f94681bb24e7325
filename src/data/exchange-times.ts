/** When an exchange is overdue: what happened when, and how long each part of it may take. */
import type { Rule } from './rule.ts';

/** A slow body is cut when it falls behind its rate: its first ten seconds are free. */
const BODY_GRACE_MS = 10_000;

/** What of its exchange the times depend on. */
interface Progress {
  readonly rule: Rule;
  readonly startedAt: number;
  /** The client has not sent all of its body. */
  readonly isUploading: boolean;
  /** Bytes that came from the client since it began. */
  readonly bytesReceived: number;
  readonly client: { readonly minRate: number };
}

export class ExchangeTimes {
  /** Of the answer; 0: there is none yet. */
  lastByteAt = 0;
  /** When the upstream had the whole request: from then on it may be waited for. */
  sentAt = 0;
  /** Whether `total` applies: not to event streams. */
  bounded = true;
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

  /** The nearest moment at which something may be overdue. */
  nextDue(progress: Progress): number {
    const { rule, startedAt } = progress;
    const total = this.bounded && rule.totalMs > 0 ? startedAt + rule.totalMs : Infinity;
    return Math.min(total, this.#answerDue(progress), this.bodyDue(progress));
  }

  /** Silence once the head is there; before that, what the head may take once the upstream has the whole request. */
  #answerDue({ rule, startedAt, isUploading }: Progress): number {
    if (this.lastByteAt > 0) return this.lastByteAt + (this.bounded ? rule.idleMs : rule.streamIdleMs);
    if (this.#blockedAt > 0) return this.#blockedAt + rule.headMs;
    return isUploading ? Infinity : Math.max(startedAt, this.sentAt) + rule.headMs;
  }

  /** A body may take ten seconds, and one more for each `minRate` bytes that came. */
  bodyDue({ isUploading, startedAt, bytesReceived, client }: Progress): number {
    if (!isUploading || this.#blockedAt > 0) return Infinity;
    return startedAt + this.#blockedMs + BODY_GRACE_MS + (bytesReceived / client.minRate) * 1000;
  }
}
