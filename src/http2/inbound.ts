/**
 * What comes from one client: frames, each of a form that it may have (RFC 9113 §6), told to the session in its own terms. Which streams they
 * belong to, and whether those may have them, is the session's to know.
 */
import type { Clock } from '../clock.ts';
import {
  ConnectionError,
  DEFAULT_FRAME_BYTES,
  ErrorCode,
  Flag,
  FrameType,
  LARGEST_FRAME_BYTES,
  LARGEST_WINDOW,
  Setting,
} from './constants.ts';
import { FrameReader, type FrameSink } from './frame-reader.ts';
import { HpackDecoder, type FieldSection } from './hpack/decoder.ts';
import { NoiseLimit } from './noise-limit.ts';

export interface InboundSink {
  /** Units of data that were sent to the client so far. */
  readonly sentUnits: number;
  /** @param frameBytes with padding, as windows count. */
  onData(id: number, bytes: Buffer, from: number, to: number, frameBytes: number, isLast: boolean): void;
  /** A head, or trailers. */
  onSection(id: number, section: FieldSection, isLast: boolean): void;
  onRstStream(id: number): void;
  /** A frame whose form is an error of its stream alone (§5.4.2). */
  onBadFrame(id: number, code: number): void;
  onWindowUpdate(id: number, by: number): void;
  onSetting(setting: number, value: number): void;
  /** All of a SETTINGS frame was told. */
  onSettings(): void;
  onPing(bytes: Buffer, at: number): void;
  onPong(): void;
  onGoaway(): void;
}

/** Of a head, beside as many as its bytes need (CVE-2024-27983). */
const SPARE_CONTINUATIONS = 8;

/** In one frame. Each may mean a look at every stream; there are not ten to be set. */
const MOST_SETTINGS = 32;

/** A head that goes on in CONTINUATION. */
interface OpenHead {
  readonly stream: number;
  readonly flags: number;
  readonly pieces: Buffer[];
  bytes: number;
}

export class Inbound implements FrameSink {
  readonly #sink: InboundSink;
  readonly #headerListBytes: number;
  readonly #reader = new FrameReader(this);
  readonly #decoder = new HpackDecoder();
  readonly #noise: NoiseLimit;
  #greeted = false;
  #head: OpenHead | undefined;

  /** @param headerListBytes of a field section, as HPACK counts. */
  constructor(sink: InboundSink, headerListBytes: number, clock: Clock) {
    this.#sink = sink;
    this.#headerListBytes = headerListBytes;
    this.#noise = new NoiseLimit(clock);
  }

  /** @throws ConnectionError */
  read(chunk: Buffer): void {
    this.#reader.read(chunk);
  }

  /** Nothing more is told. */
  stop(): void {
    this.#reader.stop();
  }

  /** The frame asked for something. */
  useful(): void {
    this.#noise.earn();
  }

  /** The frame asked for nothing. */
  noise(): void {
    this.#noise.count(this.#sink.sentUnits);
  }

  onFrame(type: number, flags: number, id: number, bytes: Buffer, start: number, end: number): void {
    if (!this.#greeted && (type !== FrameType.settings || (flags & Flag.ack) !== 0)) throw wrong('no SETTINGS first');
    if (this.#head !== undefined && (type !== FrameType.continuation || id !== this.#head.stream)) {
      throw wrong('another frame inside a head');
    }
    switch (type) {
      case FrameType.data:
        return this.#onData(flags, id, bytes, start, end);
      case FrameType.headers:
        return this.#onHeaders(flags, id, bytes, start, end);
      case FrameType.continuation:
        return this.#onContinuation(flags, bytes, start, end);
      case FrameType.windowUpdate:
        assertSize(end - start === 4, 'WINDOW_UPDATE');
        this.noise();
        return this.#sink.onWindowUpdate(id, bytes.readUInt32BE(start) & 0x7fffffff);
      case FrameType.rstStream:
        assertSize(end - start === 4, 'RST_STREAM');
        return this.#sink.onRstStream(id);
      case FrameType.settings:
        return this.#onSettings(flags, id, bytes, start, end);
      case FrameType.ping:
        return this.#onPing(flags, id, bytes, start, end);
      case FrameType.goaway:
        if (id !== 0) throw wrong('GOAWAY on a stream');
        assertSize(end - start >= 8, 'GOAWAY');
        this.noise();
        return this.#sink.onGoaway();
      case FrameType.priority:
        return this.#onPriority(id, bytes, start, end);
      case FrameType.pushPromise:
        throw wrong('PUSH_PROMISE from a client');
      default:
        // §4.1: ignored.
        this.noise();
    }
  }

  #onData(flags: number, id: number, bytes: Buffer, start: number, end: number): void {
    const to = end - paddingOf(flags, bytes, start, end);
    const from = (flags & Flag.padded) === 0 ? start : start + 1;
    const isLast = (flags & Flag.endStream) !== 0;
    if (from === to && !isLast) this.noise();
    this.#sink.onData(id, bytes, from, to, end - start, isLast);
  }

  #onHeaders(flags: number, id: number, bytes: Buffer, start: number, end: number): void {
    if ((id & 1) === 0) throw wrong('HEADERS on no stream of a client');
    const to = end - paddingOf(flags, bytes, start, end);
    let from = (flags & Flag.padded) === 0 ? start : start + 1;
    if ((flags & Flag.priority) !== 0) {
      assertSize(to - from >= 5, 'a priority');
      assertNotOwn(id, bytes.readUInt32BE(from));
      from += 5;
    }
    if ((flags & Flag.endHeaders) !== 0) return this.#onSection(flags, id, bytes, from, to);
    // While it waits, what was read with it need not.
    this.#head = { stream: id, flags, pieces: [Buffer.from(bytes.subarray(from, to))], bytes: to - from };
  }

  #onContinuation(flags: number, bytes: Buffer, start: number, end: number): void {
    const head = this.#head;
    if (head === undefined) throw wrong('CONTINUATION on its own');
    head.pieces.push(Buffer.from(bytes.subarray(start, end)));
    head.bytes += end - start;
    const most = this.#headerListBytes;
    const isTooMuch = head.bytes > most || head.pieces.length > most / DEFAULT_FRAME_BYTES + SPARE_CONTINUATIONS;
    if (isTooMuch) throw new ConnectionError(ErrorCode.enhanceYourCalm, 'a head larger than allowed');
    if ((flags & Flag.endHeaders) === 0) return;
    this.#head = undefined;
    this.#onSection(head.flags, head.stream, Buffer.concat(head.pieces, head.bytes), 0, head.bytes);
  }

  #onSection(flags: number, id: number, block: Buffer, from: number, to: number): void {
    // Also where nobody wants it: it changes the table.
    const section = this.#decoder.decode(block, from, to, this.#headerListBytes);
    this.#sink.onSection(id, section, (flags & Flag.endStream) !== 0);
  }

  #onSettings(flags: number, id: number, bytes: Buffer, start: number, end: number): void {
    if (id !== 0) throw wrong('SETTINGS on a stream');
    const isAck = (flags & Flag.ack) !== 0;
    assertSize((end - start) % 6 === 0 && !(isAck && end > start), 'SETTINGS');
    this.noise();
    if (isAck) return;
    if (end - start > MOST_SETTINGS * 6) throw new ConnectionError(ErrorCode.enhanceYourCalm, 'too many settings');
    for (let at = start; at < end; at += 6) this.#onSetting(bytes.readUInt16BE(at), bytes.readUInt32BE(at + 2));
    this.#greeted = true;
    this.#sink.onSettings();
  }

  /** §6.5.2 */
  #onSetting(setting: number, value: number): void {
    if (setting === Setting.enablePush && value > 1) throw wrong('ENABLE_PUSH is 0 or 1');
    if (setting === Setting.initialWindowSize && value > LARGEST_WINDOW) {
      throw new ConnectionError(ErrorCode.flowControlError, 'a window too large');
    }
    const isFrameSize = value >= DEFAULT_FRAME_BYTES && value <= LARGEST_FRAME_BYTES;
    if (setting === Setting.maxFrameSize && !isFrameSize) throw wrong('a frame size that none may have');
    this.#sink.onSetting(setting, value);
  }

  #onPing(flags: number, id: number, bytes: Buffer, start: number, end: number): void {
    if (id !== 0) throw wrong('PING on a stream');
    assertSize(end - start === 8, 'PING');
    if ((flags & Flag.ack) !== 0) return this.#sink.onPong();
    this.noise();
    this.#sink.onPing(bytes, start);
  }

  /** Who comes first is ours to say, as RFC 9113 §5.3.2 has it. */
  #onPriority(id: number, bytes: Buffer, start: number, end: number): void {
    if (id === 0) throw wrong('PRIORITY on no stream');
    this.noise();
    if (end - start !== 5) return this.#sink.onBadFrame(id, ErrorCode.frameSizeError);
    assertNotOwn(id, bytes.readUInt32BE(start));
  }
}

/** §6.1. @returns without the byte that says how much it is. */
function paddingOf(flags: number, bytes: Buffer, start: number, end: number): number {
  if ((flags & Flag.padded) === 0) return 0;
  const padding = bytes[start]!;
  if (start === end || start + 1 + padding > end) throw wrong('padding longer than its frame');
  return padding;
}

function assertSize(isRight: boolean, frame: string): void {
  if (!isRight) throw new ConnectionError(ErrorCode.frameSizeError, `${frame} of the wrong size`);
}

function assertNotOwn(id: number, dependency: number): void {
  if ((dependency & 0x7fffffff) === id) throw wrong('a stream that depends on itself');
}

function wrong(what: string): ConnectionError {
  return new ConnectionError(ErrorCode.protocolError, what);
}
