/**
 * Whether each data thread still turns its event loop: it counts up a cell of shared memory a few times a second. A
 * thread that spins goes on receiving connections and answers none, so a cell that stands still means: end the thread.
 */
import type { Clock, Timer } from '../clock.ts';

const LOOK_EVERY_MS = 1_000;
const WEDGED_AFTER_MS = 5_000;

export class Heartbeats {
  readonly buffer: SharedArrayBuffer;
  readonly #cells: Int32Array;
  readonly #clock: Clock;
  readonly #isWatched: (thread: number) => boolean;
  readonly #onWedged: (thread: number, stillMs: number) => void;
  readonly #seen: number[];
  readonly #movedAt: number[];
  #lookedAt: number;
  readonly #timer: Timer;

  constructor(
    threads: number,
    clock: Clock,
    isWatched: (thread: number) => boolean,
    onWedged: (thread: number, stillMs: number) => void,
  ) {
    this.buffer = new SharedArrayBuffer(threads * Int32Array.BYTES_PER_ELEMENT);
    this.#cells = new Int32Array(this.buffer);
    this.#clock = clock;
    this.#isWatched = isWatched;
    this.#onWedged = onWedged;
    this.#lookedAt = clock.now();
    this.#seen = new Array<number>(threads).fill(0);
    this.#movedAt = new Array<number>(threads).fill(this.#lookedAt);
    this.#timer = clock.every(LOOK_EVERY_MS, () => this.#look());
  }

  close(): void {
    this.#timer.cancel();
  }

  #look(): void {
    const now = this.#clock.now();
    // When this thread itself was held up, so perhaps was the whole machine: everyone gets a fresh start.
    const wasStalled = now - this.#lookedAt > 2 * LOOK_EVERY_MS;
    this.#lookedAt = now;
    for (let thread = 0; thread < this.#cells.length; thread++) {
      const beat = Atomics.load(this.#cells, thread);
      if (beat !== this.#seen[thread] || wasStalled || !this.#isWatched(thread)) {
        this.#seen[thread] = beat;
        this.#movedAt[thread] = now;
        continue;
      }
      const stillMs = now - this.#movedAt[thread]!;
      if (stillMs <= WEDGED_AFTER_MS) continue;
      this.#movedAt[thread] = now;
      this.#onWedged(thread, stillMs);
    }
  }
}
