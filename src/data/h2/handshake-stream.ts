/**
 * The stream of a WebSocket as whoever speaks HTTP/1.1 knows it: a connection on which its request is still to be answered.
 * The head that is written to it becomes the one of the stream; behind it bytes pass as they are, each way no faster than
 * the other side takes them.
 */
import { Duplex } from 'node:stream';

const SWITCHED = /^HTTP\/1\.1 101 /;
const HEAD_END = '\r\n\r\n';

/** What it needs of the request that the stream began with. */
export interface HandshakeOwner {
  agree(fields: readonly string[]): void;
  /** Ends the stream so that the client cannot take what it has for all. */
  reset(): void;
  readonly isClosedInOrder: boolean;
}

export class HandshakeStream extends Duplex {
  readonly #stream: Duplex;
  readonly #owner: HandshakeOwner;
  #isAnswered = false;
  /** The write that waits for the client. */
  #blocked: (() => void) | undefined;

  constructor(stream: Duplex, owner: HandshakeOwner) {
    super();
    this.#stream = stream;
    this.#owner = owner;
    stream.on('data', (bytes: Buffer) => {
      if (!this.push(bytes)) stream.pause();
    });
    stream.on('end', () => this.push(null));
    stream.on('drain', () => this.#unblock());
    stream.on('close', () => {
      this.#unblock();
      // In order, both halves end by themselves.
      if (!owner.isClosedInOrder) this.destroy();
    });
  }

  override _read(): void {
    this.#stream.resume();
  }

  override _write(bytes: Buffer, _encoding: string, done: () => void): void {
    this.#send([bytes], done);
  }

  /** The head and the payload of a frame, say. */
  override _writev(chunks: { chunk: Buffer }[], done: () => void): void {
    this.#send(
      chunks.map(({ chunk }) => chunk),
      done,
    );
  }

  override _final(done: () => void): void {
    this.#stream.end(() => done());
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    const { closed, readableEnded, writableFinished } = this.#stream;
    if (!closed && !(readableEnded && writableFinished)) this.#owner.reset();
    done(error);
  }

  #send(chunks: readonly Buffer[], done: () => void): void {
    if (!this.#isAnswered) return this.#answer(Buffer.concat(chunks), done);
    const stream = this.#stream;
    if (!stream.writable) return done();
    stream.cork();
    let takesMore = true;
    for (const bytes of chunks) takesMore = stream.write(bytes);
    stream.uncork();
    if (takesMore) return done();
    this.#blocked = done;
  }

  /** One write of whoever answers. */
  #answer(bytes: Buffer, done: () => void): void {
    const head = bytes.toString('latin1');
    if (!SWITCHED.test(head) || !head.endsWith(HEAD_END)) return void this.destroy();
    this.#isAnswered = true;
    this.#owner.agree(fieldsOf(head));
    done();
  }

  #unblock(): void {
    const done = this.#blocked;
    this.#blocked = undefined;
    done?.();
  }
}

function fieldsOf(head: string): string[] {
  const [, ...lines] = head.slice(0, -HEAD_END.length).split('\r\n');
  return lines.flatMap((line) => {
    const colon = line.indexOf(':');
    return [line.slice(0, colon), line.slice(colon + 1).trim()];
  });
}
