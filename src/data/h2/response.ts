/**
 * The way back on an HTTP/2 stream, in the shape of Node's answers of HTTP/1.1. The head waits for the first bytes or the
 * end, since only then is known whether it ends the stream by itself, which makes it a single frame.
 */
import { EventEmitter } from 'node:events';
import { constants, type ServerHttp2Stream } from 'node:http2';
import { HOP_BY_HOP } from '../../hop-by-hop.ts';
import type { ClientResponse, Transport } from '../client-message.ts';

const { NGHTTP2_NO_ERROR, NGHTTP2_INTERNAL_ERROR, NGHTTP2_CANCEL } = constants;

const RESPONSE = Symbol('aya.response');
type Answered = ServerHttp2Stream & { [RESPONSE]?: Http2Response | undefined };

export class Http2Response extends EventEmitter implements ClientResponse, Transport {
  statusCode = 200;
  bytesRead = 0;
  expectsContinue = false;
  closing = false;
  /** We have ended the stream, not the client. */
  isReset = false;
  /** Its stream carries a WebSocket now, which says itself when it is over. */
  isReleased = false;
  /** To a CONNECT every 2xx is an agreement (RFC 9110 §9.3.6): only `agree` may give one. */
  isToConnect = false;
  readonly #stream: ServerHttp2Stream;
  /** A head that waits. */
  #head: string[] | null = null;
  #headersSent = false;
  #ended = false;
  #trailers: Record<string, string | string[]> | undefined;
  /** Asked for when the head is sent; told by Node behind the body. */
  #awaitsTrailers = false;
  /** What Fastify sets before the head. */
  #set: Map<string, unknown> | undefined;

  readonly #onClosed: (stream: ServerHttp2Stream, res: Http2Response) => void;

  /** @param onClosed before those hear of it who listen. */
  constructor(stream: ServerHttp2Stream, onClosed: (stream: ServerHttp2Stream, res: Http2Response) => void) {
    super();
    this.#stream = stream;
    this.#onClosed = onClosed;
    (stream as Answered)[RESPONSE] = this;
    // Its errors are told by its end.
    stream.on('error', ignore);
    stream.on('close', Http2Response.#onClose);
    if (stream.endAfterHeaders) return;
    // Not yet: whoever wants the body lets it flow.
    stream.pause();
    stream.on('data', Http2Response.#onData);
    stream.on('aborted', Http2Response.#onAborted);
  }

  // One listener for all streams: `this` is the stream.

  static #onClose(this: Answered): void {
    const res = this[RESPONSE]!;
    // A dead stream may still be reached from the old generation, and must not take the exchange with it there.
    this[RESPONSE] = undefined;
    res.#onClosed(this, res);
    if (!res.isReleased) res.emit('close');
  }

  static #onData(this: Answered, chunk: Buffer): void {
    this[RESPONSE]!.bytesRead += chunk.length;
  }

  /** Node ends a body that the client has left inside as if that were all; an error goes before the end. */
  static #onAborted(this: Answered): void {
    if (this[RESPONSE]?.isReset === false) this.destroy(new Error('the client has left its request'));
  }

  get headersSent(): boolean {
    return this.#headersSent;
  }

  get destroyed(): boolean {
    return this.#stream.destroyed;
  }

  get writableFinished(): boolean {
    // Where both sides are through, Node tells of the end before it tells that everything has left.
    return this.#ended && (this.#stream.writableFinished || this.#stream.rstCode === NGHTTP2_NO_ERROR);
  }

  get writableEnded(): boolean {
    // Not the stream's own: Node ends that of a HEAD request before it is asked.
    return this.#ended;
  }

  override on(event: string, listener: () => void): this {
    if (event === 'drain') this.#stream.on('drain', listener);
    else super.on(event, listener);
    return this;
  }

  writeContinue(): void {
    this.writeInformation(100, []);
  }

  writeInformation(status: number, fields: readonly string[]): void {
    if (this.#headersSent || this.#stream.destroyed) return;
    this.#stream.additionalHeaders({ ...asHeaders(fields), ':status': status });
  }

  /** @param fields flat, or by name as Fastify has them. */
  writeHead(status: number, fields: readonly string[] | Readonly<Record<string, unknown>>): this {
    this.statusCode = this.isToConnect && status < 300 ? 501 : status;
    const head = [':status', String(this.statusCode)];
    if (this.#set !== undefined) for (const [name, value] of this.#set) pushField(head, name, value);
    if (Array.isArray(fields)) {
      for (let at = 0; at < fields.length; at += 2) pushField(head, fields[at] as string, fields[at + 1]);
    } else {
      for (const [name, value] of Object.entries(fields)) pushField(head, name, value);
    }
    this.#head = head;
    this.#headersSent = true;
    return this;
  }

  /** Agrees to a CONNECT: what follows is not HTTP. */
  agree(fields: readonly string[]): void {
    this.isToConnect = false;
    this.writeHead(200, fields);
    this.#respond({});
  }

  flushHeaders(): void {
    this.#respond({ waitForTrailers: true });
  }

  write(bytes: Buffer, done?: () => void): boolean {
    this.#respond({ waitForTrailers: true });
    return done === undefined ? this.#stream.write(bytes) : this.#stream.write(bytes, done);
  }

  addTrailers(trailers: readonly (readonly [string, string])[]): void {
    this.#trailers = asHeaders(trailers.flat());
  }

  end(body?: Buffer | string | null, encoding?: BufferEncoding | null): void {
    if (!this.#headersSent) this.writeHead(this.statusCode, []);
    this.#ended = true;
    const stream = this.#stream;
    const isEmpty = body === undefined || body === null || body.length === 0;
    if (isEmpty && this.#trailers === undefined) this.#respond({ endStream: true });
    else this.#respond({ waitForTrailers: this.#trailers !== undefined });
    // Node has ended it where an answer has no body: HEAD, 204, 304.
    if (isEmpty || stream.writableEnded) stream.end();
    else if (typeof body === 'string') stream.end(body, encoding ?? 'utf8');
    else stream.end(body);
    // Where trailers follow, they are the last frame, and 'finish' comes before them.
    if (this.#isUnread && !this.#awaitsTrailers) stream.once('finish', this.#dropRest);
  }

  get #isUnread(): boolean {
    return !this.#stream.endAfterHeaders && !this.#stream.readableEnded;
  }

  /** What the client still sends is for nobody (RFC 9113 §8.1). Not before the last frame of the answer has left. */
  readonly #dropRest = (): void => {
    setImmediate(() => {
      if (this.#isUnread) this.#leave(NGHTTP2_NO_ERROR);
    });
  };

  reset(): void {
    // RFC 8441 §5: of a connection within the stream.
    this.#leave(this.isReleased ? NGHTTP2_CANCEL : NGHTTP2_INTERNAL_ERROR);
  }

  destroy(): void {
    this.reset();
  }

  #leave(code: number): void {
    this.isReset = true;
    // A client that resets without an error leaves Node waiting for what it can no longer write, and for ever.
    if (this.#stream.closed) return void this.#stream.destroy();
    this.#stream.close(code);
    // Closed for both sides, it still waits until what came has been read.
    this.#stream.resume();
  }

  #respond(options: { readonly endStream?: boolean; readonly waitForTrailers?: boolean }): void {
    const head = this.#head;
    if (head === null) return;
    this.#head = null;
    const stream = this.#stream;
    if (stream.destroyed || stream.closed) return;
    this.#awaitsTrailers = options.waitForTrailers === true;
    if (this.#awaitsTrailers) stream.once('wantTrailers', this.#sendTrailers);
    stream.respond(head as never, options);
  }

  readonly #sendTrailers = (): void => {
    const stream = this.#stream;
    if (stream.destroyed) return;
    stream.sendTrailers(this.#trailers ?? {});
    if (this.#isUnread) this.#dropRest();
  };

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
}

/** Names are in lower case, and none is for one connection of HTTP/1.1 alone (RFC 9113 §8.2). */
function pushField(head: string[], name: string, value: unknown): void {
  const lower = name.toLowerCase();
  if (HOP_BY_HOP.has(lower)) return;
  if (Array.isArray(value)) for (const one of value) head.push(lower, String(one));
  else head.push(lower, String(value));
}

/** By name, as Node wants what is not the head of an answer. */
function asHeaders(fields: readonly string[]): Record<string, string | string[]> {
  const headers = Object.create(null) as Record<string, string | string[]>;
  for (let at = 0; at < fields.length; at += 2) {
    const name = fields[at]!.toLowerCase();
    if (HOP_BY_HOP.has(name)) continue;
    const before = headers[name];
    headers[name] = before === undefined ? fields[at + 1]! : [before, fields[at + 1]!].flat();
  }
  return headers;
}

function ignore(): void {}
