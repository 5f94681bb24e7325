/**
 * The streams of an HTTP/2 session, kept so that dead ones cost nothing. Node keeps them in a Map and a Set, whose tables are
 * replaced as they shrink and grow; an outgrown table still leads to the next. Once one has grown old, V8's scavenger takes
 * whatever its successors ever held for reachable, and copies dead streams, with all that hangs on them, into the old
 * generation: under load most of them (docs/decisions/0026). Here they lie in places that are used again.
 */
import type { Http2Session, Http2Stream } from 'node:http2';
import { RecentSlots } from './recent-slots.ts';

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
  state.streams = new RecentSlots<Http2Stream>();
  state.pendingStreams = new FewStreams();
  return true;
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
