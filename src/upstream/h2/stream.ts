/**
 * One call on one stream of a session: the request as HTTP/2 writes it, the answer as the gateway hears it. nghttp2 has
 * looked at names, values and framing by then (RFC 9113 §8); what it cannot know is looked at here.
 */
import http2 from 'node:http2';
import { Readable } from 'node:stream';
import type { UpstreamRequest } from '../../data/dispatch.ts';
import type { GatewayError } from '../../errors.ts';
import { FORBIDDEN_TRAILERS, HOP_BY_HOP } from '../../hop-by-hop.ts';
import type { Call, Carrier } from '../call.ts';
import { badAnswer, brokenStream, ResponseFault, unprocessed } from '../faults.ts';
import type { UploadOwner } from '../upload.ts';
import { RequestBody } from './request-body.ts';
import type { Session } from './session.ts';

const { NGHTTP2_CANCEL, NGHTTP2_PROTOCOL_ERROR, NGHTTP2_REFUSED_STREAM, NGHTTP2_FLAG_END_STREAM } = http2.constants;

const WITHOUT_BODY = { endStream: true } as const;
const WITH_BODY = { endStream: false } as const;
const WITH_TRAILERS = { endStream: false, waitForTrailers: true } as const;

/** Honest services send one or two. Each is passed on at once, to a client that perhaps does not read. */
const MAX_INTERIM = 32;

const CARRIED = Symbol('carried');

type NodeStream = http2.ClientHttp2Stream & { [CARRIED]: Stream };

export class Stream implements Carrier, UploadOwner {
  readonly #session: Session;
  readonly #stream: NodeStream;
  readonly #heardBefore: number;
  #call: Call | null;
  #body: RequestBody | null = null;
  #status = 0;
  #interim = 0;
  #trailers: string[] | undefined;
  /** Why Node ended the stream, where nobody reset it. */
  #cause: Error | undefined;
  /** The peer has ended the stream, and so the answer is whole. */
  #ended = false;

  constructor(session: Session, client: http2.ClientHttp2Session, scheme: string, call: Call) {
    const { request } = call;
    const { body } = request;
    const isStreamed = body !== null && !Buffer.isBuffer(body);
    this.#session = session;
    this.#heardBefore = session.bytesHeard;
    this.#call = call;
    call.carrier = this;
    // A body of known length brings no trailers, and gRPC has none in requests: Node need not ask for them at its end.
    const mayHaveTrailers = isStreamed && request.contentLength === undefined && request.exchange.grpc === undefined;
    const options = body === null ? WITHOUT_BODY : mayHaveTrailers ? WITH_TRAILERS : WITH_BODY;
    this.#stream = client.request(requestHead(request, scheme), options) as NodeStream;
    this.#listen();
    if (isStreamed) {
      this.#body = new RequestBody(body, this.#stream, request, this, mayHaveTrailers);
      this.#body.start();
      return;
    }
    if (body !== null) this.#stream.end(body);
    call.onSent();
  }

  /** One function of each kind for all streams, since there is a stream for each request. */
  #listen(): void {
    const stream = this.#stream;
    stream[CARRIED] = this;
    stream.push = pushNotingEnd;
    stream.on('headers', onInformation);
    stream.on('response', onResponse);
    stream.on('trailers', onTrailers);
    stream.on('end', onEnd);
    stream.on('error', onError);
    stream.on('close', onClose);
  }

  // --- Carrier ---

  pause(): void {
    this.#stream.pause();
  }

  resume(): void {
    this.#stream.resume();
  }

  /** Each chunk is a buffer of its own. */
  keepBytes(): () => void {
    return ignore;
  }

  abandon(): void {
    this.#letGo();
    this.#stream.close(NGHTTP2_CANCEL);
    this.#session.onStreamAbandoned(this.#session.bytesHeard === this.#heardBefore);
  }

  // --- the request's body ---

  onBodySent(): void {
    this.#call?.onSent();
  }

  onBodyRefused(error: GatewayError): void {
    this.#fail(error);
  }

  // --- the answer, as Node tells it ---

  noteEnd(): void {
    this.#ended = true;
  }

  onInformation(status: number, raw: readonly string[]): void {
    if (this.#call === null) return;
    if (++this.#interim > MAX_INTERIM) return this.#failWith('too many interim answers');
    const fields = this.#fieldsOf(raw, HOP_BY_HOP);
    if (status !== 100 && fields !== undefined) this.#call.onInformation(status, fields);
  }

  onResponse(status: number, raw: readonly string[], isWhole: boolean): void {
    if (this.#call === null) return;
    if (!(status >= 200 && status <= 599)) return this.#failWith(`status ${status}`);
    const fields = this.#fieldsOf(raw, HOP_BY_HOP);
    if (fields === undefined) return;
    this.#status = status;
    this.#body?.forget();
    this.#call.onHead(status, fields);
    if (isWhole) {
      this.#stream.resume();
      this.#complete();
    } else {
      // Only now: bytes that came with the head must not be heard before it.
      this.#stream.on('data', onData);
    }
  }

  onData(chunk: Buffer): void {
    this.#call?.onBody(chunk);
  }

  onTrailers(raw: readonly string[]): void {
    const trailers = this.#fieldsOf(raw, FORBIDDEN_TRAILERS);
    if (trailers !== undefined && trailers.length > 0) this.#trailers = trailers;
  }

  /** @param raw flat, as Node read it. @returns undefined when there is too much of it; the call has then failed. */
  #fieldsOf(raw: readonly string[], dropped: ReadonlySet<string>): string[] | undefined {
    const { headBytes, fields: most } = this.#session.limits;
    const fields: string[] = [];
    let bytes = 0;
    for (let at = 0; at < raw.length; at += 2) {
      const name = raw[at]!;
      const value = raw[at + 1]!;
      // As it would stand in HTTP/1.1, so that a limit means the same.
      bytes += name.length + value.length + 4;
      if (name.charCodeAt(0) !== COLON && !dropped.has(name)) fields.push(name, value);
    }
    if (bytes <= headBytes && raw.length / 2 <= most + 1) return fields;
    this.#fail(badAnswer(this.#session.url, new ResponseFault('headTooLarge', 'head or trailers too large')));
    return undefined;
  }

  onEnd(): void {
    if (this.#ended && this.#status !== 0) this.#complete();
  }

  onError(error: NodeJS.ErrnoException): void {
    if (error.code !== 'ERR_HTTP2_STREAM_ERROR') this.#cause = error;
  }

  /** However it came about. */
  onClose(): void {
    if (this.#call === null) return;
    if (this.#ended && this.#status !== 0) {
      // The session has ended behind a whole answer that the client's side was slow to take: what is left of it is here.
      for (let chunk = this.#rest(); chunk !== null; chunk = this.#rest()) this.#call?.onBody(chunk);
      this.#complete();
      return;
    }
    const id = this.#stream.id;
    const { rstCode } = this.#stream;
    const isUntouched = this.#status === 0 && this.#interim === 0;
    if (!isUntouched || (rstCode !== NGHTTP2_REFUSED_STREAM && !this.#session.isUnprocessed(id))) {
      this.#fail(brokenStream(this.#session.url, this.#status !== 0, rstCode, this.#session.cause ?? this.#cause));
      return;
    }
    this.#refused(this.#session.isUnprocessed(id));
  }

  #rest(): Buffer | null {
    return this.#stream.read() as Buffer | null;
  }

  // --- the end ---

  /** RFC 9113 §8.7: it was not processed. @param isLeaving because the session ends; else the peer has too much to do. */
  #refused(isLeaving: boolean): void {
    this.#body?.putBack();
    const call = this.#letGo();
    if (call === null) return;
    call.carrier = null;
    this.#session.onStreamOver();
    if (isLeaving && isUnread(call.request) && this.#session.move(call)) return;
    call.onFailure(unprocessed(this.#session.url));
  }

  #complete(): void {
    const unfinished = this.#body !== null && !this.#body.finished;
    const call = this.#letGo();
    if (call === null) return;
    // An answer that came before the whole request was sent: the rest is not wanted.
    if (unfinished) this.#stream.close(NGHTTP2_CANCEL);
    call.carrier = null;
    this.#session.onStreamOver();
    call.onComplete(this.#trailers);
  }

  #failWith(what: string): void {
    this.#fail(badAnswer(this.#session.url, new ResponseFault('protocol', what)), NGHTTP2_PROTOCOL_ERROR);
  }

  #fail(error: GatewayError, code: number = NGHTTP2_CANCEL): void {
    const call = this.#letGo();
    this.#stream.close(code);
    if (call === null) return;
    call.carrier = null;
    this.#session.onStreamOver();
    call.onFailure(error);
  }

  #letGo(): Call | null {
    const call = this.#call;
    this.#call = null;
    this.#body?.stop();
    return call;
  }
}

/** Pseudo-fields first (RFC 9113 §8.3). Node writes names in lower case. */
function requestHead(request: UpstreamRequest, scheme: string): string[] {
  const { fields } = request;
  const head = [':method', request.method, ':scheme', scheme, ':authority', fields[1]!, ':path', request.target];
  for (let at = 2; at < fields.length; at += 2) head.push(fields[at]!, fields[at + 1]!);
  const length = lengthOf(request);
  if (length !== undefined) head.push('content-length', String(length));
  if (request.exchange.head.acceptsTrailers) head.push('te', 'trailers');
  return head;
}

/** RFC 9110 §8.6: a length for what has a body or whose method expects one. */
function lengthOf({ body, contentLength, method }: UpstreamRequest): number | undefined {
  if (body === null) return method === 'POST' || method === 'PUT' || method === 'PATCH' ? 0 : undefined;
  return Buffer.isBuffer(body) ? body.length : contentLength;
}

/** Whether the body can still be sent from its first byte. */
function isUnread({ body }: UpstreamRequest): boolean {
  return body === null || Buffer.isBuffer(body) || (!body.readableDidRead && !body.destroyed);
}

const COLON = 58;

/**
 * Node ends a stream that was reset, or whose connection broke, like one that is whole. Only here can the two be told
 * apart: it has not closed a stream yet of which it reads the end.
 */
function pushNotingEnd(this: NodeStream, chunk: unknown, encoding?: BufferEncoding): boolean {
  if (chunk === null && !this.closed && !this.destroyed) this[CARRIED].noteEnd();
  return Readable.prototype.push.call(this, chunk, encoding);
}

function onInformation(this: NodeStream, headers: http2.IncomingHttpHeaders, _: number, raw: string[]): void {
  this[CARRIED].onInformation(Number(headers[':status']), raw);
}

function onResponse(this: NodeStream, headers: http2.IncomingHttpHeaders, flags: number, raw: string[]): void {
  this[CARRIED].onResponse(Number(headers[':status']), raw, (flags & NGHTTP2_FLAG_END_STREAM) !== 0);
}

function onTrailers(this: NodeStream, _: http2.IncomingHttpHeaders, __: number, raw: string[]): void {
  this[CARRIED].onTrailers(raw);
}

function onData(this: NodeStream, chunk: Buffer): void {
  this[CARRIED].onData(chunk);
}

function onEnd(this: NodeStream): void {
  this[CARRIED].onEnd();
}

function onClose(this: NodeStream): void {
  this[CARRIED].onClose();
}

function onError(this: NodeStream, error: Error): void {
  this[CARRIED].onError(error);
}

function ignore(): void {}
