/**
 * A client that has closed its half while it waits. One that only has nothing more to ask takes its answer; one that has
 * left resets the connection when anything is sent to it. An interim answer, which every client must accept (RFC 9110
 * §15.2), tells them apart. It is repeated: Node reads no more from such a connection, so that the reset is found out by
 * the next write alone, and on a long way it takes a while to arrive.
 */
import { Deadline, type TimerWheel } from '../timer-wheel.ts';
import type { Exchange } from './exchange.ts';

const FIRST_PAUSE_MS = 20;

export class HalfClosed extends Deadline {
  readonly #exchange: Exchange;
  readonly #wheel: TimerWheel;
  #pauseMs = FIRST_PAUSE_MS;

  constructor(exchange: Exchange, wheel: TimerWheel) {
    super();
    this.#exchange = exchange;
    this.#wheel = wheel;
  }

  /** Asks until the answer begins or the client is found to have left. */
  override onDue(now: number): void {
    const { client, res } = this.#exchange;
    if (client.exchange !== this.#exchange || res.headersSent || res.destroyed) return;
    res.writeContinue();
    this.#wheel.set(this, now + this.#pauseMs);
    this.#pauseMs *= 2;
  }
}
