/**
 * How much of what comes is refused, by how the readings stand to their limits. One number says it for all priorities: up
 * to 1 it is the share of the lowest that is refused, what is beyond it the share of the next, and so on. It moves in small
 * steps, so that it settles where what is left can be done, instead of refusing everybody, idling, and taking all again.
 */
import type { Random } from '../clock.ts';
import { PRIORITIES } from '../priority.ts';

export interface Readings {
  readonly loopDelayMs: number;
  /** As a share of the limit that V8 has. */
  readonly heap: number;
  readonly rssBytes: number;
}

export interface SheddingLimits {
  readonly loopDelay: number;
  readonly heap: number;
  readonly memory: number;
}

/** One long stall fills a whole reading; only what lasts is overload. */
const READINGS_IN_A_ROW = 2;
/** Between this and 1 nothing changes: the load that was just shed would be back at once. */
const CLEARLY_BELOW = 0.8;
const RISE = 0.25;
/** This far beyond a limit, the steps are twice as large. */
const FAR_BEYOND = 1.5;
const FALL = 0.1;
/** Sums of tenths are not exact. */
const NOTHING = 0.05;

export class Shedding {
  /** 0 … the number of priorities. */
  share = 0;
  /** `event-loop delay 312 ms of 200 ms`; empty before the first. */
  reason = '';
  #readingsOver = 0;

  get isActive(): boolean {
    return this.share > 0;
  }

  /** @param priority of PRIORITIES. */
  sheds(priority: number, random: Random): boolean {
    const ofThis = this.share - (PRIORITIES.length - 1 - priority);
    return ofThis >= 1 || (ofThis > 0 && random() < ofThis);
  }

  look({ loopDelayMs, heap, rssBytes }: Readings, limits: SheddingLimits): void {
    const late = loopDelayMs / limits.loopDelay;
    const full = heap / limits.heap;
    const large = rssBytes / limits.memory;
    const pressure = Math.max(late, full, large);
    this.#readingsOver = pressure > 1 ? this.#readingsOver + 1 : 0;
    if (this.#readingsOver >= READINGS_IN_A_ROW) {
      this.share = Math.min(PRIORITIES.length, this.share + (pressure > FAR_BEYOND ? 2 * RISE : RISE));
      if (pressure === late) this.reason = `event-loop delay ${Math.round(loopDelayMs)} ms of ${limits.loopDelay} ms`;
      else if (pressure === full) this.reason = `heap at ${percent(heap)} of ${percent(limits.heap)}`;
      else this.reason = `memory ${mebibytes(rssBytes)} of ${mebibytes(limits.memory)}`;
    } else if (pressure < CLEARLY_BELOW && this.share > 0) {
      this.share = this.share - FALL < NOTHING ? 0 : this.share - FALL;
    }
  }
}

const percent = (share: number) => `${Math.round(share * 100)} %`;
const mebibytes = (bytes: number) => `${Math.round(bytes / 1024 ** 2)} MiB`;
