/**
 * How fast each endpoint answers, over all threads: a moving average that goes up quickly and comes down slowly, so that
 * trouble is seen soon and believed gone only after it has been for a while. It does not jump at once to the slowest answer,
 * as Finagle's peak EWMA does: services have answers that are slow by nature, and the peak of many is higher than the peak
 * of few, so that a busy good endpoint would look as slow as an idle bad one (docs/simulation.md has the figures). Failures
 * do jump.
 */
import type { Clock } from '../clock.ts';
import type { EndpointTable } from '../memory/endpoint-table.ts';
import type { LatencyRecorder } from './endpoint.ts';

/** What is this old counts for a third. */
export const LATENCY_DECAY_MS = 10_000;

/** An endpoint that has become slower is believed to two thirds after this long; with fewer answers, by its first. */
const LATENCY_RISE_MS = 1_000;

/**
 * A failure counts as an answer that took at least this long, and at least twice the average, up to the limit: failing
 * fast must not make an endpoint look fast, in pools of fast services as in pools of slow ones.
 */
const FAILURE_MS = 1_000;
const FAILURE_LIMIT_MS = 10_000;
/** However shortly after other answers it comes, a failure has at least this part in the average. */
const FAILURE_PART = 1 / 16;

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
  record(row: number, durationMs: number, failed: boolean, now = this.#clock.now()): void {
    const average = this.#table.averageMs(row);
    const sample = Math.max(SHORTEST_MS, failed ? atLeastFailure(durationMs, average) : durationMs);
    if (average === 0) {
      this.#table.setAverage(row, sample, now);
      return;
    }
    const isSlower = sample >= average;
    const aged = Math.exp((this.#table.averageAt(row) - now) / (isSlower ? LATENCY_RISE_MS : LATENCY_DECAY_MS));
    const kept = failed && isSlower ? Math.min(aged, 1 - FAILURE_PART) : aged;
    this.#table.setAverage(row, sample + (average - sample) * kept, now);
  }

  /** A wait that was given up says nothing as long as it was a usual one. */
  waited(row: number, durationMs: number, now = this.#clock.now()): void {
    if (durationMs > this.#table.averageMs(row)) this.record(row, durationMs, false, now);
  }
}

function atLeastFailure(durationMs: number, average: number): number {
  return Math.max(durationMs, Math.min(FAILURE_LIMIT_MS, Math.max(FAILURE_MS, 2 * average)));
}
