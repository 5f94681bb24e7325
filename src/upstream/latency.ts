/**
 * How fast each endpoint answers, over all threads: a moving average that jumps up at once and comes down slowly (peak
 * EWMA, as in Finagle), so that trouble is seen by its first slow answer and believed gone only after several fast ones.
 */
import type { Clock } from '../clock.ts';
import type { EndpointTable } from '../memory/endpoint-table.ts';
import type { LatencyRecorder } from './endpoint.ts';

/** What is this old counts for a third. */
export const LATENCY_DECAY_MS = 10_000;

/**
 * A failure counts as an answer that took at least this long, and at least twice the average, up to the limit: failing
 * fast must not make an endpoint look fast, in pools of fast services as in pools of slow ones.
 */
const FAILURE_MS = 1_000;
const FAILURE_LIMIT_MS = 10_000;

/** Zero means that nothing is known yet. */
const SHORTEST_MS = 0.001;

export class LatencyAverages implements LatencyRecorder {
  readonly #table: EndpointTable;
  readonly #clock: Clock;

  constructor(table: EndpointTable, clock: Clock) {
    this.#table = table;
    this.#clock = clock;
  }

  /** @param durationMs from the start of the attempt to its head, or to its failure. */
  record(row: number, durationMs: number, failed: boolean): void {
    const average = this.#table.averageMs(row);
    const sample = Math.max(SHORTEST_MS, failed ? atLeastFailure(durationMs, average) : durationMs);
    const now = this.#clock.now();
    if (average === 0 || sample >= average) {
      this.#table.setAverage(row, sample, now);
      return;
    }
    const kept = Math.exp((this.#table.averageAt(row) - now) / LATENCY_DECAY_MS);
    this.#table.setAverage(row, sample + (average - sample) * kept, now);
  }

  /** A wait that was given up says nothing as long as it was a usual one. */
  waited(row: number, durationMs: number): void {
    if (durationMs > this.#table.averageMs(row)) this.#table.setAverage(row, durationMs, this.#clock.now());
  }
}

function atLeastFailure(durationMs: number, average: number): number {
  return Math.max(durationMs, Math.min(FAILURE_LIMIT_MS, Math.max(FAILURE_MS, 2 * average)));
}
