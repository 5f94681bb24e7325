/**
 * Time and chance, as arguments. This is the only file that knows the real ones, so that every test can hold a clock
 * still and seed its luck.
 */

export interface Timer {
  /** Stops the timer; safe to call again. */
  cancel(): void;
}

export interface Clock {
  /** Monotonic milliseconds with fractions. All threads of the process read the same scale; its zero means nothing. */
  now(): number;
  /** Milliseconds since the epoch, for logs, `Date` and `expires` only: it may jump. */
  wall(): number;
  /** Calls `run` once, `delayMs` from now. Does not keep the process alive. */
  after(delayMs: number, run: () => void): Timer;
  /** Calls `run` each `periodMs`. Does not keep the process alive. */
  every(periodMs: number, run: () => void): Timer;
}

/** A number in [0, 1). */
export type Random = () => number;

/** `performance.now()` starts at zero in every thread, `process.hrtime` is one scale for all: the difference is fixed at start. */
const THREAD_START_MS = Math.max(...Array.from({ length: 5 }, threadStartMs));

/** Too early by as long as the thread was stopped between the two readings: the latest of several is the best. */
function threadStartMs(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1e3 + nanoseconds / 1e6 - performance.now();
}

export const systemClock: Clock = {
  now: () => performance.now() + THREAD_START_MS,
  wall: () => Date.now(),
  after(delayMs, run) {
    const timeout = setTimeout(run, delayMs);
    timeout.unref();
    return { cancel: () => clearTimeout(timeout) };
  },
  every(periodMs, run) {
    const interval = setInterval(run, periodMs);
    interval.unref();
    return { cancel: () => clearInterval(interval) };
  },
};

export const systemRandom: Random = Math.random;

/** A seeded source of chance (mulberry32), for tests and simulations. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}
