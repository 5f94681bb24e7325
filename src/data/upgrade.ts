/**
 * The client's side of a request that asks for a WebSocket, until the upstream has agreed or somebody has refused. Node
 * has let go of the connection behind the request's head: what comes there is held, so that it can never be taken for
 * another request, and never reaches an upstream that stays with HTTP.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { GatewayError } from '../errors.ts';
import http from '../node-http.ts';
import type { Switched } from '../upstream/call.ts';
import { ClientConnection } from './client-connection.ts';
import type { Exchange } from './exchange.ts';

/** The client should not send before it has its answer (RFC 6455 §4.1); what it does send is not read beyond this. */
const MOST_HELD_BYTES = 64 * 1024;

export class Upgrade {
  /** An answer in HTTP goes here, and is the last on its connection. */
  readonly res: ServerResponse;
  readonly socket: Socket;
  exchange: Exchange | undefined;
  /** The upstream's side, once it has agreed. */
  upstream: Switched | undefined;
  readonly #held: Buffer[] = [];
  #heldBytes = 0;

  /** @param head what came with the request's head. */
  constructor(req: IncomingMessage, socket: Socket, head: Buffer) {
    this.socket = socket;
    this.res = new http.ServerResponse(req);
    // What follows on the connection is for nobody who speaks HTTP.
    this.res.shouldKeepAlive = false;
    this.res.assignSocket(socket);
    this.res.on('finish', this.#onAnswered);
    socket.on('error', ignore);
    socket.on('drain', this.#onDrain);
    socket.on('end', this.#onEnd);
    socket.on('data', this.#hold);
    if (head.length > 0) this.#hold(head);
  }

  /** Gives the connection away: no answer will be written to it. @returns what the client has sent so far. */
  release(): readonly Buffer[] {
    const { socket } = this;
    socket.off('data', this.#hold);
    socket.off('end', this.#onEnd);
    socket.off('drain', this.#onDrain);
    this.res.detachSocket(socket);
    return this.#held.splice(0);
  }

  readonly #hold = (bytes: Buffer): void => {
    this.#held.push(bytes);
    this.#heldBytes += bytes.length;
    if (this.#heldBytes >= MOST_HELD_BYTES) this.socket.pause();
  };

  /** Both halves are needed: one that closes its own now has left, or means something else. */
  readonly #onEnd = (): void => {
    if (this.res.headersSent) return;
    const detail = 'The connection was closed for writing before the upgrade was answered.';
    this.exchange?.fail(new GatewayError('http_request_error', detail, { status: 400, detail }));
  };

  // What Node does for the answers of ordinary requests:

  readonly #onAnswered = (): void => this.socket.destroySoon();

  readonly #onDrain = (): void => {
    if (this.res.writableNeedDrain) this.res.emit('drain');
  };
}

/**
 * A WebSocket handshake that can be passed on (RFC 6455 §4.1). Anything else that names a protocol is an ordinary request
 * without it (RFC 9110 §7.8): h2c above all, which would carry requests past the gateway.
 */
export function asksForWebSocket(req: IncomingMessage): boolean {
  const { headers } = req;
  if (headers.upgrade?.toLowerCase() !== 'websocket' || headers['sec-websocket-key'] === undefined) return false;
  if (req.method !== 'GET' || req.httpVersion !== '1.1') return false;
  if (headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0') return false;
  const client = ClientConnection.ofRequest(req);
  // Behind an answer that is still to come it could not be answered in its turn.
  return client.pending === 0 && !client.closing && !client.lifetime.isOver;
}

function ignore(): void {}
