/**
 * A connection that has left HTTP: what the client and its endpoint say to each other passes as it is, in both directions,
 * each no faster than the other side takes it. It ends with the two, or when it has been silent or open for too long, or
 * with the gateway. Only then does the gateway say a word of its own: a close frame, where the stream has room for one.
 */
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { WebsocketConfig } from '../config/schema.ts';
import type { MetricWriter } from '../memory/metric-table.ts';
import { Deadline } from '../timer-wheel.ts';
import type { Switched } from '../upstream/call.ts';
import type { Transport } from './client-message.ts';
import type { DataContext } from './context.ts';
import type { Exchange } from './exchange.ts';
import { FrameBorders } from './frame-borders.ts';
import type { Upgrade } from './upgrade.ts';

/** An unmasked close frame with 1001, "going away" (RFC 6455 §7.4.1): a client that reads it connects again. */
const GOING_AWAY = Buffer.from([0x88, 2, 1001 >> 8, 1001 & 0xff]);

/** How long a client that was told to go may take to answer. */
export const FAREWELL_MS = 250;

/** How long a connection of which one half is closed may be silent: what is on its way still arrives, more is not expected. */
const HALF_CLOSED_MS = 10_000;

export type TunnelEnd = 'client' | 'upstream' | 'idle' | 'max' | 'drain' | 'ping' | 'message' | 'rate';

/** What an exchange has become that has left HTTP, whether its bytes pass as they are or its messages are looked at. */
export interface Tunnel {
  /** Of the endpoint that it leads to now. */
  readonly row: number;
  readonly openedAt: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** Who or what has ended it. */
  readonly endedBy: TunnelEnd | undefined;
  /** Ends it from our side. */
  leave(endedBy: TunnelEnd): void;
}

/** Those of one data thread, whichever HTTP they came by. */
export class OpenTunnels {
  readonly #metrics: MetricWriter;
  readonly #open = new Set<Tunnel>();

  constructor(metrics: MetricWriter) {
    this.#metrics = metrics;
  }

  opened(tunnel: Tunnel): void {
    this.#open.add(tunnel);
    this.#metrics.upgradeOpened();
  }

  closed(tunnel: Tunnel): void {
    this.#open.delete(tunnel);
    this.#metrics.upgradeClosed();
  }

  /** Tells clients to come back elsewhere. @returns how many there were. */
  leave(): number {
    for (const tunnel of this.#open) tunnel.leave('drain');
    return this.#open.size;
  }

  /** The same, of those that lead to one endpoint. */
  leaveEndpoint(row: number): void {
    for (const tunnel of this.#open) if (tunnel.row === row) tunnel.leave('drain');
  }
}

export type WebsocketLimits = Exclude<WebsocketConfig, false>;

interface TunnelParts {
  readonly row: number;
  readonly context: DataContext;
  readonly upgrade: Upgrade;
  readonly transport: Transport;
  readonly upstream: Switched;
  readonly limits: WebsocketLimits;
  /** Both sides are closed. */
  readonly onClosed: () => void;
}

/** @param fields of the upstream's answer, without those that are for one connection alone. */
export function openTunnel(exchange: Exchange, context: DataContext, fields: readonly string[]): Tunnel {
  const { generation, res, rule, transport } = exchange;
  if ((rule.websocket as WebsocketLimits).inspect !== undefined) return generation.inspector!.open(exchange, fields);
  const upgrade = exchange.upgrade!;
  // Fastify's part is over: it need not stay for as long as the tunnel does.
  exchange.reply = null;
  const limits = rule.websocket as WebsocketLimits;
  const onClosed = () => {
    context.tunnels.closed(tunnel);
    // As Node would, had the answer been in HTTP.
    res.emit('close');
  };
  const { row } = exchange.upstream.endpoint!;
  const tunnel = new RawTunnel({ row, context, upgrade, transport, upstream: upgrade.upstream!, limits, onClosed });
  context.tunnels.opened(tunnel);
  tunnel.open(fields);
  return tunnel;
}

class RawTunnel extends Deadline implements Tunnel {
  readonly row: number;
  readonly openedAt: number;
  bytesIn = 0;
  bytesOut = 0;
  /** Who or what has ended it. */
  endedBy: TunnelEnd | undefined;

  readonly #parts: TunnelParts;
  readonly #client: Duplex;
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
    this.row = parts.row;
    this.#client = parts.upgrade.stream;
    this.#upstream = parts.upstream.socket;
    this.openedAt = parts.context.clock.now();
    this.#lastByteAt = this.openedAt;
  }

  open(fields: readonly string[]): void {
    const { upgrade, upstream } = this.#parts;
    const { rest } = upstream;
    const held = upgrade.release();
    this.#watch();
    this.#client.cork();
    upgrade.agree(fields);
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
    const { transport, context } = this.#parts;
    // One that has stopped reading would not see it in time.
    const isHeard = this.#client.writable && !this.#client.writableNeedDrain;
    if (!isHeard || !this.#borders.admitsFrame) return transport.reset();
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
    // Node tells the end of a stream that was reset, too.
    client.on('end', () => client.destroyed || this.#pass('client', upstream));
    client.on('close', () => this.#onClose('client', this.#parts.upgrade.isClosedInOrder));
    upstream.on('data', this.#toClient);
    upstream.on('drain', () => this.#resume(client));
    upstream.on('end', () => this.#pass('upstream', client));
    upstream.on('close', () => this.#onClose('upstream', upstream.readableEnded && upstream.writableFinished));
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
  #resume(source: Duplex): void {
    this.#lastByteAt = this.#parts.context.clock.now();
    source.resume();
  }

  // --- the end ---

  /** One side has no more to say; the other may have. */
  #pass(side: TunnelEnd, other: Duplex): void {
    this.endedBy ??= side;
    if (other.writable) other.end();
    if (!this.#isLeaving) this.#parts.context.wheel.set(this, this.#due);
  }

  /** @param isInOrder else the other must not take it for an end either. */
  #onClose(side: 'client' | 'upstream', isInOrder: boolean): void {
    this.endedBy ??= side;
    if (!this.#isLeaving && !isInOrder) {
      if (side === 'client') this.#parts.upstream.reset();
      else this.#parts.transport.reset();
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
    if (this.#isLeaving) this.#parts.transport.reset();
    else if (this.#due > now) this.#parts.context.wheel.set(this, this.#due);
    else this.leave(this.#lastByteAt + this.#silenceMs <= now ? 'idle' : 'max');
  }
}
