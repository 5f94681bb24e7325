/**
 * Lines that wait, in one piece of memory of their own. As objects or as strings they would lie there for several collections
 * of V8's young generation: copied by each, and then old.
 */

/** Of UTF-8, from one UTF-16 unit. */
const MOST_BYTES_EACH = 3;

export class LineBuffer {
  readonly #bytes: Buffer;
  #used = 0;
  #count = 0;

  constructor(capacity: number) {
    this.#bytes = Buffer.allocUnsafeSlow(capacity);
  }

  get count(): number {
    return this.#count;
  }

  /** @returns whether it had room. */
  append(line: string): boolean {
    if (line.length * MOST_BYTES_EACH > this.#bytes.length - this.#used) return false;
    this.#used += this.#bytes.write(line, this.#used);
    this.#count += 1;
    return true;
  }

  /** All of them, which then wait no longer. */
  take(): Uint8Array {
    // A copy of these bytes alone: sent to another thread, a part would take its whole buffer with it.
    const bytes = new Uint8Array(this.#bytes.subarray(0, this.#used));
    this.#used = 0;
    this.#count = 0;
    return bytes;
  }
}
