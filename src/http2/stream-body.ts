/** What a client sends on a stream, as readables: the body of a request, and both ways of a tunnel. */
import { Duplex, Readable } from 'node:stream';
import { ErrorCode } from './constants.ts';
import type { ServerStream } from './stream.ts';

/** Flows when it is asked to; what waits is bounded by the window of its stream. */
export class StreamBody extends Readable {
  /** Flat; known once it has ended. */
  rawTrailers: readonly string[] | undefined;
  readonly #stream: ServerStream;

  constructor(stream: ServerStream) {
    super();
    this.#stream = stream;
    this.on('error', ignore);
    // Attaching a listener must not start it.
    this.pause();
  }

  override _read(): void {}

  /** Whatever way it is read. */
  override read(size?: number): Buffer | null {
    const bytes = super.read(size) as Buffer | null;
    this.#stream.onRead();
    return bytes;
  }
}

/** Bytes both ways. An end of one half is END_STREAM; a stream that is destroyed is reset. */
export class StreamDuplex extends Duplex {
  readonly #stream: ServerStream;
  /** The write that waits for the client. */
  #blocked: (() => void) | undefined;

  constructor(stream: ServerStream) {
    super();
    this.#stream = stream;
    this.on('error', ignore);
    this.pause();
  }

  /** Whether both sides have said all they had to say. */
  get isClosedInOrder(): boolean {
    return this.readableEnded && this.#stream.closedBy !== 'client' && this.#stream.closedBy !== 'gateway';
  }

  override _read(): void {}

  /** Whatever way it is read. */
  override read(size?: number): Buffer | null {
    const bytes = super.read(size) as Buffer | null;
    this.#stream.onRead();
    return bytes;
  }

  override _write(bytes: Buffer, _encoding: string, done: () => void): void {
    if (this.#stream.write(bytes)) done();
    else this.#blocked = done;
  }

  override _final(done: () => void): void {
    this.#stream.end(undefined, undefined);
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#stream.reset(ErrorCode.cancel);
    this.onDrain();
    done(error);
  }

  onDrain(): void {
    const done = this.#blocked;
    this.#blocked = undefined;
    done?.();
  }
}

function ignore(): void {}
