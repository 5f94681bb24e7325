/**
 * A connection that has left HTTP: what the client and its endpoint say to each other passes as it is, in both directions,
 * each no faster than the other side takes it. It ends with the two, or when it has been silent or open for too long, or
 * with the gateway. Only then does the gateway say a word of its own: a close frame, where the stream has room for one.
 */
import type { Socket } from 'node:net';
import type { WebsocketConfig } from '../config/schema.ts';
import { Deadline } from '../timer-wheel.ts';
import type { Switched } from '../upstream/call.ts';
import type { ClientConnection } from './client-connection.ts';
import type { DataContext } from './context.ts';
import type { Exchange } from './exchange.ts';
import { FrameBorders } from './frame-borders.ts';

/** An unmasked close frame with 1001, "going away" (RFC 6455 §7.4.1): a client that reads it connects again. */
const GOING_AWAY = Buffer.from([0x88, 2, 1001 >> 8, 1001 & 0xff]);

/** How long a client that was told to go may take to answer. */
export const FAREWELL_MS = 250;

/** How long a connection of which one half is closed may be silent: what is on its way still arrives, more is not expected. */
const HALF_CLOSED_MS = 10_000;

export type TunnelEnd = 'client' | 'upstream' | 'idle' | 'max' | 'drain' | 'ping' | 'message' | 'rate';

/** What an exchange has become that has left HTTP, whether its bytes pass as they are or its messages are looked at. */
export interface Tunnel {
  readonly openedAt: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** Who or what has ended it. */
  readonly endedBy: TunnelEnd | undefined;
  /** Ends it from our side. */
  leave(endedBy: TunnelEnd): void;
}

export type WebsocketLimits = Exclude<WebsocketConfig, false>;

interface TunnelParts {
  readonly context: DataContext;
  readonly client: ClientConnection;
  readonly upstream: Switched;
  readonly limits: WebsocketLimits;
  /** Both sides are closed. */
  readonly onClosed: () => void;
}

/** @param fields of the upstream's answer, without those that are for one connection alone. */
export function openTunnel(exchange: Exchange, context: DataContext, fields: readonly string[]): Tunnel {
  const { client, generation, res, rule } = exchange;
  if ((rule.websocket as WebsocketLimits).inspect !== undefined) return generation.inspector!.open(exchange, fields);
  const upgrade = exchange.upgrade!;
  const held = upgrade.release();
  // Fastify's part is over: it need not stay for as long as the tunnel does.
  exchange.reply = null;
  const limits = rule.websocket as WebsocketLimits;
  const onClosed = () => {
    context.metrics.upgradeClosed();
    // As Node would, had the answer been in HTTP.
    res.emit('close');
  };
  const tunnel = new RawTunnel({ context, client, upstream: upgrade.upstream!, limits, onClosed });
  context.metrics.upgradeOpened();
  tunnel.open(switchingProtocols(fields), held);
  return tunnel;
}

class RawTunnel extends Deadline implements Tunnel {
  readonly openedAt: number;
  bytesIn = 0;
  bytesOut = 0;
  /** Who or what has ended it. */
  endedBy: TunnelEnd | undefined;

  readonly #parts: TunnelParts;
  readonly #client: Socket;
  readonly #upstream: Socket;
  readonly #borders = new FrameBorders();
  #lastByteAt: number;
  /** Sides that are not closed. */
  #open = 2;
  /** It was we who ended it. */
  #isLeaving = false;

  constructor(parts: TunnelParts) {
    super();
    this.#parts = parts;
    this.#client = parts.client.socket;
    this.#upstream = parts.upstream.socket;
    this.openedAt = parts.context.clock.now();
    this.#lastByteAt = this.openedAt;
  }

  /** @param head the upstream's answer, for the client. @param held what the client has sent already. */
  open(head: string, held: readonly Buffer[]): void {
    const { rest } = this.#parts.upstream;
    this.#watch();
    this.#client.cork();
    this.#client.write(head, 'latin1');
    if (rest.length > 0) this.#toClient(rest);
    this.#client.uncork();
    for (const bytes of held) this.#toUpstream(bytes);
    this.#parts.context.wheel.set(this, this.#due);
  }

  /** Ends it from our side: the client is told, where it is not in the middle of a frame, and has a moment to answer. */
  leave(endedBy: TunnelEnd): void {
    if (this.#isLeaving) return;
    this.#isLeaving = true;
    this.endedBy ??= endedBy;
    this.#upstream.destroy();
    const { client, context } = this.#parts;
    // One that has stopped reading would not see it in time.
    const isHeard = this.#client.writable && !this.#client.writableNeedDrain;
    if (!isHeard || !this.#borders.admitsFrame) return client.reset();
    this.#client.end(GOING_AWAY);
    // What it still sends is dropped, but read: else the end of the connection would be a reset.
    this.#client.resume();
    context.wheel.set(this, context.clock.now() + FAREWELL_MS);
  }

  // --- the two directions ---

  #watch(): void {
    const client = this.#client;
    const upstream = this.#upstream;
    client.on('data', this.#toUpstream);
    client.on('drain', () => this.#resume(upstream));
    client.on('end', () => this.#pass('client', upstream));
    client.on('close', () => this.#onClose('client', client));
    upstream.on('data', this.#toClient);
    upstream.on('drain', () => this.#resume(client));
    upstream.on('end', () => this.#pass('upstream', client));
    upstream.on('close', () => this.#onClose('upstream', upstream));
    client.resume();
    upstream.resume();
  }

  readonly #toUpstream = (bytes: Buffer): void => {
    // What comes behind our own end is dropped.
    if (!this.#upstream.writable) return;
    this.bytesIn += bytes.length;
    this.#lastByteAt = this.#parts.context.clock.now();
    if (!this.#upstream.write(bytes)) this.#client.pause();
  };

  readonly #toClient = (bytes: Buffer): void => {
    if (!this.#client.writable) return;
    this.bytesOut += bytes.length;
    this.#lastByteAt = this.#parts.context.clock.now();
    this.#borders.pass(bytes);
    if (!this.#client.write(bytes)) this.#upstream.pause();
  };

  /** The other side has taken all it was sent. */
  #resume(source: Socket): void {
    this.#lastByteAt = this.#parts.context.clock.now();
    source.resume();
  }

  // --- the end ---

  /** One side has no more to say; the other may have. */
  #pass(side: TunnelEnd, other: Socket): void {
    this.endedBy ??= side;
    if (other.writable) other.end();
    if (!this.#isLeaving) this.#parts.context.wheel.set(this, this.#due);
  }

  #onClose(side: 'client' | 'upstream', socket: Socket): void {
    this.endedBy ??= side;
    // Not in good order: then the other must not take it for an end either.
    if (!this.#isLeaving && !(socket.readableEnded && socket.writableFinished)) {
      if (side === 'client') this.#parts.upstream.reset();
      else this.#parts.client.reset();
    }
    if (--this.#open > 0) return;
    this.#parts.context.wheel.clear(this);
    this.#parts.onClosed();
  }

  // --- time ---

  get #silenceMs(): number {
    const { idle } = this.#parts.limits;
    return this.endedBy === undefined ? idle : Math.min(idle, HALF_CLOSED_MS);
  }

  get #due(): number {
    const { max = Infinity } = this.#parts.limits;
    return Math.min(this.#lastByteAt + this.#silenceMs, this.openedAt + max);
  }

  override onDue(now: number): void {
    if (this.#isLeaving) this.#parts.client.reset();
    else if (this.#due > now) this.#parts.context.wheel.set(this, this.#due);
    else this.leave(this.#lastByteAt + this.#silenceMs <= now ? 'idle' : 'max');
  }
}

function switchingProtocols(fields: readonly string[]): string {
  let head = 'HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n';
  for (let at = 0; at < fields.length; at += 2) head += `${fields[at]}: ${fields[at + 1]}\r\n`;
  return `${head}\r\n`;
}
