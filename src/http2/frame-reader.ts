/** Cuts what a client sends into frames (RFC 9113 §4.1). One that came in a single piece is not copied. */
import { ConnectionError, DEFAULT_FRAME_BYTES, ErrorCode, FRAME_HEAD_BYTES, PREFACE } from './constants.ts';

export interface FrameSink {
  /** @param bytes whose payload, from `start` to `end`, may be kept: nothing is written over it. */
  onFrame(type: number, flags: number, stream: number, bytes: Buffer, start: number, end: number): void;
}

/** Of a frame that is not whole. */
const LEAST_BYTES = 64;
const NOTHING = Buffer.alloc(0);

export class FrameReader {
  readonly #sink: FrameSink;
  /** Of the preface. */
  #greeted = 0;
  /** A frame that is not whole yet: its first `#have` bytes are here. */
  #partial: Buffer | undefined;
  #have = 0;
  #isStopped = false;

  constructor(sink: FrameSink) {
    this.#sink = sink;
  }

  /** @throws ConnectionError, also for what the sink throws. */
  read(chunk: Buffer): void {
    let at = this.#greeted < PREFACE.length ? this.#readPreface(chunk) : 0;
    if (this.#partial !== undefined) at = this.#complete(chunk, at);
    while (chunk.length - at >= FRAME_HEAD_BYTES && !this.#isStopped) {
      const start = at + FRAME_HEAD_BYTES;
      const end = start + lengthOf(chunk, at);
      if (end > chunk.length) break;
      this.#hand(chunk, at, end);
      at = end;
    }
    if (at < chunk.length && !this.#isStopped) this.#keep(chunk, at);
  }

  /** Nothing more is handed out. */
  stop(): void {
    this.#isStopped = true;
    this.#partial = undefined;
  }

  #readPreface(chunk: Buffer): number {
    const length = Math.min(chunk.length, PREFACE.length - this.#greeted);
    if (chunk.compare(PREFACE, this.#greeted, this.#greeted + length, 0, length) !== 0) {
      throw new ConnectionError(ErrorCode.protocolError, 'no preface');
    }
    this.#greeted += length;
    return length;
  }

  #hand(bytes: Buffer, at: number, end: number): void {
    this.#sink.onFrame(
      bytes[at + 3]!,
      bytes[at + 4]!,
      bytes.readUInt32BE(at + 5) & 0x7fffffff,
      bytes,
      at + FRAME_HEAD_BYTES,
      end,
    );
  }

  #keep(chunk: Buffer, at: number): void {
    this.#have = 0;
    this.#partial = NOTHING;
    this.#append(chunk, at, chunk.length);
  }

  /** @returns where the next frame begins. */
  #complete(chunk: Buffer, from: number): number {
    let at = from;
    if (this.#have < FRAME_HEAD_BYTES) {
      at = this.#append(chunk, at, at + FRAME_HEAD_BYTES - this.#have);
      if (this.#have < FRAME_HEAD_BYTES) return at;
    }
    const whole = FRAME_HEAD_BYTES + lengthOf(this.#partial!, 0);
    at = this.#append(chunk, at, at + whole - this.#have);
    if (this.#have < whole) return at;
    const frame = this.#partial!;
    this.#partial = undefined;
    this.#hand(frame, 0, whole);
    return at;
  }

  /** Grows as bytes come, not as they are announced. @returns where it has ended. */
  #append(chunk: Buffer, from: number, to: number): number {
    const end = Math.min(to, chunk.length);
    const have = this.#have + end - from;
    if (have > this.#partial!.length) {
      const larger = Buffer.allocUnsafe(Math.max(2 * have, LEAST_BYTES));
      this.#partial!.copy(larger, 0, 0, this.#have);
      this.#partial = larger;
    }
    chunk.copy(this.#partial!, this.#have, from, end);
    this.#have = have;
    return end;
  }
}

function lengthOf(bytes: Buffer, at: number): number {
  const length = bytes.readUIntBE(at, 3);
  if (length > DEFAULT_FRAME_BYTES) throw new ConnectionError(ErrorCode.frameSizeError, 'a frame larger than allowed');
  return length;
}
