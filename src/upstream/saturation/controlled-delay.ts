/**
 * Tells a burst from a standing queue (CoDel, RFC 8289, in the form that fits requests: Folly's Codel). A burst is over
 * soon, and waiting for its end is right; a queue in which even the luckiest moment of an interval has somebody waiting too
 * long only adds delay, and every request in it is served later than need be.
 */
export class ControlledDelay {
  readonly #intervalMs: number;
  /** Of what the longest had waited, the least within the interval. */
  #leastMs = 0;
  #until = 0;
  #isStanding = false;

  constructor(intervalMs: number) {
    this.#intervalMs = intervalMs;
  }

  get isStanding(): boolean {
    return this.#isStanding;
  }

  /** @param longestMs that anybody waits now; 0: nobody does. */
  observe(longestMs: number, targetMs: number, now: number): void {
    if (now < this.#until) {
      this.#leastMs = Math.min(this.#leastMs, longestMs);
      return;
    }
    this.#isStanding = this.#leastMs > targetMs && longestMs > targetMs;
    this.#leastMs = longestMs;
    this.#until = now + this.#intervalMs;
  }
}
