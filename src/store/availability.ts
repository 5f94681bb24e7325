/**
 * Whether a store may be asked. It is away after a few failures in a row, or at once when its connection is lost; then one
 * probe at a time asks for all, after pauses that double and are spread at random, so that threads and gateways do not
 * come back in one moment. Requests never wait for a store that is away.
 */
import type { Clock, Random } from '../clock.ts';

const FAILURES_IN_A_ROW = 3;
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5_000;

export interface AvailabilityParts {
  readonly clock: Clock;
  readonly random: Random;
  /** Brings the store back, if it can be, and says within bounded time why it is not. Never rejects. */
  readonly probe: () => Promise<string | undefined>;
  readonly onChange: (isUp: boolean, reason: string) => void;
}

export class Availability {
  readonly #parts: AvailabilityParts;
  #isUp = false;
  #isClosed = false;
  #failures = 0;
  #pauseMs = FIRST_PAUSE_MS;
  #isProbing = false;
  /** What `onChange` heard last. */
  #told: boolean | undefined;

  constructor(parts: AvailabilityParts) {
    this.#parts = parts;
  }

  get isUp(): boolean {
    return this.#isUp;
  }

  /** Resolves when it is known how the store is. */
  start(): Promise<void> {
    return this.#probe();
  }

  succeeded(): void {
    this.#failures = 0;
  }

  /** @param isFinal asking again would be answered the same. */
  failed(reason: string, isFinal: boolean): void {
    this.#failures++;
    if (isFinal || this.#failures >= FAILURES_IN_A_ROW) this.lost(reason);
  }

  lost(reason: string): void {
    if (!this.#isUp || this.#isClosed) return;
    this.#isUp = false;
    this.#pauseMs = FIRST_PAUSE_MS;
    this.#tell(reason);
    this.#pause();
  }

  close(): void {
    this.#isClosed = true;
    this.#isUp = false;
  }

  #pause(): void {
    const { clock, random } = this.#parts;
    const delayMs = this.#pauseMs * (0.5 + random());
    this.#pauseMs = Math.min(this.#pauseMs * 2, LONGEST_PAUSE_MS);
    clock.after(delayMs, () => void this.#probe());
  }

  async #probe(): Promise<void> {
    if (this.#isProbing || this.#isClosed) return;
    this.#isProbing = true;
    const failure = await this.#parts.probe();
    this.#isProbing = false;
    if (this.#isClosed) return;
    this.#isUp = failure === undefined;
    this.#failures = 0;
    this.#tell(failure ?? '');
    if (!this.#isUp) this.#pause();
  }

  #tell(reason: string): void {
    if (this.#told === this.#isUp) return;
    this.#told = this.#isUp;
    this.#parts.onChange(this.#isUp, reason);
  }
}
