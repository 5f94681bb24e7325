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
    source.on('data', this.#onData).on('end', this.#onEnd).pause();
  }

  get canReplay(): boolean {
    return this.#kept !== undefined && (this.#ended || !this.#source.destroyed);
  }

  /** From the first byte, for the next try. The one before hears nothing more. */
  replay(): Readable {
    this.#current = new Replay(this.#source);
    for (const chunk of this.#kept ?? []) this.#current.push(chunk);
    if (this.#ended) this.#current.push(null);
    return this.#current;
  }

  /** The answer has begun: there is no further try. */
  forget(): void {
    this.#kept = undefined;
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#keptBytes += chunk.length;
    if (this.#keptBytes > this.#mostBytes) this.#kept = undefined;
    this.#kept?.push(chunk);
    if (this.#current?.push(chunk) === false) this.#source.pause();
  };

  readonly #onEnd = (): void => {
    this.#ended = true;
    this.#current?.push(null);
  };
}

/** What one try reads. */
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
