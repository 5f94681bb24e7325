/** Bytes of any length in pages of one size, which follow each other by number: nothing is ever moved to make room. */

export const PAGE_BYTES = 1024;

const FREE = 0;
const FREE_COUNT = 1;
/** The first that was never used: until then it costs no memory. */
const UNUSED = 2;
const HEADER_WORDS = 4;

export class CachePages {
  readonly count: number;
  readonly #words: Int32Array;
  /** By page: the next of its chain; 0: none. Numbers begin at 1. */
  readonly #next: Int32Array;
  readonly #bytes: Buffer;

  static bytesFor(pages: number): number {
    return (HEADER_WORDS + pages) * 4 + pages * PAGE_BYTES;
  }

  static needed(bytes: number): number {
    return Math.max(1, Math.ceil(bytes / PAGE_BYTES));
  }

  /** @param offset of its bytes, a multiple of 4. */
  constructor(shared: SharedArrayBuffer, offset: number, pages: number) {
    this.count = pages;
    this.#words = new Int32Array(shared, offset, HEADER_WORDS);
    this.#next = new Int32Array(shared, offset + HEADER_WORDS * 4, pages);
    this.#bytes = Buffer.from(shared, offset + (HEADER_WORDS + pages) * 4, pages * PAGE_BYTES);
  }

  clear(): void {
    this.#words[FREE] = 0;
    this.#words[FREE_COUNT] = this.count;
    this.#words[UNUSED] = 1;
  }

  get free(): number {
    return this.#words[FREE_COUNT]!;
  }

  /** Writes both behind each other, where enough pages are free. @returns the first page. */
  write(head: Buffer, body: Buffer): number {
    const pages = CachePages.needed(head.length + body.length);
    let first = 0;
    let last = 0;
    let done = 0;
    for (let left = pages; left > 0; left--) {
      const page = this.#take();
      if (last === 0) first = page;
      else this.#next[last - 1] = page;
      const end = page * PAGE_BYTES;
      let at = end - PAGE_BYTES;
      if (done < head.length) {
        const copied = head.copy(this.#bytes, at, done, done + PAGE_BYTES);
        done += copied;
        at += copied;
      }
      if (done >= head.length && at < end) {
        done += body.copy(this.#bytes, at, done - head.length, done - head.length + end - at);
      }
      last = page;
    }
    this.#words[FREE_COUNT]! -= pages;
    this.#next[last - 1] = 0;
    return first;
  }

  #take(): number {
    const page = this.#words[FREE]!;
    if (page === 0) return this.#words[UNUSED]!++;
    this.#words[FREE] = this.#next[page - 1]!;
    return page;
  }

  release(first: number, pages: number): void {
    let last = first;
    for (let left = pages; left > 1; left--) last = this.#next[last - 1]!;
    this.#next[last - 1] = this.#words[FREE]!;
    this.#words[FREE] = first;
    this.#words[FREE_COUNT]! += pages;
  }

  /** undefined where the numbers make no sense: the pages are being written by another thread. */
  copy(first: number, from: number, length: number): Buffer | undefined {
    if (length < 0 || from < 0 || from + length > this.#bytes.length) return undefined;
    const copy = Buffer.allocUnsafe(length);
    let page = first;
    let skip = from;
    for (; skip >= PAGE_BYTES && this.#exists(page); skip -= PAGE_BYTES) page = this.#next[page - 1]!;
    for (let done = 0; done < length; page = this.#next[page - 1]!) {
      if (!this.#exists(page)) return undefined;
      const start = (page - 1) * PAGE_BYTES + skip;
      done += this.#bytes.copy(copy, done, start, Math.min(page * PAGE_BYTES, start + length - done));
      skip = 0;
    }
    return copy;
  }

  #exists(page: number): boolean {
    return page > 0 && page <= this.count;
  }
}
