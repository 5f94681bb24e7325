/**
 * The streams of one HTTP/2 session by their id, so that dead ones cost nothing. The table of a Map is replaced as it shrinks and grows, and
 * an outgrown one still leads to the next: once one has grown old, V8's scavenger copies whatever its successors ever held into the old
 * generation (docs/decisions/0026). Here a stream lies in a slot that is used again.
 */

/** Above the default of `http2.maxStreams`; a power of two. */
const SLOTS = 128;

/** A stream whose slot is taken, by one that has been open for long, lies in the Map that this is. */
export class RecentSlots<Stream> extends Map<number, Stream> {
  readonly #ids = new Int32Array(SLOTS);
  readonly #streams: (Stream | undefined)[] = new Array<undefined>(SLOTS).fill(undefined);
  #used = 0;

  override get size(): number {
    return super.size + this.#used;
  }

  override get(id: number): Stream | undefined {
    const slot = slotOf(id);
    return this.#ids[slot] === id ? this.#streams[slot] : super.get(id);
  }

  override has(id: number): boolean {
    return this.get(id) !== undefined;
  }

  override set(id: number, stream: Stream): this {
    const slot = slotOf(id);
    if (this.#ids[slot] !== 0) return super.set(id, stream);
    this.#ids[slot] = id;
    this.#streams[slot] = stream;
    this.#used++;
    return this;
  }

  override delete(id: number): boolean {
    const slot = slotOf(id);
    if (this.#ids[slot] !== id) return super.delete(id);
    this.#ids[slot] = 0;
    this.#streams[slot] = undefined;
    this.#used--;
    return true;
  }

  override clear(): void {
    for (const id of [...this.keys()]) this.delete(id);
  }

  override *entries(): MapIterator<[number, Stream]> {
    for (const [slot, id] of this.#ids.entries()) if (id !== 0) yield [id, this.#streams[slot]!];
    yield* super.entries();
  }

  override [Symbol.iterator](): MapIterator<[number, Stream]> {
    return this.entries();
  }

  override *keys(): MapIterator<number> {
    for (const [id] of this.entries()) yield id;
  }

  override *values(): MapIterator<Stream> {
    for (const [, stream] of this.entries()) yield stream;
  }

  override forEach(visit: (stream: Stream, id: number, streams: Map<number, Stream>) => void): void {
    // Whoever is visited may leave.
    for (const [id, stream] of [...this.entries()]) visit(stream, id, this);
  }
}

/** Clients take the odd numbers, one after the other. */
function slotOf(id: number): number {
  return (id >> 1) & (SLOTS - 1);
}
