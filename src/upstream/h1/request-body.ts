/** A streamed body on HTTP/1.1: as it is where its length is known, else in chunks, framed anew (RFC 9112 §7.1). */
import type { Socket } from 'node:net';
import type { BodyStream, UpstreamRequest } from '../../data/dispatch.ts';
import { requestTrailers } from '../request-trailers.ts';
import { Upload, type UploadOwner } from '../upload.ts';

/** Chunks below this that came in one read go on as one: else a byte of body would cost six bytes and three writes. */
const SMALL_BYTES = 1024;
const MOST_GATHERED = 16 * 1024;

export class RequestBody extends Upload {
  readonly #socket: Socket;
  readonly #chunked: boolean;
  #gathered: Buffer[] = [];
  #gatheredBytes = 0;

  constructor(source: BodyStream, socket: Socket, request: UpstreamRequest, owner: UploadOwner) {
    super(source, socket, request, owner);
    this.#socket = socket;
    this.#chunked = request.contentLength === undefined;
  }

  protected override take(chunk: Buffer): void {
    if (this.#chunked && chunk.length < SMALL_BYTES) return this.#gather(chunk);
    if (this.#gatheredBytes > 0) this.#flush();
    this.go(this.write(chunk));
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
    if (!this.stopped && this.#gatheredBytes > 0) this.go(this.#flush());
  }

  #flush(): boolean {
    const chunk = Buffer.concat(this.#gathered, this.#gatheredBytes);
    this.#gathered = [];
    this.#gatheredBytes = 0;
    return this.write(chunk);
  }

  protected override write(chunk: Buffer): boolean {
    if (!this.#chunked) return this.#socket.write(chunk);
    this.#socket.cork();
    this.#socket.write(`${chunk.length.toString(16)}\r\n`, 'latin1');
    this.#socket.write(chunk);
    const more = this.#socket.write('\r\n', 'latin1');
    this.#socket.uncork();
    return more;
  }

  protected override end(): void {
    if (this.#gatheredBytes > 0) this.#flush();
    if (!this.#chunked) return;
    const trailers = requestTrailers(this.source);
    let last = '0\r\n';
    for (let at = 0; at < trailers.length; at += 2) last += `${trailers[at]}: ${trailers[at + 1]}\r\n`;
    this.#socket.write(`${last}\r\n`, 'latin1');
  }
}

function flush(body: RequestBody): void {
  body.flushGathered();
}
