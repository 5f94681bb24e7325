/** The one verdict of a limiter that answers within the call: written anew for each request, so that none is allocated. */
import type { Verdict } from './limiter.ts';

export class MutableVerdict implements Verdict {
  allowed = true;
  remaining = 0;
  resetMs = 0;
  retryAfterMs = 0;

  allow(remaining: number, resetMs: number): Verdict {
    this.allowed = true;
    this.remaining = remaining;
    this.resetMs = resetMs;
    this.retryAfterMs = 0;
    return this;
  }

  refuse(remaining: number, resetMs: number, retryAfterMs: number): Verdict {
    this.allowed = false;
    this.remaining = remaining;
    this.resetMs = resetMs;
    this.retryAfterMs = retryAfterMs;
    return this;
  }
}
