/**
 * The way back on an HTTP/2 stream, in the shape of Node's answers of HTTP/1.1. The head waits for the first bytes or the
 * end, since only then is known whether it ends the stream by itself, which makes it a single frame.
 */
import { EventEmitter } from 'node:events';
import { ErrorCode } from '../../http2/constants.ts';
import type { ServerStream, StreamOwner } from '../../http2/stream.ts';
import type { ClientResponse, Transport } from '../client-message.ts';

export class Http2Response extends EventEmitter implements ClientResponse, Transport, StreamOwner {
  statusCode = 200;
  expectsContinue = false;
  closing = false;
  /** Its body may come with its head. */
  readonly bytesBefore = 0;
  /** Its stream carries a WebSocket now, which says itself when it is over. */
  isReleased = false;
  /** To a CONNECT every 2xx is an agreement (RFC 9110 §9.3.6): only `agree` may give one. */
  isToConnect = false;
  headersSent = false;
  writableEnded = false;
  readonly #stream: ServerStream;
  /** A head that waits. */
  #fields: readonly string[] | undefined;
  #trailers: string[] | undefined;
  /** What Fastify sets before the head. */
  #set: Map<string, unknown> | undefined;

  constructor(stream: ServerStream) {
    super();
    this.#stream = stream;
    stream.owner = this;
  }

  get bytesRead(): number {
    return this.#stream.received;
  }

  get destroyed(): boolean {
    return this.#stream.isClosed;
  }

  get writableFinished(): boolean {
    return this.#stream.closedBy === 'end';
  }

  // --- as the stream's owner ---

  onDrain(): void {
    this.emit('drain');
  }

  onClosed(): void {
    if (!this.isReleased) this.emit('close');
  }

  // --- the answer ---

  writeContinue(): void {
    this.writeInformation(100, []);
  }

  writeInformation(status: number, fields: readonly string[]): void {
    if (!this.headersSent) this.#stream.sendInformation(status, fields);
  }

  /** @param fields flat, or by name as Fastify has them. */
  writeHead(status: number, fields: readonly string[] | Readonly<Record<string, unknown>>): this {
    this.statusCode = this.isToConnect && status < 300 ? 501 : status;
    const isFlat = Array.isArray(fields);
    this.#fields =
      isFlat && this.#set === undefined ? fields : this.#collect(isFlat ? fields : Object.entries(fields).flat());
    this.headersSent = true;
    return this;
  }

  /** Agrees to a CONNECT: what follows is not HTTP. */
  agree(fields: readonly string[]): void {
    this.isToConnect = false;
    this.writeHead(200, fields);
    this.#stream.isTunnel = true;
    this.flushHeaders();
  }

  flushHeaders(): void {
    const fields = this.#fields;
    if (fields === undefined) return;
    this.#sendHead(fields, false);
  }

  /** Only now is it found out that no field may hold what somebody has put into one. */
  #sendHead(fields: readonly string[], isAll: boolean): void {
    this.#fields = undefined;
    try {
      this.#stream.sendHead(this.statusCode, fields, isAll);
    } catch (error) {
      this.reset();
      throw error;
    }
  }

  write(bytes: Buffer, done?: () => void): boolean {
    this.flushHeaders();
    if (!this.#isBodyless) return this.#stream.write(bytes, done);
    done?.();
    return true;
  }

  addTrailers(trailers: readonly (readonly [string, string])[]): void {
    this.#trailers = trailers.flat();
  }

  end(body?: Buffer | string | null, encoding: BufferEncoding = 'utf8'): void {
    if (this.writableEnded) return;
    this.writableEnded = true;
    if (!this.headersSent) this.writeHead(this.statusCode, []);
    const fields = this.#fields;
    const isEmpty = body === undefined || body === null || body.length === 0 || this.#isBodyless;
    const isAll = isEmpty && this.#trailers === undefined;
    if (fields !== undefined) this.#sendHead(fields, isAll);
    if (isEmpty) this.#stream.end(undefined, this.#trailers);
    else if (typeof body === 'string' && encoding !== 'latin1')
      this.#stream.end(Buffer.from(body, encoding), this.#trailers);
    else this.#stream.end(body, this.#trailers);
  }

  /** RFC 9110 §6.4.1 */
  get #isBodyless(): boolean {
    return this.statusCode === 304 || this.statusCode === 204 || this.#stream.head.method === 'HEAD';
  }

  reset(): void {
    // RFC 8441 §5: of a connection within the stream.
    this.#stream.reset(this.isReleased ? ErrorCode.cancel : ErrorCode.internalError);
  }

  destroy(): void {
    this.reset();
  }

  // --- for Fastify, which sets what it has before it writes the head ---

  setHeader(name: string, value: unknown): this {
    (this.#set ??= new Map<string, unknown>()).set(name.toLowerCase(), value);
    return this;
  }

  getHeader(name: string): unknown {
    return this.#set?.get(name.toLowerCase());
  }

  getHeaders(): Record<string, unknown> {
    return Object.fromEntries(this.#set ?? []);
  }

  hasHeader(name: string): boolean {
    return this.#set?.has(name.toLowerCase()) ?? false;
  }

  removeHeader(name: string): void {
    this.#set?.delete(name.toLowerCase());
  }

  #collect(fields: readonly unknown[]): string[] {
    return [...(this.#set ?? []), ...pairsOf(fields)].flatMap(([name, value]) =>
      [value].flat().flatMap((one) => [name, String(one)]),
    );
  }
}

function* pairsOf(flat: readonly unknown[]): Generator<[name: string, value: unknown]> {
  for (let at = 0; at < flat.length; at += 2) yield [flat[at] as string, flat[at + 1]];
}
