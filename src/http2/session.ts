/**
 * The server's side of one connection (RFC 9113). It reads frames, keeps streams and windows, and ends a connection whose client does what it
 * must not, or much that asks for nothing. What its requests mean, and how long it may live, is for its owner.
 */
import type { Socket } from 'node:net';
import type { Clock } from '../clock.ts';
import { RecentSlots } from '../recent-slots.ts';
import { ClosedStreams } from './closed-streams.ts';
import { ConnectionError, DEFAULT_WINDOW, ErrorCode, LARGEST_WINDOW, Setting } from './constants.ts';
import type { FieldSection } from './hpack/decoder.ts';
import { Inbound, type InboundSink } from './inbound.ts';
import { Outbound } from './outbound.ts';
import { isTrailerSection, readRequestHead, type RequestHead } from './request-head.ts';
import { ServerStream } from './stream.ts';

export interface SessionOptions {
  /** Requests at once. */
  readonly maxStreams: number;
  /** Bytes of a body that may come before it is read: of each stream, and of all. */
  readonly streamWindow: number;
  readonly connectionWindow: number;
  /** Of a field section, as HPACK counts. */
  readonly headerListBytes: number;
  readonly clock: Clock;
}

export interface SessionOwner {
  /** The client has begun to speak. */
  onGreeted(): void;
  /** A request. Not one that was taken back in the same read. */
  onStream(stream: ServerStream): void;
  /** The client has taken a request back. */
  onReset(): void;
  /** A request was malformed, one too many, or broke a rule and was ended for it. */
  onRefused(): void;
  onStreamClosed(stream: ServerStream): void;
  /** The last word is on its way; what still comes is not looked at. */
  onFailed(): void;
  onClosed(): void;
}

/** Beyond this the client is not listened to: what it asks for is more than it reads. */
const DEAF_BACKLOG = 1024 * 1024;

/** What a client has to read an answer that came before it had sent all. */
const ANSWER_FIRST_MS = 100;

export class ServerSession implements InboundSink {
  readonly outbound: Outbound;
  /** Streams that are not closed. */
  open = 0;

  readonly #socket: Socket;
  readonly #options: SessionOptions;
  readonly #owner: SessionOwner;
  readonly #inbound: Inbound;
  readonly #streams = new RecentSlots<ServerStream>();
  #lastStream = 0;
  /** Streams above are not looked at: the client was told so. */
  #lastAdmitted = LARGEST_WINDOW;
  /** Begun in this read. */
  #begun: ServerStream[] = [];
  /** Closed since the last flush. */
  #closed: ServerStream[] = [];
  /** Later frames of theirs may have been under way. */
  readonly #closedStreams = new ClosedStreams();

  #receiveWindow: number;
  /** What may be given back to the client. */
  #credit = 0;

  #pings: (() => void)[] = [];
  #isClosing = false;
  #isOver = false;

  constructor(socket: Socket, options: SessionOptions, owner: SessionOwner) {
    this.#socket = socket;
    this.#options = options;
    this.#owner = owner;
    this.outbound = new Outbound(socket, () => this.#onFlush());
    this.#receiveWindow = Math.max(options.connectionWindow, DEFAULT_WINDOW);
    this.#inbound = new Inbound(this, options.headerListBytes, options.clock);
    this.#sayHello();
    socket.on('data', (chunk: Buffer) => this.#onData(chunk));
    socket.on('drain', () => this.#onDrain());
    socket.on('error', ignore);
    socket.on('close', () => this.#onClose());
    socket.resume();
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** That each stream gives its client. */
  get streamWindow(): number {
    return this.#options.streamWindow;
  }

  // --- what the owner may do ---

  /** The client should go elsewhere; nothing of what it asks is refused yet (§6.8). */
  announceGoodbye(): void {
    if (!this.#isClosing) this.outbound.goaway(LARGEST_WINDOW, ErrorCode.noError);
  }

  /** @param answered what the client has sent before it had it was read. */
  ping(answered: () => void): void {
    this.#pings.push(answered);
    this.outbound.ping();
  }

  /** Takes no further streams, and ends with the last one. */
  close(): void {
    if (this.#isClosing || this.#isOver) return;
    this.#isClosing = true;
    this.#lastAdmitted = this.#lastStream;
    this.outbound.goaway(this.#lastStream, ErrorCode.noError);
    this.#endIfIdle();
  }

  /** Ends it now (§5.4.1). */
  fail(code: number): void {
    if (this.#isOver) return;
    this.outbound.goaway(this.#lastStream, code);
    this.#end();
    this.#owner.onFailed();
  }

  // --- frames from the client ---

  #onData(chunk: Buffer): void {
    if (this.#isOver) return;
    try {
      this.#inbound.read(chunk);
    } catch (error) {
      if (!(error instanceof ConnectionError)) throw error;
      return this.fail(error.code);
    }
    if (this.#begun.length > 0) this.#begin();
    if (this.outbound.backlog > DEAF_BACKLOG) this.#socket.pause();
  }

  #begin(): void {
    const begun = this.#begun;
    this.#begun = [];
    for (const stream of begun) if (!stream.isClosed) this.#owner.onStream(stream);
  }

  get sentUnits(): number {
    return this.outbound.dataUnits;
  }

  onData(id: number, bytes: Buffer, from: number, to: number, frameBytes: number, isLast: boolean): void {
    this.#receiveWindow -= frameBytes;
    if (this.#receiveWindow < 0) throw new ConnectionError(ErrorCode.flowControlError, 'more data than allowed');
    const stream = this.#streams.get(id);
    if (stream === undefined || stream.isRemoteEnded) {
      this.credit(frameBytes);
      if (stream !== undefined) return stream.refuse(ErrorCode.streamClosed);
      return this.#onDataBehindEnd(id);
    }
    if (to > from || isLast) this.#inbound.useful();
    stream.onData(bytes, from, to, frameBytes);
    if (isLast && !stream.isClosed) stream.onRemoteEnd();
  }

  #onDataBehindEnd(id: number): void {
    this.#assertNotIdle(id);
    this.#inbound.noise();
    // It was under way when we ended the stream, or said goodbye.
    const isExpected = id > this.#lastAdmitted || this.#closedStreams.wasReset(id);
    if (!isExpected) this.outbound.reset(id, ErrorCode.streamClosed);
  }

  onSection(id: number, section: FieldSection, isLast: boolean): void {
    const stream = this.#streams.get(id);
    if (stream !== undefined) return this.#onTrailers(stream, section, isLast);
    if (id > this.#lastStream) return this.#onRequest(id, section, isLast);
    this.#inbound.noise();
    // It was under way when we ended the stream.
    if (this.#closedStreams.wasReset(id)) return;
    if (this.#closedStreams.has(id)) throw new ConnectionError(ErrorCode.streamClosed, 'HEADERS on a closed stream');
    // What was never opened cannot be any more (§5.1.1).
    throw wrong('a stream older than the latest');
  }

  #onTrailers(stream: ServerStream, section: FieldSection, isLast: boolean): void {
    if (stream.isRemoteEnded) return stream.refuse(ErrorCode.streamClosed);
    const isGood = isLast && section.bytes <= this.#options.headerListBytes && isTrailerSection(section);
    if (!isGood) return stream.refuse(ErrorCode.protocolError);
    this.#inbound.useful();
    stream.onTrailers(section.fields);
  }

  #onRequest(id: number, section: FieldSection, isLast: boolean): void {
    if (id > this.#lastAdmitted) return this.#inbound.noise();
    this.#lastStream = id;
    if (this.open >= this.#options.maxStreams) return this.#refuse(id, ErrorCode.refusedStream);
    if (section.bytes > this.#options.headerListBytes) return this.#refuse(id, ErrorCode.enhanceYourCalm);
    const head = readRequestHead(section);
    if (head === undefined || (isLast && announcesBody(head))) return this.#refuse(id, ErrorCode.protocolError);
    this.#inbound.useful();
    const stream = new ServerStream(this, id, head, isLast);
    this.#streams.set(id, stream);
    this.open++;
    this.#begun.push(stream);
  }

  /** A request that does not begin (§5.4.2). */
  #refuse(id: number, code: number): void {
    this.outbound.reset(id, code);
    this.#closedStreams.add(id, true);
    this.#owner.onRefused();
  }

  onWindowUpdate(id: number, by: number): void {
    if (id === 0) {
      if (by === 0) throw wrong('a window that grows by 0');
      this.outbound.widen(by);
      return this.outbound.pump();
    }
    const stream = this.#streams.get(id);
    if (stream === undefined) return this.#assertNotIdle(id);
    if (by === 0) return stream.refuse(ErrorCode.protocolError);
    stream.sendWindow += by;
    if (stream.sendWindow > LARGEST_WINDOW) return stream.refuse(ErrorCode.flowControlError);
    this.outbound.pump();
  }

  onRstStream(id: number): void {
    const stream = this.#streams.get(id);
    if (stream === undefined) {
      this.#inbound.noise();
      return this.#assertNotIdle(id);
    }
    stream.onReset();
    // A tunnel may end so: that it was opened has cost the client an answer.
    if (!stream.isTunnel) this.#owner.onReset();
  }

  onBadFrame(id: number, code: number): void {
    const stream = this.#streams.get(id);
    if (stream === undefined) throw new ConnectionError(code, 'a frame of the wrong size');
    stream.refuse(code);
  }

  onSetting(setting: number, value: number): void {
    if (setting === Setting.headerTableSize) this.outbound.encoder.resize(value);
    else if (setting === Setting.maxFrameSize) this.outbound.allowFrames(value);
    else if (setting === Setting.initialWindowSize) this.#moveWindows(value);
  }

  /** §6.9.2 */
  #moveWindows(to: number): void {
    const by = to - this.outbound.streamWindow;
    this.outbound.streamWindow = to;
    for (const stream of this.#streams.values()) {
      stream.sendWindow += by;
      if (stream.sendWindow > LARGEST_WINDOW) {
        throw new ConnectionError(ErrorCode.flowControlError, 'a window too large');
      }
    }
  }

  onSettings(): void {
    this.outbound.acknowledgeSettings();
    this.#owner.onGreeted();
    this.outbound.pump();
  }

  onPing(bytes: Buffer, at: number): void {
    this.outbound.pong(bytes, at);
  }

  onPong(): void {
    const answered = this.#pings.shift();
    if (answered === undefined) this.#inbound.noise();
    else answered();
  }

  /** The client asks no more; what it has asked is answered. */
  onGoaway(): void {
    this.close();
  }

  #assertNotIdle(id: number): void {
    // Behind a GOAWAY streams may have been opened that we did not look at.
    const isIdle = id > this.#lastStream && id <= this.#lastAdmitted;
    if (isIdle || (id & 1) === 0) throw wrong('a frame on a stream that was never opened');
  }

  #sayHello(): void {
    const { maxStreams, streamWindow, connectionWindow, headerListBytes } = this.#options;
    this.outbound.settings([
      [Setting.maxConcurrentStreams, maxStreams],
      [Setting.initialWindowSize, streamWindow],
      [Setting.maxHeaderListSize, headerListBytes],
      [Setting.enableConnectProtocol, 1],
    ]);
    if (connectionWindow > DEFAULT_WINDOW) this.outbound.windowUpdate(0, connectionWindow - DEFAULT_WINDOW);
  }

  /** The client may send so much more, on whatever stream. */
  credit(bytes: number): void {
    this.#credit += bytes;
    if (2 * this.#credit < this.#options.connectionWindow || this.#isOver) return;
    this.#receiveWindow += this.#credit;
    this.outbound.windowUpdate(0, this.#credit);
    this.#credit = 0;
  }

  // --- streams that end ---

  /** The answer is whole, the request is not. Clients are known that lose an answer which comes together with a reset. */
  resetSoon(id: number): void {
    this.#options.clock.after(ANSWER_FIRST_MS, () => {
      if (!this.#isOver) this.outbound.reset(id, ErrorCode.noError);
    });
  }

  /** A stream was ended for what its client did. */
  onStreamError(): void {
    this.#owner.onRefused();
  }

  onStreamClosed(stream: ServerStream): void {
    if (!this.#streams.delete(stream.id)) return;
    this.open--;
    const isResetByUs = stream.closedBy === 'gateway' || (stream.closedBy === 'end' && !stream.isRemoteEnded);
    this.#closedStreams.add(stream.id, isResetByUs);
    this.#closed.push(stream);
    this.outbound.schedule();
  }

  // --- turns ---

  #onFlush(): void {
    this.#tellClosed();
    if (!this.#isOver) this.#endIfIdle();
  }

  #tellClosed(): void {
    const closed = this.#closed;
    if (closed.length === 0) return;
    this.#closed = [];
    for (const stream of closed) {
      stream.owner?.onClosed();
      this.#owner.onStreamClosed(stream);
    }
  }

  #onDrain(): void {
    if (this.#socket.isPaused()) this.#socket.resume();
    this.outbound.pump();
  }

  #endIfIdle(): void {
    if (this.#isClosing && this.open === 0 && this.#closed.length === 0) this.#end();
  }

  /** What was written leaves; what still comes is dropped. */
  #end(): void {
    this.#isOver = true;
    this.#inbound.stop();
    this.outbound.finish();
    this.#socket.end();
    // Unread bytes would make a reset of the end, and cost the client our last words.
    this.#socket.resume();
    this.#abandonStreams();
  }

  #onClose(): void {
    this.#isOver = true;
    this.#inbound.stop();
    this.outbound.discard();
    this.#abandonStreams();
    this.#owner.onClosed();
  }

  #abandonStreams(): void {
    for (const stream of [...this.#streams.values()]) stream.onReset();
    this.#tellClosed();
  }
}

function announcesBody({ contentLength }: RequestHead): boolean {
  return contentLength !== undefined && contentLength > 0;
}

function wrong(what: string): ConnectionError {
  return new ConnectionError(ErrorCode.protocolError, what);
}

function ignore(): void {}
