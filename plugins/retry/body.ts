/** Whether a request's body can be sent once more, and how a small one is kept so that it can. */
import type { Readable } from 'node:stream';
import type { UpstreamRequest } from '../../src/data/dispatch.ts';

export function isReplayable({ body }: UpstreamRequest): boolean {
  return body === null || Buffer.isBuffer(body) || (!body.readableDidRead && !body.destroyed);
}

/** Of a body that comes in chunks nobody knows whether it is small, so it is streamed. */
export function isKeepable(request: UpstreamRequest, keptBytes: number): boolean {
  const { body, contentLength } = request;
  return body !== null && !Buffer.isBuffer(body) && contentLength !== undefined && contentLength <= keptBytes;
}

/** Reads a whole body, then replaces the stream in the request. `stop` leaves it where it is. */
export class KeptBody {
  readonly #request: UpstreamRequest;
  readonly #stream: Readable;
  readonly #chunks: Buffer[] = [];
  readonly #done: (error?: Error) => void;

  constructor(request: UpstreamRequest, done: (error?: Error) => void) {
    this.#request = request;
    this.#stream = request.body as Readable;
    this.#done = done;
    this.#stream.on('data', this.#onData).on('end', this.#onEnd).on('error', this.#onError);
  }

  stop(): void {
    this.#stream.off('data', this.#onData).off('end', this.#onEnd).pause();
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#chunks.push(chunk);
  };

  readonly #onEnd = (): void => {
    this.#request.body = this.#chunks.length === 1 ? this.#chunks[0]! : Buffer.concat(this.#chunks);
    this.#done();
  };

  readonly #onError = (error: Error): void => {
    this.#done(error);
  };
}
