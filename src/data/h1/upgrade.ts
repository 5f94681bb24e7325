/**
 * A request of HTTP/1.1 that asks to go on as a WebSocket (RFC 6455 §4). Node has let go of the connection behind the request's
 * head: what comes there is held, so that it can never be taken for another request.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { GatewayError } from '../../errors.ts';
import http from '../../node-http.ts';
import type { Switched } from '../../upstream/call.ts';
import { ClientConnection } from '../client-connection.ts';
import type { Exchange } from '../exchange.ts';
import type { Upgrade } from '../upgrade.ts';

/** The client should not send before it has its answer (RFC 6455 §4.1); what it does send is not read beyond this. */
const MOST_HELD_BYTES = 64 * 1024;

export class Http1Upgrade implements Upgrade {
  /** An answer in HTTP goes here, and is the last on its connection. */
  readonly res: ServerResponse;
  readonly stream: Socket;
  exchange: Exchange | undefined;
  upstream: Switched | undefined;
  readonly #held: Buffer[] = [];
  #heldBytes = 0;

  /** @param head what came with the request's head. */
  constructor(req: IncomingMessage, socket: Socket, head: Buffer) {
    this.stream = socket;
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

  /** What is not carried, or not agreed to, is an ordinary request (RFC 9110 §7.8). */
  admit(): void {}

  refusalOf(): undefined {
    return undefined;
  }

  release(): readonly Buffer[] {
    const { stream } = this;
    stream.off('data', this.#hold);
    stream.off('end', this.#onEnd);
    stream.off('drain', this.#onDrain);
    this.res.detachSocket(stream);
    return this.#held.splice(0);
  }

  agree(fields: readonly string[]): void {
    let head = 'HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n';
    for (let at = 0; at < fields.length; at += 2) head += `${fields[at]}: ${fields[at + 1]}\r\n`;
    this.stream.write(`${head}\r\n`, 'latin1');
  }

  releaseAsHttp1(): Socket {
    const held = this.release();
    // Read when the other side is there: what comes before would be kept without a bound.
    this.stream.pause();
    if (held.length > 0) this.stream.unshift(Buffer.concat(held));
    return this.stream;
  }

  get isClosedInOrder(): boolean {
    return this.stream.readableEnded && this.stream.writableFinished;
  }

  readonly #hold = (bytes: Buffer): void => {
    this.#held.push(bytes);
    this.#heldBytes += bytes.length;
    if (this.#heldBytes >= MOST_HELD_BYTES) this.stream.pause();
  };

  /** Both halves are needed: one that closes its own now has left, or means something else. */
  readonly #onEnd = (): void => {
    if (this.res.headersSent) return;
    const detail = 'The connection was closed for writing before the upgrade was answered.';
    this.exchange?.fail(new GatewayError('http_request_error', detail, { status: 400, detail }));
  };

  // What Node does for the answers of ordinary requests:

  readonly #onAnswered = (): void => this.stream.destroySoon();

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
