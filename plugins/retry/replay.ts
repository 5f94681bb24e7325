/**
 * The body of a call of gRPC, kept as it streams by. Its length is never announced and its messages may go on for hours, so
 * it cannot be read first; yet most are a few hundred bytes, and a server that shuts down sends back calls that it has not
 * looked at. What was sent of such a one is sent again, and the rest follows.
 */
import { Readable } from 'node:stream';

type Source = Readable & { readonly rawTrailers?: readonly string[] };

export class StreamedCall {
  readonly #source: Source;
  readonly #mostBytes: number;
  /** All that came; undefined once it cannot or need not be sent again. */
  #kept: Buffer[] | undefined = [];
  #keptBytes = 0;
  #ended = false;
  #current: Replay | undefined;

  constructor(source: Source, mostBytes: number) {
    this.#source = source;
    this.#mostBytes = mostBytes;
    // Whoever carries the first try reads the stream itself. It must not begin to flow before.
    source.on('data', this.#onData).on('end', this.#onEnd).pause();
  }

  get canReplay(): boolean {
    return this.#kept !== undefined && (this.#ended || !this.#source.destroyed);
  }

  /** From the first byte, for a further try. The one before has let go. */
  replay(): Readable {
    this.#current = new Replay(this.#source);
    for (const chunk of this.#kept ?? []) this.#current.push(chunk);
    if (this.#ended) this.#current.push(null);
    return this.#current;
  }

  /** There is no further try: the answer has begun, or too much has been sent. */
  forget(): void {
    this.#kept = undefined;
    if (this.#current === undefined) this.#source.off('data', this.#onData).off('end', this.#onEnd);
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#keptBytes += chunk.length;
    if (this.#keptBytes > this.#mostBytes) this.forget();
    this.#kept?.push(chunk);
    if (this.#current?.push(chunk) === false) this.#source.pause();
  };

  readonly #onEnd = (): void => {
    this.#ended = true;
    this.#current?.push(null);
  };
}

/** What a further try reads. */
class Replay extends Readable {
  readonly #source: Source;

  constructor(source: Source) {
    super();
    this.#source = source;
  }

  get rawTrailers(): readonly string[] {
    return this.#source.rawTrailers ?? [];
  }

  override _read(): void {
    this.#source.resume();
  }
}
