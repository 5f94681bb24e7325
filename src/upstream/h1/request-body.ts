/**
 * Carries a streamed request body from the client to the upstream with back-pressure: what the upstream does not take,
 * the client is not asked for. Chunked bodies are framed anew; they are counted, since nobody announced their size.
 */
import type { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { GatewayError } from '../../errors.ts';
import type { UpstreamRequest } from '../../data/dispatch.ts';

/** Chunks below this that came in one read go on as one: else a byte of body would cost six bytes and three writes. */
const SMALL_BYTES = 1024;
const MOST_GATHERED = 16 * 1024;

export class RequestBody {
  /** All of it is with the upstream. */
  finished = false;
  readonly #source: Readable;
  readonly #socket: Socket;
  readonly #chunked: boolean;
  readonly #most: number;
  readonly #request: UpstreamRequest;
  readonly #onSent: () => void;
  readonly #refuse: (error: GatewayError) => void;
  #bytes = 0;
  #stopped = false;
  #gathered: Buffer[] = [];
  #gatheredBytes = 0;

  constructor(
    source: Readable,
    socket: Socket,
    request: UpstreamRequest,
    onSent: () => void,
    refuse: (error: GatewayError) => void,
  ) {
    this.#request = request;
    this.#onSent = onSent;
    this.#source = source;
    this.#socket = socket;
    this.#chunked = request.contentLength === undefined;
    this.#most = request.maxBodyBytes;
    this.#refuse = refuse;
    // What has already been read leaves with the head, in one write.
    const ready = source.read() as Buffer | null;
    if (ready !== null && this.#admits(ready)) this.#go(this.#write(ready));
    if (this.#stopped) return;
    source.on('data', this.#onData);
    source.on('end', this.#onEnd);
    socket.on('drain', this.#onDrain);
    // Attaching a listener starts the flow only where it was never stopped.
    source.resume();
  }

  /** Lets go of both sides; the rest of the body stays with the client. */
  stop(): void {
    this.#stopped = true;
    this.#source.off('data', this.#onData);
    this.#source.off('end', this.#onEnd);
    this.#socket.off('drain', this.#onDrain);
    if (!this.finished) this.#source.pause();
  }

  readonly #onData = (chunk: Buffer): void => {
    if (!this.#admits(chunk)) return;
    if (this.#chunked && chunk.length < SMALL_BYTES) return this.#gather(chunk);
    if (this.#gatheredBytes > 0) this.#flush();
    this.#go(this.#write(chunk));
  };

  /** Counts; refuses what is over the limit. */
  #admits(chunk: Buffer): boolean {
    this.#bytes += chunk.length;
    if (this.#bytes <= this.#most) return true;
    this.stop();
    this.#refuse(
      new GatewayError('http_request_denied', `request body over ${this.#most} bytes`, {
        status: 413,
        detail: `The body is larger than ${this.#most} bytes (limits.body).`,
        close: true,
      }),
    );
    return false;
  }

  /** @param more whether the upstream takes more. */
  #go(more: boolean): void {
    if (more) return;
    this.#source.pause();
    this.#request.exchange.onUploadBlocked();
  }

  #gather(chunk: Buffer): void {
    // Not the next tick: Node has one after each chunk.
    if (this.#gatheredBytes === 0) setImmediate(flush, this);
    this.#gathered.push(chunk);
    this.#gatheredBytes += chunk.length;
    if (this.#gatheredBytes >= MOST_GATHERED) this.flushGathered();
  }

  /** Once everything of one read has been handed out. */
  flushGathered(): void {
    if (!this.#stopped && this.#gatheredBytes > 0) this.#go(this.#flush());
  }

  #flush(): boolean {
    const chunk = Buffer.concat(this.#gathered, this.#gatheredBytes);
    this.#gathered = [];
    this.#gatheredBytes = 0;
    return this.#write(chunk);
  }

  #write(chunk: Buffer): boolean {
    if (!this.#chunked) return this.#socket.write(chunk);
    this.#socket.cork();
    this.#socket.write(`${chunk.length.toString(16)}\r\n`, 'latin1');
    this.#socket.write(chunk);
    const more = this.#socket.write('\r\n', 'latin1');
    this.#socket.uncork();
    return more;
  }

  readonly #onDrain = (): void => {
    if (this.finished) return;
    this.#request.exchange.onUploadResumed();
    this.#source.resume();
  };

  readonly #onEnd = (): void => {
    if (this.#gatheredBytes > 0) this.#flush();
    if (this.#chunked) this.#socket.write('0\r\n\r\n', 'latin1');
    this.finished = true;
    this.stop();
    this.#request.exchange.onUploadSent();
    this.#onSent();
  };
}

function flush(body: RequestBody): void {
  body.flushGathered();
}
