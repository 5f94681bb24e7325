/**
 * The connection that @fastify/http-proxy believes it opens to the upstream. Its handshake is one with us: the true one
 * went through the route's layers and the pool, and is over, or under way, when this begins. From the agreement on, bytes
 * pass between the library and the endpoint's socket, each no faster than the other side takes them.
 */
import { createHash } from 'node:crypto';
import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import type { Switched } from '../../upstream/call.ts';

/** RFC 6455 §1.3 */
const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

/** Who the leg is for. */
export interface LegOwner {
  /** Whether the client takes no more for now. */
  readonly isClientFull: boolean;
  onBytes(toUpstream: number, toClient: number): void;
  /** The endpoint takes no more for now, or again. */
  onUpstreamFull(isFull: boolean): void;
  /** The endpoint has closed its half, or all. */
  onUpstreamGone(leg: UpstreamLeg): void;
  onLegClosed(leg: UpstreamLeg): void;
}

export class UpstreamLeg extends Duplex {
  readonly #owner: LegOwner;
  /** Of the handshake that the library asks us for. */
  readonly #key: string;
  #upstream: Socket | undefined;
  #rest: Buffer | undefined;
  /** The library's own handshake has been read to its end, and dropped. */
  #isAsked = false;
  #isFlowing = false;
  #isEnded = false;
  /** The write that waits for the endpoint. */
  #blocked: (() => void) | undefined;

  constructor(owner: LegOwner, key: string) {
    super();
    this.#owner = owner;
    this.#key = key;
    this.on('error', ignore);
    this.on('close', () => owner.onLegClosed(this));
  }

  /** The endpoint has agreed; the library may take this for its answer. */
  agree({ socket, rest }: Switched, protocol: string | undefined): void {
    if (this.destroyed) return void socket.destroy();
    this.#upstream = socket;
    this.#rest = rest;
    socket.on('error', ignore);
    socket.on('data', this.#onData);
    socket.on('drain', this.#onDrain);
    socket.on('end', this.#onEnd);
    socket.on('close', this.#onClose);
    socket.pause();
    this.push(agreement(this.#key, protocol), 'latin1');
  }

  /** Whether what is sent still reaches the endpoint's socket, as far as is known. */
  get isHeard(): boolean {
    return this.#upstream?.writable === true;
  }

  /** No endpoint has agreed. Not within the library's call: it would not hear of it. */
  fail(error: Error): void {
    setImmediate(() => this.destroy(error));
  }

  /** The library listens: before, it would lose what came. */
  flow(): void {
    this.#isFlowing = true;
    const rest = this.#rest;
    this.#rest = undefined;
    if (rest !== undefined && rest.length > 0) this.#onData(rest);
    this.read(0);
    this.resumeUpstream();
  }

  resumeUpstream(): void {
    if (this.#isFlowing && !this.#owner.isClientFull) this.#upstream?.resume();
  }

  // --- from the endpoint ---

  readonly #onData = (bytes: Buffer): void => {
    this.#owner.onBytes(0, bytes.length);
    if (!this.push(bytes) || this.#owner.isClientFull) this.#upstream!.pause();
  };

  override _read(): void {
    this.resumeUpstream();
  }

  readonly #onEnd = (): void => {
    this.#isEnded = true;
    this.#owner.onUpstreamGone(this);
    this.push(null);
  };

  readonly #onClose = (): void => {
    this.#owner.onUpstreamGone(this);
    // In good order the library has the end, behind all that came before it.
    if (!this.#isEnded) this.destroy();
  };

  // --- to the endpoint ---

  override _write(bytes: Buffer, _encoding: string, done: () => void): void {
    this.#send([bytes], done);
  }

  override _writev(chunks: { chunk: Buffer }[], done: () => void): void {
    this.#send(
      chunks.map(({ chunk }) => chunk),
      done,
    );
  }

  #send(chunks: readonly Buffer[], done: () => void): void {
    const upstream = this.#upstream;
    if (!this.#isAsked) {
      // One write of node:http, and nothing but frames behind it.
      this.#isAsked = chunks.at(-1)!.subarray(-4).toString('latin1') === '\r\n\r\n';
      return done();
    }
    if (upstream === undefined || !this.isHeard) return done();
    let takesMore = true;
    upstream.cork();
    for (const bytes of chunks) {
      this.#owner.onBytes(bytes.length, 0);
      takesMore = upstream.write(bytes);
    }
    upstream.uncork();
    if (takesMore) return done();
    this.#blocked = done;
    this.#owner.onUpstreamFull(true);
  }

  readonly #onDrain = (): void => {
    const done = this.#blocked;
    if (done === undefined) return;
    this.#blocked = undefined;
    this.#owner.onUpstreamFull(false);
    done();
  };

  // --- the end ---

  override _final(done: () => void): void {
    this.#upstream?.end();
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#upstream?.destroy();
    done(error);
  }
}

function agreement(key: string, protocol: string | undefined): string {
  const accept = createHash('sha1')
    .update(key + GUID)
    .digest('base64');
  const chosen = protocol === undefined ? '' : `sec-websocket-protocol: ${protocol}\r\n`;
  return `HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: ${accept}\r\n${chosen}\r\n`;
}

function ignore(): void {}
