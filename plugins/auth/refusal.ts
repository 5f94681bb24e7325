/** Why a credential does not let its bearer in. What the client reads says nothing that helps to guess. */

export type RefusalReason = 'invalid' | 'expired' | 'forbidden' | 'unavailable';

/** An answer that a service gave in the gateway's place: a challenge of its own, a way to its login. */
export interface RefusalAnswer {
  readonly status: number;
  /** Flat. */
  readonly fields: readonly string[];
  readonly body: Buffer;
}

export interface RefusalOptions {
  readonly challenge?: string;
  readonly retryAfterSeconds?: number;
  readonly answer?: RefusalAnswer;
}

export class Refusal {
  readonly reason: RefusalReason;
  /** For the log. */
  readonly message: string;
  /** The challenge that says what is wrong (RFC 6750 §3); default: that of the method. */
  readonly challenge: string | undefined;
  /** When it is worth to come again, where the method could not decide. */
  readonly retryAfterSeconds: number | undefined;
  /** What the client gets instead of a problem. */
  readonly answer: RefusalAnswer | undefined;

  constructor(reason: RefusalReason, message: string, { challenge, retryAfterSeconds, answer }: RefusalOptions = {}) {
    this.reason = reason;
    this.message = message;
    this.challenge = challenge;
    this.retryAfterSeconds = retryAfterSeconds;
    this.answer = answer;
  }
}
