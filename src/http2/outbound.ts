/**
 * What goes to one client: frames, the windows that it has opened, and whose turn it is. All that is written in one turn of the event loop
 * leaves at its end.
 */
import type { Socket } from 'node:net';
import {
  ConnectionError,
  DEFAULT_FRAME_BYTES,
  DEFAULT_WINDOW,
  ErrorCode,
  Flag,
  FrameType,
  LARGEST_WINDOW,
} from './constants.ts';
import { copyBlock, HpackEncoder } from './hpack/encoder.ts';
import { Output } from './output.ts';
import type { ServerStream } from './stream.ts';

/** Beyond this no more is taken from upstreams, until the kernel has taken it. */
const MOST_BACKLOG = 256 * 1024;

/** Below this a copy costs less than a piece of its own. */
const COPY_BYTES = 4 * 1024;

/** Clients widen their windows for so much at a time. */
const UNIT_BYTES = 4 * 1024;

/** Larger frames to a client would keep its other streams waiting. */
const MOST_FRAME_BYTES = 4 * DEFAULT_FRAME_BYTES;

export class Outbound {
  /** Of a stream that begins. */
  streamWindow = DEFAULT_WINDOW;
  /** Of DATA, as large as the client takes them. */
  frameBytes = DEFAULT_FRAME_BYTES;
  readonly encoder = new HpackEncoder();
  /** What was sent so far: frames of data, a large one as several. */
  dataUnits = 0;

  readonly #output: Output;
  readonly #onFlush: () => void;
  #window = DEFAULT_WINDOW;
  /** Those that wait for a window, or for room. */
  #blocked: ServerStream[] = [];
  #isScheduled = false;
  #isOver = false;

  /** @param onFlush what was written has left for the client. */
  constructor(socket: Socket, onFlush: () => void) {
    this.#output = new Output(socket);
    this.#onFlush = onFlush;
  }

  /** Bytes that the kernel has not taken. */
  get backlog(): number {
    return this.#output.backlog;
  }

  get hasRoom(): boolean {
    return this.#output.backlog < MOST_BACKLOG;
  }

  // --- frames ---

  head(id: number, status: number, fields: readonly string[], isLast: boolean): void {
    this.encoder.begin();
    this.encoder.addStatus(status);
    this.#section(id, fields, isLast);
  }

  trailers(id: number, fields: readonly string[]): void {
    this.encoder.begin();
    this.#section(id, fields, true);
  }

  #section(id: number, fields: readonly string[], isLast: boolean): void {
    for (let at = 0; at < fields.length; at += 2) this.encoder.add(fields[at]!, fields[at + 1]!);
    const length = this.encoder.finish();
    let type: number = FrameType.headers;
    let flags: number = isLast ? Flag.endStream : Flag.none;
    for (let at = 0; at === 0 || at < length; at += DEFAULT_FRAME_BYTES) {
      const size = Math.min(length - at, DEFAULT_FRAME_BYTES);
      if (at + size === length) flags |= Flag.endHeaders;
      this.#frame(size, type, flags, id);
      copyBlock(this.#output, at, size);
      type = FrameType.continuation;
      flags = Flag.none;
    }
  }

  /** The windows must admit it. */
  text(stream: ServerStream, text: string, isLast: boolean): void {
    this.#dataFrame(stream, text.length, isLast);
    this.#output.latin1(text);
  }

  /**
   * One frame of what `bytes` has from `from` on; the windows must admit it.
   * @param done called when a large one is not needed any more; what is small is copied.
   */
  data(stream: ServerStream, bytes: Buffer, from: number, length: number, isLast: boolean, done?: () => void): void {
    this.#dataFrame(stream, length, isLast);
    if (bytes.length < COPY_BYTES) {
      this.#output.copy(bytes, from, length);
      done?.();
    } else this.#output.large(bytes.subarray(from, from + length), done);
  }

  end(stream: ServerStream): void {
    this.#dataFrame(stream, 0, true);
  }

  #dataFrame(stream: ServerStream, length: number, isLast: boolean): void {
    this.dataUnits += 1 + Math.floor(length / UNIT_BYTES);
    this.#window -= length;
    stream.sendWindow -= length;
    this.#frame(length, FrameType.data, isLast ? Flag.endStream : Flag.none, stream.id);
  }

  reset(id: number, code: number): void {
    this.#frame(4, FrameType.rstStream, Flag.none, id);
    this.#output.uint32(code);
  }

  windowUpdate(id: number, by: number): void {
    this.#frame(4, FrameType.windowUpdate, Flag.none, id);
    this.#output.uint32(by);
  }

  settings(pairs: readonly (readonly [setting: number, value: number])[]): void {
    this.#frame(pairs.length * 6, FrameType.settings, Flag.none, 0);
    for (const [setting, value] of pairs) {
      this.#output.uint16(setting);
      this.#output.uint32(value);
    }
  }

  acknowledgeSettings(): void {
    this.#frame(0, FrameType.settings, Flag.ack, 0);
  }

  ping(): void {
    this.#frame(8, FrameType.ping, Flag.none, 0);
    this.#output.uint32(0);
    this.#output.uint32(0);
  }

  pong(bytes: Buffer, at: number): void {
    this.#frame(8, FrameType.ping, Flag.ack, 0);
    this.#output.copy(bytes, at, 8);
  }

  goaway(lastStream: number, code: number): void {
    this.#frame(8, FrameType.goaway, Flag.none, 0);
    this.#output.uint32(lastStream);
    this.#output.uint32(code);
  }

  #frame(length: number, type: number, flags: number, stream: number): void {
    this.#output.frame(length, type, flags, stream);
    this.schedule();
  }

  // --- windows ---

  /** The client has opened that of the connection. */
  widen(by: number): void {
    this.#window += by;
    if (this.#window > LARGEST_WINDOW) throw new ConnectionError(ErrorCode.flowControlError, 'a window too large');
  }

  /** The client's SETTINGS_MAX_FRAME_SIZE. */
  allowFrames(bytes: number): void {
    this.frameBytes = Math.min(bytes, MOST_FRAME_BYTES);
  }

  /** @returns whether so much may leave at once. */
  admits(stream: ServerStream, bytes: number): boolean {
    return bytes <= this.#window && bytes <= stream.sendWindow && this.hasRoom;
  }

  /** @returns how much of it may leave in one frame. */
  admitted(stream: ServerStream, bytes: number): number {
    if (!this.hasRoom) return 0;
    return Math.max(0, Math.min(bytes, this.#window, stream.sendWindow, this.frameBytes));
  }

  await(stream: ServerStream): void {
    if (stream.isBlocked) return;
    stream.isBlocked = true;
    this.#blocked.push(stream);
  }

  /** Lets those that wait have what room there is, a frame each in turn. */
  pump(): void {
    let goesOn = this.#blocked.length > 0;
    while (goesOn && this.hasRoom && !this.#isOver) {
      goesOn = false;
      const round = this.#blocked;
      this.#blocked = [];
      for (const stream of round) {
        stream.isBlocked = false;
        if (stream.pump() && this.#blocked.length > 0) goesOn = true;
      }
    }
  }

  // --- turns ---

  /** At the end of this turn all that was written leaves, and `onFlush` is called. */
  schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(flush, this);
  }

  /** @internal */
  flush(): void {
    this.#isScheduled = false;
    if (!this.#isOver) this.#output.flush();
    this.#onFlush();
    this.pump();
  }

  /** What was written leaves now, and nothing more. */
  finish(): void {
    this.#output.flush();
    this.#isOver = true;
  }

  /** What has not left never will. */
  discard(): void {
    this.#isOver = true;
    this.#output.discard();
  }
}

function flush(outbound: Outbound): void {
  outbound.flush();
}
