/** What the gateway knows of one connection from a client; found once, when it opens. */
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { resetSocket } from '../reset.ts';
import type { ConnectionLifetime } from './connection-lifetime.ts';
import { describeCertificate, type ClientCertificate } from './client-certificate.ts';
import type { Transport } from './client-message.ts';
import type { Exchange } from './exchange.ts';
import type { Networks } from './match/networks.ts';
import type { Proxied } from './proxy-protocol.ts';

const CLIENT = Symbol('aya.client');

export class ClientConnection implements Transport {
  /** What HTTP is spoken on. */
  socket: Socket;
  /** The peer, or whom the PROXY protocol names in its place; IPv4-mapped addresses as IPv4. */
  readonly address: string;
  /** The port that it has connected to. */
  readonly port: number;
  /** Whether it is one of `trustedProxies`, as of the latest request. */
  trusted = false;
  scheme: 'http' | 'https' = 'http';
  /** Bytes per second, below which a body is cut off. */
  readonly minRate: number;
  /** What a whole request may take, where it is not Node that sees to it, as in HTTP/1.1. */
  requestMs = Infinity;
  /** In HTTP/1.1, the request under way, if any. */
  exchange: Exchange | null = null;
  /** Requests that wait for the end of their answer. */
  pending = 0;
  /** An answer has said that it is the last: whatever still comes is not looked at. */
  closing = false;
  /** The request under way waits for "100 Continue". */
  expectsContinue = false;
  /** How long it may serve; set when HTTP begins. */
  lifetime!: ConnectionLifetime;

  #judgedBy: Networks | undefined;
  /** As the kernel has it. */
  readonly #transport: Socket;
  readonly #proxied: Proxied | undefined;
  #secure: TLSSocket | undefined;
  /** null: not looked at yet. */
  #certificate: ClientCertificate | undefined | null = null;

  /** @param proxied what the PROXY protocol says, where it is spoken. */
  constructor(socket: Socket, minRate: number, proxied?: Proxied) {
    this.socket = socket;
    this.#transport = socket;
    this.#proxied = proxied;
    this.address = proxied?.address ?? plainAddress(socket.remoteAddress ?? '');
    this.port = proxied?.localPort ?? socket.localPort ?? 0;
    this.minRate = minRate;
    mark(socket, this);
  }

  /** The handshake is over: HTTP is spoken on this. */
  secured(socket: TLSSocket): void {
    // As on plain connections: who has asked may close its half. Before that it would only wait for the timeout.
    socket.allowHalfOpen = true;
    this.socket = socket;
    this.#secure = socket;
    this.scheme = 'https';
    mark(socket, this);
  }

  /** What the client has shown in the handshake, verified or not; read once. */
  get certificate(): ClientCertificate | undefined {
    if (this.#certificate === null) {
      const shown = this.#secure?.getPeerX509Certificate();
      this.#certificate = shown && describeCertificate(shown, this.#secure!.authorized);
    }
    return this.#certificate;
  }

  /** Asks once, and again when a reload has changed whom we trust. */
  judge(trusted: Networks): void {
    if (trusted === this.#judgedBy) return;
    this.#judgedBy = trusted;
    this.trusted = trusted.contains(this.address);
  }

  /** Stands for the host that a request without Host means (HTTP/1.0). */
  get localAddress(): string {
    const address = this.#proxied?.localAddress ?? plainAddress(this.socket.localAddress ?? 'localhost');
    return address.includes(':') ? `[${address}]` : address;
  }

  get bytesRead(): number {
    return this.socket.bytesRead;
  }

  get bytesBefore(): number {
    return this.socket.bytesRead;
  }

  /** Ends it so that the client cannot take what it has for a whole answer. */
  reset(): void {
    // Of TLS only the connection below can be reset.
    resetSocket(this.#transport, this.socket);
  }

  static of(socket: Socket): ClientConnection {
    return ClientConnection.find(socket)!;
  }

  /** None, while it is not known who the client is. */
  static find(socket: Socket): ClientConnection | undefined {
    return (socket as unknown as Record<symbol, ClientConnection | undefined>)[CLIENT];
  }

  static ofRequest(req: IncomingMessage): ClientConnection {
    return ClientConnection.of(req.socket);
  }
}

function mark(socket: Socket, client: ClientConnection): void {
  (socket as unknown as Record<symbol, ClientConnection>)[CLIENT] = client;
}

/** RFC 4291 §2.5.5.2: `::ffff:10.0.0.1` is 10.0.0.1. */
export function plainAddress(address: string): string {
  return address.startsWith('::ffff:') && address.includes('.') ? address.slice(7) : address;
}
