/** What the gateway knows of one connection from a client; found once, when it opens. */
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Exchange } from './exchange.ts';
import type { Networks } from './match/networks.ts';

const CLIENT = Symbol('aya.client');

export class ClientConnection {
  readonly socket: Socket;
  /** The peer, IPv4-mapped addresses as IPv4. */
  readonly address: string;
  readonly port: number;
  /** Whether it is one of `trustedProxies`, as of the latest request. */
  trusted = false;
  readonly scheme = 'http' as const;
  /** Bytes per second, below which a body is cut off. */
  readonly minRate: number;
  /** The request under way, if any. */
  exchange: Exchange | null = null;
  /** An answer has said that it is the last: whatever still comes is not looked at. */
  closing = false;
  /** The request under way waits for "100 Continue". */
  expectsContinue = false;

  #judgedBy: Networks | undefined;

  constructor(socket: Socket, minRate: number) {
    this.socket = socket;
    this.address = plainAddress(socket.remoteAddress ?? '');
    this.port = socket.localPort ?? 0;
    this.minRate = minRate;
    (socket as unknown as Record<symbol, ClientConnection>)[CLIENT] = this;
  }

  /** Asks once, and again when a reload has changed whom we trust. */
  judge(trusted: Networks): void {
    if (trusted === this.#judgedBy) return;
    this.#judgedBy = trusted;
    this.trusted = trusted.contains(this.address);
  }

  /** Stands for the host that a request without Host means (HTTP/1.0). */
  get localAddress(): string {
    const address = plainAddress(this.socket.localAddress ?? 'localhost');
    return address.includes(':') ? `[${address}]` : address;
  }

  get bytesRead(): number {
    return this.socket.bytesRead;
  }

  /** Ends it so that the client cannot take what it has for a whole answer. */
  reset(): void {
    this.socket.resetAndDestroy();
  }

  static of(socket: Socket): ClientConnection {
    return (socket as unknown as Record<symbol, ClientConnection>)[CLIENT]!;
  }

  static ofRequest(req: IncomingMessage): ClientConnection {
    return ClientConnection.of(req.socket);
  }
}

/** RFC 4291 §2.5.5.2: `::ffff:10.0.0.1` is 10.0.0.1. */
export function plainAddress(address: string): string {
  return address.startsWith('::ffff:') && address.includes('.') ? address.slice(7) : address;
}
