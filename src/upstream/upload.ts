/**
 * Carries a streamed request body from the client to the upstream with back-pressure: what the upstream does not take,
 * the client is not asked for. It is counted, since nobody may have announced its size. How it is framed is the
 * protocol's: one subclass each.
 */
import type { Writable } from 'node:stream';
import type { BodyStream, UpstreamRequest } from '../data/dispatch.ts';
import { GatewayError } from '../errors.ts';

export interface UploadOwner {
  /** All of it is with the upstream. */
  onBodySent(): void;
  /** It is larger than it may be. */
  onBodyRefused(error: GatewayError): void;
}

export abstract class Upload {
  finished = false;
  protected readonly request: UpstreamRequest;
  protected readonly source: BodyStream;
  protected stopped = false;
  readonly #sink: Writable;
  readonly #owner: UploadOwner;
  #bytes = 0;
  /** The sink has enough, and will say when it has not. */
  #blocked = false;

  constructor(source: BodyStream, sink: Writable, request: UpstreamRequest, owner: UploadOwner) {
    this.request = request;
    this.source = source;
    this.#sink = sink;
    this.#owner = owner;
  }

  /** @returns whether the upstream takes more. */
  protected abstract write(chunk: Buffer): boolean;
  /** There is no more. */
  protected abstract end(): void;

  /** What has already been read leaves at once, with the head. */
  start(): void {
    const { source } = this;
    const ready = source.read() as Buffer | null;
    if (ready !== null && this.#admits(ready)) this.go(this.write(ready));
    if (this.stopped) return;
    source.on('data', this.#onData);
    source.on('end', this.#onEnd);
    // Attaching a listener starts the flow only where it was never stopped.
    source.resume();
  }

  /** Lets go of both sides; the rest of the body stays with the client. */
  stop(): void {
    if (this.stopped) return;
    this.stopped = true;
    if (this.#blocked) this.#sink.off('drain', this.#onDrain);
    // Of a source that has ended nothing more is heard.
    if (this.finished) return;
    this.source.off('data', this.#onData);
    this.source.off('end', this.#onEnd);
    this.source.pause();
  }

  protected take(chunk: Buffer): void {
    this.go(this.write(chunk));
  }

  /** @param more whether the upstream takes more. */
  protected go(more: boolean): void {
    if (more) return;
    this.source.pause();
    this.request.exchange.onUploadBlocked();
    if (this.#blocked) return;
    this.#blocked = true;
    this.#sink.once('drain', this.#onDrain);
  }

  readonly #onData = (chunk: Buffer): void => {
    if (this.#admits(chunk)) this.take(chunk);
  };

  /** Counts; refuses what is over the limit. */
  #admits(chunk: Buffer): boolean {
    const most = this.request.maxBodyBytes;
    this.#bytes += chunk.length;
    if (this.#bytes <= most) return true;
    this.stop();
    this.#owner.onBodyRefused(
      new GatewayError('http_request_denied', `request body over ${most} bytes`, {
        status: 413,
        detail: `The body is larger than ${most} bytes (limits.body).`,
        close: true,
      }),
    );
    return false;
  }

  readonly #onDrain = (): void => {
    this.#blocked = false;
    if (this.finished) return;
    this.request.exchange.onUploadResumed();
    this.source.resume();
  };

  readonly #onEnd = (): void => {
    this.end();
    this.finished = true;
    this.stop();
    this.request.exchange.onUploadSent();
    this.#owner.onBodySent();
  };
}
