/** The latest streams of a session that are closed. A frame on one of them may have been under way; on an older one it is an error. */

/** More than can be closed in a round trip, mostly. */
const REMEMBERED = 256;

export class ClosedStreams {
  /** A ring of ids; negative where it was we who ended the stream, which the client may not have known. */
  readonly #ids = new Int32Array(REMEMBERED);
  #at = 0;

  add(id: number, isResetByUs: boolean): void {
    this.#ids[this.#at] = isResetByUs ? -id : id;
    this.#at = (this.#at + 1) % REMEMBERED;
  }

  has(id: number): boolean {
    return this.#ids.includes(id) || this.#ids.includes(-id);
  }

  wasReset(id: number): boolean {
    return this.#ids.includes(-id);
  }
}
