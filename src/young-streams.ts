/**
 * The streams of an HTTP/2 session, kept so that dead ones cost nothing. Node keeps them in a Map and a Set, whose tables are
 * replaced as they shrink and grow; an outgrown table still leads to the next. Once one has grown old, V8's scavenger takes
 * whatever its successors ever held for reachable, and copies dead streams, with all that hangs on them, into the old
 * generation: under load most of them (docs/decisions/0026). Here they lie in places that are used again.
 */
import type { Http2Session, Http2Stream } from 'node:http2';

/** Above the default of `http2.maxStreams`; a power of two. */
const SLOTS = 128;

/** Where Node keeps what belongs to a session. */
interface SessionState {
  /** By id. */
  streams?: Map<number, Http2Stream>;
  /** Those that have no id yet; each stream is one for a moment. */
  pendingStreams?: Set<Http2Stream>;
}

/**
 * To be called before the session has its first stream.
 * @returns false where Node keeps them in another way, and all stays as it was.
 */
export function keepStreamsYoung(session: Http2Session): boolean {
  const symbol = Object.getOwnPropertySymbols(session).find(({ description }) => description === 'state');
  const state = symbol && (session as unknown as Record<symbol, SessionState | undefined>)[symbol];
  if (state?.streams?.size !== 0 || state.pendingStreams?.size !== 0) return false;
  state.streams = new StreamSlots();
  state.pendingStreams = new FewStreams();
  return true;
}

/** A stream whose slot is taken, by one that has been open for long, lies in the Map that this is. */
class StreamSlots extends Map<number, Http2Stream> {
  readonly #ids = new Int32Array(SLOTS);
  readonly #streams: (Http2Stream | undefined)[] = new Array<undefined>(SLOTS).fill(undefined);
  #used = 0;

  override get size(): number {
    return super.size + this.#used;
  }

  override get(id: number): Http2Stream | undefined {
    const slot = slotOf(id);
    return this.#ids[slot] === id ? this.#streams[slot] : super.get(id);
  }

  override has(id: number): boolean {
    return this.get(id) !== undefined;
  }

  override set(id: number, stream: Http2Stream): this {
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

  override *entries(): MapIterator<[number, Http2Stream]> {
    for (const [slot, id] of this.#ids.entries()) if (id !== 0) yield [id, this.#streams[slot]!];
    yield* super.entries();
  }

  override [Symbol.iterator](): MapIterator<[number, Http2Stream]> {
    return this.entries();
  }

  override *keys(): MapIterator<number> {
    for (const [id] of this.entries()) yield id;
  }

  override *values(): MapIterator<Http2Stream> {
    for (const [, stream] of this.entries()) yield stream;
  }

  override forEach(visit: (stream: Http2Stream, id: number, streams: Map<number, Http2Stream>) => void): void {
    // Whoever is visited may leave.
    for (const [id, stream] of [...this.entries()]) visit(stream, id, this);
  }
}

/** Clients take the odd numbers, one after the other. */
function slotOf(id: number): number {
  return (id >> 1) & (SLOTS - 1);
}

/** The only one has a place of its own; further ones lie in the Set that this is. */
class FewStreams extends Set<Http2Stream> {
  #one: Http2Stream | undefined;

  override get size(): number {
    return super.size + (this.#one === undefined ? 0 : 1);
  }

  override has(stream: Http2Stream): boolean {
    return this.#one === stream || super.has(stream);
  }

  override add(stream: Http2Stream): this {
    if (this.#one !== undefined) return super.add(stream);
    this.#one = stream;
    return this;
  }

  override delete(stream: Http2Stream): boolean {
    // What is not there is not looked for: even that costs a table.
    if (this.#one !== stream) return super.size > 0 && super.delete(stream);
    this.#one = undefined;
    return true;
  }

  override clear(): void {
    this.#one = undefined;
    super.clear();
  }

  override *values(): SetIterator<Http2Stream> {
    if (this.#one !== undefined) yield this.#one;
    yield* super.values();
  }

  override [Symbol.iterator](): SetIterator<Http2Stream> {
    return this.values();
  }

  override keys(): SetIterator<Http2Stream> {
    return this.values();
  }

  override *entries(): SetIterator<[Http2Stream, Http2Stream]> {
    for (const stream of this.values()) yield [stream, stream];
  }

  override forEach(visit: (stream: Http2Stream, again: Http2Stream, streams: Set<Http2Stream>) => void): void {
    for (const stream of [...this.values()]) visit(stream, stream, this);
  }
}
