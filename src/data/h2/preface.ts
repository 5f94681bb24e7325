/**
 * Finds out on a connection without TLS which HTTP its client speaks, by the first bytes, and puts them back. HTTP/2 begins
 * with words that are no request of HTTP/1.1 (RFC 9113 §3.4).
 */
import type { Socket } from 'node:net';
import { Deadline, type TimerWheel } from '../../timer-wheel.ts';

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');

export class PrefaceReader extends Deadline {
  readonly #socket: Socket;
  readonly #wheel: TimerWheel;
  readonly #decided: (isHttp2: boolean) => void;
  /** Of the preface, what has come. */
  #bytes: Buffer = Buffer.alloc(0);

  /**
   * @param dueAt when a client that has not said enough is closed.
   * @param decided never told of a connection that closes without a word.
   */
  constructor(socket: Socket, wheel: TimerWheel, dueAt: number, decided: (isHttp2: boolean) => void) {
    super();
    this.#socket = socket;
    this.#wheel = wheel;
    this.#decided = decided;
    wheel.set(this, dueAt);
    socket.on('readable', this.#onReadable);
    socket.on('end', this.#onEnd);
    socket.on('error', ignore);
    socket.on('close', this.#onClose);
  }

  override onDue(): void {
    this.#socket.destroy();
  }

  readonly #onReadable = (): void => {
    const chunk = this.#socket.read() as Buffer | null;
    if (chunk === null) return;
    this.#bytes = this.#bytes.length === 0 ? chunk : Buffer.concat([this.#bytes, chunk]);
    const length = Math.min(this.#bytes.length, PREFACE.length);
    const isLike = this.#bytes.compare(PREFACE, 0, length, 0, length) === 0;
    if (!isLike) this.#decide(false);
    else if (length === PREFACE.length) this.#decide(true);
  };

  readonly #onEnd = (): void => {
    if (this.#bytes.length > 0) this.#decide(false);
    else this.#socket.destroy();
  };

  readonly #onClose = (): void => this.#leave();

  #decide(isHttp2: boolean): void {
    this.#leave();
    this.#socket.unshift(this.#bytes);
    this.#decided(isHttp2);
  }

  #leave(): void {
    this.#wheel.clear(this);
    this.#socket.off('readable', this.#onReadable);
    this.#socket.off('end', this.#onEnd);
    this.#socket.off('error', ignore);
    this.#socket.off('close', this.#onClose);
  }
}

function ignore(): void {}
