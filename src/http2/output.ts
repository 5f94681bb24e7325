/**
 * Frames on their way to one client. All that is written in one turn of the event loop leaves in one write at its end, of whichever
 * streams it is: small frames side by side in a slab, large payloads as they are.
 */
import type { Socket } from 'node:net';
import { FRAME_HEAD_BYTES } from './constants.ts';

const SLAB_BYTES = 32 * 1024;
/** A slab with less room is not begun on again. */
const WORTHWHILE_BYTES = 2 * 1024;

/** Bytes that are written once and never again, so that nobody has to know when they have left. */
interface Slab {
  readonly bytes: Buffer;
  used: number;
}

/** Those with room, of connections that have nothing to send. Idle ones hold none. */
const spare: Slab[] = [];

export class Output {
  readonly #socket: Socket;
  #slab: Slab | undefined;
  /** Where in the slab what has not left begins. */
  #from = 0;
  /** What comes before that. */
  #pieces: Piece[] = [];
  #bytes = 0;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** Bytes that the kernel has not taken. */
  get backlog(): number {
    return this.#bytes + this.#socket.writableLength;
  }

  /** The head of a frame; its payload follows by the calls below. */
  frame(payloadBytes: number, type: number, flags: number, stream: number): void {
    const { bytes, at } = this.#room(FRAME_HEAD_BYTES);
    bytes[at] = payloadBytes >> 16;
    bytes[at + 1] = payloadBytes >> 8;
    bytes[at + 2] = payloadBytes;
    bytes[at + 3] = type;
    bytes[at + 4] = flags;
    bytes[at + 5] = stream >> 24;
    bytes[at + 6] = stream >> 16;
    bytes[at + 7] = stream >> 8;
    bytes[at + 8] = stream;
  }

  uint32(value: number): void {
    const { bytes, at } = this.#room(4);
    bytes.writeUInt32BE(value, at);
  }

  uint16(value: number): void {
    const { bytes, at } = this.#room(2);
    bytes.writeUInt16BE(value, at);
  }

  /** A copy. @param length at most that of a frame. */
  copy(source: Buffer, from: number, length: number): void {
    const { bytes, at } = this.#room(length);
    source.copy(bytes, at, from, from + length);
  }

  latin1(text: string): void {
    const { bytes, at } = this.#room(text.length);
    bytes.write(text, at, 'latin1');
  }

  /** @param done called when they are not needed any more, however that comes about. */
  large(bytes: Buffer, done: (() => void) | undefined): void {
    this.#cut();
    this.#pieces.push({ bytes, done });
    this.#bytes += bytes.length;
  }

  flush(): void {
    if (this.#bytes === 0) return;
    this.#bytes = 0;
    const slab = this.#slab;
    const rest =
      slab === undefined || slab.used === this.#from ? undefined : slab.bytes.subarray(this.#from, slab.used);
    this.#leaveSlab();
    if (this.#pieces.length === 0) return void this.#socket.write(rest!);
    const pieces = this.#pieces;
    this.#pieces = [];
    this.#socket.cork();
    for (const { bytes, done } of pieces) this.#socket.write(bytes, done);
    if (rest !== undefined) this.#socket.write(rest);
    this.#socket.uncork();
  }

  /** What has not left never will. */
  discard(): void {
    const pieces = this.#pieces;
    this.#pieces = [];
    this.#bytes = 0;
    this.#leaveSlab();
    for (const { done } of pieces) done?.();
  }

  #room(bytes: number): { readonly bytes: Buffer; readonly at: number } {
    if (this.#slab === undefined || this.#slab.used + bytes > SLAB_BYTES) this.#takeSlab(bytes);
    const slab = this.#slab!;
    place.bytes = slab.bytes;
    place.at = slab.used;
    slab.used += bytes;
    this.#bytes += bytes;
    return place;
  }

  #takeSlab(bytes: number): void {
    if (this.#slab !== undefined) this.#cut();
    const last = spare.pop();
    const fits = last !== undefined && last.used + bytes <= SLAB_BYTES;
    this.#slab = fits ? last : { bytes: Buffer.allocUnsafeSlow(SLAB_BYTES), used: 0 };
    this.#from = this.#slab.used;
  }

  /** What the slab has so far becomes a piece. */
  #cut(): void {
    const slab = this.#slab;
    if (slab === undefined || slab.used === this.#from) return;
    this.#pieces.push({ bytes: slab.bytes.subarray(this.#from, slab.used), done: undefined });
    this.#from = slab.used;
  }

  #leaveSlab(): void {
    const slab = this.#slab;
    this.#slab = undefined;
    if (slab !== undefined && SLAB_BYTES - slab.used >= WORTHWHILE_BYTES) spare.push(slab);
  }
}

interface Piece {
  readonly bytes: Buffer;
  readonly done: (() => void) | undefined;
}

/** What `#room` returns, used up before the next. */
const place: { bytes: Buffer; at: number } = { bytes: Buffer.alloc(0), at: 0 };
