/**
 * Frames that ask for nothing cost the client as little: pings, settings, priorities, empty data (CVE-2019-9512, -9513, -9515, -9518). A connection
 * may send so many in each window of time, and more for each request and each piece of data, either way.
 */
import type { Clock } from '../clock.ts';
import { ConnectionError, ErrorCode } from './constants.ts';

const WINDOW_MS = 10_000;
const FREE = 1_000;
const PER_USEFUL = 10;

export class NoiseLimit {
  readonly #clock: Clock;
  #since: number;
  #count = 0;
  /** Frames from the client that were of use, and what was sent to it by the beginning of this window. */
  #useful = 0;
  #sentBefore = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#since = clock.now();
  }

  /** A frame from the client was of use. */
  earn(): void {
    this.#useful++;
  }

  /**
   * One was not.
   * @param sent units of data to the client so far.
   * @throws ConnectionError for one too many.
   */
  count(sent: number): void {
    const useful = this.#useful + sent - this.#sentBefore;
    if (++this.#count <= FREE + PER_USEFUL * useful) return;
    const now = this.#clock.now();
    if (now - this.#since < WINDOW_MS) throw new ConnectionError(ErrorCode.enhanceYourCalm, 'too much of nothing');
    this.#since = now;
    this.#count = 1;
    this.#useful = 0;
    this.#sentBefore = sent;
  }
}
