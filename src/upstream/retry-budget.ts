/**
 * Keeps retries from drowning a pool that is already in trouble: within ten seconds they may be a share of the requests
 * and no more (Finagle, Linkerd, GEP-3388). One budget per pool and thread, so that all routes to a pool draw on what
 * that pool can bear.
 */
import type { Clock } from '../clock.ts';

const SLOT_MS = 1_000;
const SLOTS = 10;

/**
 * What a pool may always retry within the window, so that a single request on a quiet gateway has its further tries. It
 * bounds the extra load to 0.3 a second; above 1.5 requests a second the share of 20 % allows more, and then it rules.
 */
const MINIMUM = 3;

export class RetryBudget {
  readonly #clock: Clock;
  /** A ring: the slot of a second is that second modulo ten. */
  readonly #requests = new Uint32Array(SLOTS);
  readonly #retries = new Uint32Array(SLOTS);
  #requestsInWindow = 0;
  #retriesInWindow = 0;
  /** The latest second that was counted in. */
  #second: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#second = Math.floor(clock.now() / SLOT_MS);
  }

  /** Once per request, however often it is tried. */
  recordRequest(): void {
    this.#requests[this.#slot()]! += 1;
    this.#requestsInWindow++;
  }

  /**
   * Takes one retry from the budget, if there is one left.
   * @param share of the requests in the window; 1 or more means without limit, 0 means none.
   */
  tryRetry(share: number): boolean {
    const slot = this.#slot();
    const allowed = share >= 1 ? Infinity : share === 0 ? 0 : Math.max(MINIMUM, share * this.#requestsInWindow);
    if (this.#retriesInWindow + 1 > allowed) return false;
    this.#retries[slot]! += 1;
    this.#retriesInWindow++;
    return true;
  }

  /** The present second's slot, once those that have left the window were emptied. */
  #slot(): number {
    const second = Math.floor(this.#clock.now() / SLOT_MS);
    if (second !== this.#second) this.#turnTo(second);
    return second % SLOTS;
  }

  #turnTo(second: number): void {
    const passed = Math.min(SLOTS, second - this.#second);
    for (let step = 1; step <= passed; step++) {
      const slot = (this.#second + step) % SLOTS;
      this.#requestsInWindow -= this.#requests[slot]!;
      this.#retriesInWindow -= this.#retries[slot]!;
      this.#requests[slot] = this.#retries[slot] = 0;
    }
    this.#second = second;
  }
}
