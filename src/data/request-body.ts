/**
 * A request's body, read whole before the request is forwarded, for hooks that judge it. It then goes on byte for byte, in
 * one piece that may be sent again. What is held this way is bounded: for each request by its limit, and for all requests
 * of a thread by `shed.bodies`.
 */
import { GatewayError } from '../errors.ts';
import type { Control } from './dispatch.ts';
import type { Exchange } from './exchange.ts';

export interface BodyLimit {
  readonly bytes: number;
  /** The option that sets it, for the client to read. */
  readonly name: string;
}

export type OnBodyRead = (error: GatewayError | undefined, body: Buffer) => void;

const EMPTY = Buffer.alloc(0);
const FIRST_CAPACITY = 4096;

/**
 * Reads all of a request's body, in a hook. From then on it goes to the upstream as one piece.
 * @param done within the call, where there is nothing to wait for; never, when the exchange ends before.
 */
export function readBody(exchange: Exchange, limit: BodyLimit, done: OnBodyRead): void {
  const { body } = exchange.upstream;
  if (body === null || Buffer.isBuffer(body)) return done(undefined, body ?? EMPTY);
  exchange.heldBody = new HeldBody(exchange, limit, done);
  exchange.heldBody.read();
}

/** Of all bodies that this thread holds. */
let heldBytes = 0;

/** While it reads, it is the exchange's control: a deadline, a refusal or a client that leaves ends it. */
export class HeldBody implements Control {
  readonly #exchange: Exchange;
  readonly #limit: BodyLimit;
  readonly #done: OnBodyRead;
  /** What came, in the first `#length` bytes; copied, since many small chunks would hold far more than they carry. */
  #bytes: Buffer = EMPTY;
  #length = 0;
  /** The chunk that was too much. */
  #excess: Buffer | undefined;
  #reserved = 0;

  constructor(exchange: Exchange, own: BodyLimit, done: OnBodyRead) {
    const { maxBodyBytes } = exchange.upstream;
    this.#exchange = exchange;
    this.#limit = maxBodyBytes < own.bytes ? { bytes: maxBodyBytes, name: 'limits.body' } : own;
    this.#done = done;
  }

  read(): void {
    const { body, upstream } = this.#exchange;
    if ((upstream.contentLength ?? 0) > this.#limit.bytes) return this.#done(bodyTooLarge(this.#limit), EMPTY);
    this.#exchange.onStart(this);
    this.#exchange.awaitBody();
    body.on('data', this.#onData).on('end', this.#onEnd).resume();
  }

  readonly #onData = (chunk: Buffer): void => {
    const refusal = this.#length + chunk.length > this.#limit.bytes ? bodyTooLarge(this.#limit) : this.#keep(chunk);
    if (refusal === undefined) return;
    this.#excess = chunk;
    this.#stop();
    this.#done(refusal, EMPTY);
  };

  /** @returns why it cannot be kept. */
  #keep(chunk: Buffer): GatewayError | undefined {
    const length = this.#length + chunk.length;
    const { contentLength } = this.#exchange.upstream;
    if (length > this.#bytes.length) {
      const isWhole = chunk.length === contentLength;
      const capacity = isWhole ? length : this.#capacityFor(length, contentLength);
      if (!this.#reserve(capacity - this.#reserved)) return tooManyHeld();
      const larger = isWhole ? chunk : Buffer.allocUnsafeSlow(capacity);
      this.#bytes.copy(larger, 0, 0, this.#length);
      this.#bytes = larger;
    }
    if (this.#bytes !== chunk) chunk.copy(this.#bytes, this.#length);
    this.#length = length;
    return undefined;
  }

  /** Doubles, so that a body is copied twice at most; never more than is announced or allowed. */
  #capacityFor(length: number, contentLength = Infinity): number {
    const doubled = Math.max(length, this.#bytes.length * 2, FIRST_CAPACITY);
    return Math.min(doubled, contentLength, this.#limit.bytes);
  }

  readonly #onEnd = (): void => {
    const { upstream } = this.#exchange;
    const body = this.#bytes.subarray(0, this.#length);
    this.#stop();
    upstream.body = body;
    upstream.contentLength = body.length;
    // What the client took is not taken from the upstream's time.
    this.#exchange.onUploadSent();
    this.#done(undefined, body);
  };

  /** Instead of refusing a body that could not be held: it goes on as a stream, from its first byte. */
  putBack(): void {
    const { body } = this.#exchange;
    if (this.#excess !== undefined) body.unshift(this.#excess);
    if (this.#length > 0) body.unshift(this.#bytes.subarray(0, this.#length));
    this.release();
  }

  /** The exchange is over. */
  release(): void {
    this.#stop();
    heldBytes -= this.#reserved;
    this.#reserved = 0;
  }

  #reserve(bytes: number): boolean {
    if (heldBytes + bytes > this.#exchange.generation.settings.shed.bodies) return false;
    heldBytes += bytes;
    this.#reserved += bytes;
    return true;
  }

  #stop(): void {
    const { body } = this.#exchange;
    body.off('data', this.#onData).off('end', this.#onEnd);
    if (!body.readableEnded) body.pause();
  }

  // --- as the exchange's control ---

  abort(): void {
    this.#stop();
  }

  pause(): void {}

  resume(): void {}

  keepBytes(): () => void {
    return () => {};
  }
}

export function bodyTooLarge({ bytes, name }: BodyLimit): GatewayError {
  return new GatewayError('http_request_denied', `request body over ${bytes} bytes`, {
    status: 413,
    detail: `The body is larger than ${bytes} bytes (${name}).`,
    close: true,
  });
}

/** In the words in which Node's own limit is told, that of HTTP/1.1. */
export function lateRequest(): GatewayError {
  const detail = 'the request did not arrive in time (limits.headersTimeout, limits.requestTimeout)';
  return new GatewayError('http_request_error', detail, { status: 408, detail, close: true });
}

export function slowBody(minRate: number): GatewayError {
  return new GatewayError('http_request_error', 'request body came too slowly', {
    status: 408,
    detail: `The body came more slowly than ${minRate} bytes per second (limits.minRate).`,
    close: true,
  });
}

function tooManyHeld(): GatewayError {
  return new GatewayError('connection_limit_reached', `bodies of ${heldBytes} bytes are held`, {
    detail: 'Too many request bodies are being read (shed.bodies).',
    retryAfterSeconds: 1,
    close: true,
  });
}
