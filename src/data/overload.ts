/**
 * Whether this thread has more to do than it can: its event loop is late, its heap nearly full, or the process close to
 * the memory that it may have. Then some new requests are refused cheaply, so that those that are served are served in
 * time: the lowest priority first, and of each priority a share that grows while the overload lasts and shrinks when it is
 * clearly over. It also takes the readings for the metrics.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import v8 from 'node:v8';
import type { Logger } from 'pino';
import type { Clock, Random, Timer } from '../clock.ts';
import type { GatewayConfig } from '../config/schema.ts';
import { GatewayError } from '../errors.ts';
import type { MetricWriter } from '../memory/metric-table.ts';
import { Shedding, type Readings } from './shedding.ts';

const LOOK_EVERY_MS = 250;
const RESOLUTION_MS = 10;
const NS_PER_MS = 1e6;

export interface OverloadParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly metrics: MetricWriter;
  readonly log: Logger;
  /** Each time that it has looked. */
  readonly onLook: () => void;
}

export class Overload {
  readonly #histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  readonly #timer: Timer;
  readonly #parts: OverloadParts;
  readonly #shedding = new Shedding();
  #limits: GatewayConfig['shed'] | undefined;

  constructor(parts: OverloadParts) {
    this.#parts = parts;
    this.#histogram.enable();
    this.#timer = parts.clock.every(LOOK_EVERY_MS, () => {
      this.#look();
      parts.onLook();
    });
  }

  configure(limits: GatewayConfig['shed']): void {
    this.#limits = limits;
  }

  /** @param priority of PRIORITIES. @throws GatewayError when the request is one of those that are refused now. */
  admit(priority: number): void {
    if (!this.#shedding.isActive || !this.#shedding.sheds(priority, this.#parts.random)) return;
    this.#parts.metrics.shed(priority);
    throw new GatewayError('connection_limit_reached', `the gateway is overloaded (shed): ${this.#shedding.reason}`, {
      detail: 'The gateway is overloaded.',
      retryAfterSeconds: 1,
    });
  }

  close(): void {
    this.#timer.cancel();
    this.#histogram.disable();
  }

  #look(): void {
    const { metrics } = this.#parts;
    // The histogram measures from timer to timer: its own period is not delay.
    const delayMs = (percentile: number) =>
      Math.max(0, this.#histogram.percentile(percentile) / NS_PER_MS - RESOLUTION_MS);
    const median = delayMs(50);
    metrics.loopDelay(median, delayMs(99), Math.max(0, this.#histogram.max / NS_PER_MS - RESOLUTION_MS));
    this.#histogram.reset();
    const heap = v8.getHeapStatistics();
    metrics.heap(heap.used_heap_size, heap.heap_size_limit);
    const limits = this.#limits;
    if (limits === undefined) return;
    const rss = process.memoryUsage.rss();
    const readings = { loopDelayMs: median, heap: heap.used_heap_size / heap.heap_size_limit, rssBytes: rss };
    this.#judge(readings, limits);
  }

  #judge(readings: Readings, limits: GatewayConfig['shed']): void {
    const { metrics, log } = this.#parts;
    const wasActive = this.#shedding.isActive;
    this.#shedding.look(readings, { ...limits, memory: limits.memory ?? memoryOfContainer() });
    const { isActive, share, reason } = this.#shedding;
    metrics.shedding(share);
    if (isActive && !wasActive) log.warn({ event: 'overloaded', reason }, `overloaded: ${reason}`);
    if (!isActive && wasActive) log.info({ event: 'overload_over' }, 'no longer overloaded');
  }
}

/** Of what the process may have, where something says how much that is; beyond it the system ends the process. */
const OF_CONTAINER = 0.9;

function memoryOfContainer(): number {
  const bytes = process.constrainedMemory();
  // Without a limit it is 0, or a number that no machine has.
  return bytes > 0 && bytes < Number.MAX_SAFE_INTEGER ? bytes * OF_CONTAINER : Infinity;
}
