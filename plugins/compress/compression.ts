/**
 * A body on its way through an encoder: one write under way, one waiting, and the source is stopped beyond that. What comes
 * in drops is gathered, and what is in the encoder is flushed as soon as nothing follows, so that no byte of a slow answer
 * is held back for the sake of a better ratio.
 */
import type { Encoder, EncoderStream } from './encoders.ts';

export interface CompressionSink {
  onCompressed(bytes: Buffer): void;
  /** It takes more, after `add` said otherwise. */
  onRoom(): void;
  /** All that was added has come out. */
  onFinished(): void;
  onFailed(error: Error): void;
}

/** Below this a copy costs less than a buffer that is not free for the next read. */
const KEEP_FROM_BYTES = 16 * 1024;
const PAGE_BYTES = 16 * 1024;
const MOST_WAITING_BYTES = 32 * 1024;

interface Piece {
  readonly bytes: Buffer;
  /** Of bytes that are not ours. */
  readonly release: (() => void) | undefined;
}

export class Compression {
  readonly #sink: CompressionSink;
  readonly #stream: EncoderStream;
  readonly #flushKind: number;
  readonly #waiting: Piece[] = [];
  #waitingBytes = 0;
  /** What came in drops, and how much of it is filled. */
  #page: Buffer | undefined;
  #filled = 0;
  #underWay: Piece | undefined;
  #busy = false;
  #scheduled = false;
  #isFull = false;
  /** The encoder may hold something back. */
  #unflushed = false;
  #finishing = false;
  #over = false;

  constructor(encoder: Encoder, sink: CompressionSink) {
    this.#sink = sink;
    this.#flushKind = encoder.flushKind;
    this.#stream = encoder
      .open()
      .on('data', (bytes: Buffer) => this.#sink.onCompressed(bytes))
      .on('end', () => this.#sink.onFinished())
      .on('error', (error: Error) => this.#sink.onFailed(error));
  }

  /** @param keep lets the bytes outlive this call. @returns whether it takes more; if not, `onRoom` says when. */
  add(bytes: Buffer, keep: () => () => void): boolean {
    this.#waitingBytes += bytes.length;
    if (bytes.length < KEEP_FROM_BYTES) {
      this.#gather(bytes);
      this.#schedule();
    } else {
      this.#sealPage();
      this.#waiting.push({ bytes, release: keep() });
      if (!this.#busy) this.#step();
    }
    this.#isFull = this.#waitingBytes >= MOST_WAITING_BYTES;
    return !this.#isFull;
  }

  /** Nothing more will be added. */
  finish(): void {
    this.#finishing = true;
    if (!this.#busy) this.#step();
  }

  /** The other side takes no more for now; soon `add` will say so too. */
  pause(): void {
    this.#stream.pause();
  }

  resume(): void {
    this.#stream.resume();
  }

  /** Nothing is heard of it from here on. */
  destroy(): void {
    this.#over = true;
    // What is under way is still being read, on another thread: it is the collector's, and nobody's to write over.
    for (const { release } of this.#waiting) release?.();
    this.#waiting.length = 0;
    this.#stream.destroy();
  }

  #gather(bytes: Buffer): void {
    for (let from = 0; from < bytes.length;) {
      this.#page ??= Buffer.allocUnsafeSlow(PAGE_BYTES);
      const copied = bytes.copy(this.#page, this.#filled, from);
      from += copied;
      this.#filled += copied;
      if (this.#filled === PAGE_BYTES) this.#sealPage();
    }
  }

  #sealPage(): void {
    if (this.#page === undefined) return;
    this.#waiting.push({ bytes: this.#page.subarray(0, this.#filled), release: undefined });
    this.#page = undefined;
    this.#filled = 0;
  }

  /** Once everything of one turn of the loop has come in. */
  #schedule(): void {
    if (this.#busy || this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(takeTurn, this);
  }

  takeTurn(): void {
    this.#scheduled = false;
    if (!this.#busy && !this.#over) this.#step();
  }

  #step(): void {
    if (this.#waiting.length === 0) this.#sealPage();
    const piece = this.#waiting.shift();
    if (piece !== undefined) this.#write(piece);
    else if (this.#finishing) this.#end();
    else if (this.#unflushed) this.#flush();
  }

  #write(piece: Piece): void {
    this.#busy = true;
    this.#unflushed = true;
    this.#underWay = piece;
    this.#waitingBytes -= piece.bytes.length;
    // The last one ends the stream with it, which saves a way to the other thread and back.
    if (this.#finishing && this.#waitingBytes === 0) this.#stream.end(piece.bytes, this.#onTaken);
    else this.#stream.write(piece.bytes, this.#onTaken);
    if (!this.#isFull || this.#waitingBytes >= MOST_WAITING_BYTES) return;
    this.#isFull = false;
    this.#sink.onRoom();
  }

  #end(): void {
    this.#busy = true;
    this.#stream.end();
  }

  #flush(): void {
    this.#busy = true;
    this.#unflushed = false;
    this.#stream.flush(this.#flushKind, this.#onTaken);
  }

  readonly #onTaken = (): void => {
    if (this.#over) return;
    this.#underWay?.release?.();
    this.#underWay = undefined;
    if (this.#stream.writableEnded) return;
    this.#busy = false;
    if (this.#waitingBytes > 0 || this.#finishing) this.#step();
    else this.#schedule();
  };
}

function takeTurn(compression: Compression): void {
  compression.takeTurn();
}
