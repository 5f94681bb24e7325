/**
 * Whether this thread has more to do than it can: its event loop is late, or its heap nearly full. Then new requests are
 * refused cheaply, so that those that are served are served in time. It also takes the readings for the metrics.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import v8 from 'node:v8';
import type { Clock, Timer } from '../clock.ts';
import type { GatewayConfig } from '../config/schema.ts';
import { GatewayError } from '../errors.ts';
import type { MetricWriter } from '../memory/metric-table.ts';

const LOOK_EVERY_MS = 250;
/** One long stall fills a whole reading; only what lasts is overload. */
const READINGS_IN_A_ROW = 2;
const RESOLUTION_MS = 10;
const NS_PER_MS = 1e6;

export class Overload {
  readonly #histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  readonly #timer: Timer;
  readonly #metrics: MetricWriter;
  #limits: GatewayConfig['shed'] | undefined;
  #readingsOver = 0;

  constructor(clock: Clock, metrics: MetricWriter, onLook: () => void) {
    this.#metrics = metrics;
    this.#histogram.enable();
    this.#timer = clock.every(LOOK_EVERY_MS, () => {
      this.#look();
      onLook();
    });
  }

  configure(limits: GatewayConfig['shed']): void {
    this.#limits = limits;
  }

  get active(): boolean {
    return this.#readingsOver >= READINGS_IN_A_ROW;
  }

  refusal(): GatewayError {
    return new GatewayError('connection_limit_reached', 'the gateway is overloaded (shed)', {
      detail: 'The gateway is overloaded.',
      retryAfterSeconds: 1,
    });
  }

  close(): void {
    this.#timer.cancel();
    this.#histogram.disable();
  }

  #look(): void {
    // The histogram measures from timer to timer: its own period is not delay.
    const delayMs = (percentile: number) =>
      Math.max(0, this.#histogram.percentile(percentile) / NS_PER_MS - RESOLUTION_MS);
    const median = delayMs(50);
    this.#metrics.loopDelay(median, delayMs(99), Math.max(0, this.#histogram.max / NS_PER_MS - RESOLUTION_MS));
    this.#histogram.reset();
    const heap = v8.getHeapStatistics();
    this.#metrics.heap(heap.used_heap_size, heap.heap_size_limit);
    const limits = this.#limits;
    const isOver =
      limits !== undefined && (median > limits.loopDelay || heap.used_heap_size > heap.heap_size_limit * limits.heap);
    this.#readingsOver = isOver ? this.#readingsOver + 1 : 0;
  }
}
