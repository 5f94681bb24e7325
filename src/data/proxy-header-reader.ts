/** Takes the PROXY protocol header off a connection before anybody else has read from it; not a byte of it goes on. */
import type { Socket } from 'node:net';
import { Deadline, type TimerWheel } from '../timer-wheel.ts';
import { MalformedProxyHeader, readProxyHeader, type Proxied, type ProxyHeader } from './proxy-protocol.ts';

export interface ProxyHeaderEvents {
  /** It was there and the socket, still unread, begins behind it. */
  onHeader(proxied: Proxied | undefined): void;
  /** It was wrong or did not come in time. Not told of a connection that closes without a word: a balancer's TCP check. */
  onRefused(): void;
}

export class ProxyHeaderReader extends Deadline {
  readonly #socket: Socket;
  readonly #wheel: TimerWheel;
  readonly #events: ProxyHeaderEvents;
  #bytes: Buffer = Buffer.alloc(0);

  constructor(socket: Socket, wheel: TimerWheel, dueAt: number, events: ProxyHeaderEvents) {
    super();
    this.#socket = socket;
    this.#wheel = wheel;
    this.#events = events;
    wheel.set(this, dueAt);
    socket.on('readable', this.#onReadable);
    socket.on('end', this.#onEnd);
    socket.on('close', this.#onClose);
  }

  override onDue(): void {
    this.#refuse();
  }

  readonly #onReadable = (): void => {
    const chunk = this.#socket.read() as Buffer | null;
    if (chunk === null) return;
    this.#bytes = this.#bytes.length === 0 ? chunk : Buffer.concat([this.#bytes, chunk]);
    let header: ProxyHeader | undefined;
    try {
      header = readProxyHeader(this.#bytes);
    } catch (error) {
      if (!(error instanceof MalformedProxyHeader)) throw error;
      return this.#refuse();
    }
    if (header === undefined) return;
    this.#leave();
    const rest = this.#bytes.subarray(header.length);
    if (rest.length > 0) this.#socket.unshift(rest);
    this.#events.onHeader(header.proxied);
  };

  readonly #onEnd = (): void => {
    if (this.#bytes.length > 0) return this.#refuse();
    this.#leave();
    this.#socket.destroy();
  };

  readonly #onClose = (): void => this.#leave();

  #refuse(): void {
    this.#leave();
    this.#events.onRefused();
    this.#socket.destroy();
  }

  #leave(): void {
    this.#wheel.clear(this);
    this.#socket.off('readable', this.#onReadable);
    this.#socket.off('end', this.#onEnd);
    this.#socket.off('close', this.#onClose);
  }
}
