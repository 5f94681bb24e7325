/**
 * One stream of a session: a request and its answer (RFC 9113 §5). What the client sends goes to a source, which lets it send more as it
 * is read; what goes to the client waits for the client's windows.
 */
import { DEFAULT_FRAME_BYTES, ErrorCode } from './constants.ts';
import type { Outbound } from './outbound.ts';
import type { RequestHead } from './request-head.ts';
import type { ServerSession } from './session.ts';
import { StreamBody, StreamDuplex } from './stream-body.ts';

/** Whoever answers. */
export interface StreamOwner {
  /** It takes more again. */
  onDrain(): void;
  /** Once, and the last: it has ended, or was ended. What was sent has left for the client by then. */
  onClosed(): void;
}

export type ClosedBy = 'end' | 'client' | 'gateway';

interface Waiting {
  readonly bytes: Buffer;
  sent: number;
  readonly done: (() => void) | undefined;
}

/** A smaller piece of what was read must not hold all of that while it waits. */
const KEEP_FROM_BYTES = 4 * 1024;

export class ServerStream {
  readonly id: number;
  readonly head: RequestHead;
  owner: StreamOwner | undefined;
  /** What the client sends behind the head; undefined where that is nothing. */
  readonly source: StreamBody | StreamDuplex | undefined;

  sendWindow: number;
  receiveWindow: number;
  /** The client has sent all. */
  isRemoteEnded: boolean;
  /** All was sent, or waits to be. */
  isEnded = false;
  /** It carries something else than HTTP: each half ends by itself. */
  isTunnel = false;
  /** Undefined while it is open. */
  closedBy: ClosedBy | undefined;
  /** It is among those that the session has to look at again. */
  isBlocked = false;

  /** Bytes behind the head. */
  received = 0;
  readonly #session: ServerSession;
  readonly #out: Outbound;
  /** Of the source, what the client has not been given back. */
  #uncredited = 0;
  /** Read, and not yet told. */
  #owedWindow = 0;
  #waiting: Waiting[] | undefined;
  #trailers: readonly string[] | undefined;
  /** The owner was told to wait. */
  #owesDrain = false;

  constructor(session: ServerSession, id: number, head: RequestHead, isRemoteEnded: boolean) {
    this.#session = session;
    this.#out = session.outbound;
    this.id = id;
    this.head = head;
    this.isRemoteEnded = isRemoteEnded;
    this.sendWindow = session.outbound.streamWindow;
    this.receiveWindow = session.streamWindow;
    if (!isRemoteEnded) this.source = head.protocol === undefined ? new StreamBody(this) : new StreamDuplex(this);
  }

  get isClosed(): boolean {
    return this.closedBy !== undefined;
  }

  // --- from the client ---

  /** @param frameBytes with padding, as windows count. */
  onData(bytes: Buffer, start: number, end: number, frameBytes: number): void {
    const length = end - start;
    this.receiveWindow -= frameBytes;
    if (this.receiveWindow < 0) return this.refuse(ErrorCode.flowControlError);
    this.received += length;
    const { contentLength } = this.head;
    if (contentLength !== undefined && this.received > contentLength) return this.refuse(ErrorCode.protocolError);
    this.#uncredited += frameBytes;
    if (length > 0) {
      const isSmall = length < KEEP_FROM_BYTES && length < bytes.length / 2;
      const payload = bytes.subarray(start, end);
      this.source?.push(isSmall ? Buffer.from(payload) : payload);
    }
    this.onRead();
  }

  /** Nothing more will come. */
  onRemoteEnd(): void {
    const { contentLength } = this.head;
    if (contentLength !== undefined && this.received !== contentLength) return this.refuse(ErrorCode.protocolError);
    this.isRemoteEnded = true;
    this.source?.push(null);
    if (this.isEnded && this.#waiting === undefined) this.#close('end');
  }

  onTrailers(fields: readonly string[]): void {
    if (this.source instanceof StreamBody) this.source.rawTrailers = fields;
    this.onRemoteEnd();
  }

  /** The source was read: the client may send as much more. */
  onRead(): void {
    const credit = this.#uncredited - (this.source?.readableLength ?? 0);
    if (credit <= 0) return;
    // A connection is shared: it must not wait until this stream has had half of its own window.
    this.#session.credit(credit);
    this.#uncredited -= credit;
    this.#owedWindow += credit;
    if (this.isRemoteEnded || this.isClosed || 2 * this.#owedWindow < this.#session.streamWindow) return;
    this.receiveWindow += this.#owedWindow;
    this.#out.windowUpdate(this.id, this.#owedWindow);
    this.#owedWindow = 0;
  }

  /** The client has done what it must not on this stream (§5.4.2). */
  refuse(code: number): void {
    this.#session.onStreamError();
    this.reset(code);
  }

  // --- to the client ---

  /** An interim answer. */
  sendInformation(status: number, fields: readonly string[]): void {
    if (!this.isClosed) this.#out.head(this.id, status, fields, false);
  }

  /** @param isAll no body follows, and no trailers. */
  sendHead(status: number, fields: readonly string[], isAll: boolean): void {
    if (this.isClosed) return;
    this.#out.head(this.id, status, fields, isAll);
    if (!isAll) return;
    this.isEnded = true;
    this.#onSent();
  }

  /**
   * @param done called when the bytes are not needed any more.
   * @returns whether it takes more; if not, the owner hears `onDrain`.
   */
  write(bytes: Buffer, done?: () => void): boolean {
    if (this.isClosed || this.isEnded || bytes.length === 0) {
      done?.();
      return true;
    }
    if (this.#waiting !== undefined || !this.#out.admits(this, bytes.length)) {
      this.#await(bytes, done);
    } else {
      this.#send(bytes, 0, bytes.length, false, done);
      if (this.#out.hasRoom) return true;
      this.#out.await(this);
    }
    this.#owesDrain = true;
    return false;
  }

  /** @param body the last of it, perhaps all. */
  end(body: Buffer | string | undefined, trailers: readonly string[] | undefined): void {
    if (this.isClosed || this.isEnded) return;
    this.isEnded = true;
    this.#trailers = trailers;
    const length = body?.length ?? 0;
    if (this.#waiting !== undefined || (length > 0 && !this.#out.admits(this, length))) {
      if (length > 0) this.#await(typeof body === 'string' ? Buffer.from(body, 'latin1') : body!, undefined);
      return;
    }
    if (typeof body === 'string' && length <= DEFAULT_FRAME_BYTES) this.#out.text(this, body, trailers === undefined);
    else if (length > 0)
      this.#send(typeof body === 'string' ? Buffer.from(body, 'latin1') : (body as Buffer), 0, length, true, undefined);
    else if (trailers === undefined) this.#out.end(this);
    if (trailers !== undefined) this.#out.trailers(this.id, trailers);
    this.#onSent();
  }

  /** Ends it at once, for both sides. */
  reset(code: number): void {
    if (this.isClosed) return;
    this.#out.reset(this.id, code);
    this.#close('gateway');
  }

  /** The client has taken it back, or is gone. */
  onReset(): void {
    if (!this.isClosed) this.#close('client');
  }

  /** There may be room again. Sends one frame, so that others have their turn. @returns whether it did anything. */
  pump(): boolean {
    if (this.isClosed) return false;
    if (this.#waiting !== undefined) {
      const didSend = this.#sendWaiting(this.#waiting);
      if (this.#waiting !== undefined) {
        this.#out.await(this);
        return didSend;
      }
    }
    if (!this.#owesDrain || this.isClosed) return true;
    if (!this.#out.hasRoom) {
      this.#out.await(this);
      return false;
    }
    this.#owesDrain = false;
    if (this.isTunnel) (this.source as StreamDuplex).onDrain();
    else this.owner?.onDrain();
    return true;
  }

  /** @returns whether the windows admitted anything. */
  #sendWaiting(waiting: Waiting[]): boolean {
    const first = waiting[0]!;
    const left = first.bytes.length - first.sent;
    const length = this.#out.admitted(this, left);
    if (length === 0) return false;
    const isLast = length === left && waiting.length === 1;
    this.#send(first.bytes, first.sent, length, isLast && this.isEnded, length === left ? first.done : undefined);
    first.sent += length;
    if (length < left) return true;
    waiting.shift();
    if (!isLast) return true;
    this.#waiting = undefined;
    if (!this.isEnded) return true;
    if (this.#trailers !== undefined) this.#out.trailers(this.id, this.#trailers);
    this.#onSent();
    return true;
  }

  #await(bytes: Buffer, done: (() => void) | undefined): void {
    (this.#waiting ??= []).push({ bytes, sent: 0, done });
    this.#out.await(this);
  }

  /** In as many frames as it takes; the windows admit it. */
  #send(bytes: Buffer, from: number, length: number, isLast: boolean, done: (() => void) | undefined): void {
    const end = from + length;
    for (let at = from; at < end;) {
      const size = Math.min(end - at, this.#out.frameBytes);
      const isEnd = at + size === end;
      this.#out.data(this, bytes, at, size, isEnd && isLast && this.#trailers === undefined, isEnd ? done : undefined);
      at += size;
    }
  }

  #onSent(): void {
    if (!this.isRemoteEnded) {
      if (this.isTunnel) return;
      // What the client still sends is for nobody (§8.1).
      this.#session.resetSoon(this.id);
    }
    this.#close('end');
  }

  #close(by: ClosedBy): void {
    this.closedBy = by;
    // An error goes before the end, or what came would seem to be all.
    if (!this.isRemoteEnded || by !== 'end') this.source?.destroy(new Error('the client has left its request'));
    const waiting = this.#waiting;
    this.#waiting = undefined;
    // What has begun to leave may still be needed for that, and is left to the collector.
    if (waiting !== undefined) for (const { done, sent } of waiting) if (sent === 0) done?.();
    // Nobody reads it any more: what is left must not count against the other streams.
    this.#session.credit(this.#uncredited);
    this.#uncredited = 0;
    this.#session.onStreamClosed(this);
  }
}
