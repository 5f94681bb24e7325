/**
 * HTTP/1.1 with clients. Node parses; what it lets through that two parties could read differently is refused by the intake,
 * and what it cannot read at all, here. An answer to that is the last thing on its connection.
 */
import type { IncomingMessage, Server, ServerOptions, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import type { ListenerLimitsConfig } from '../../config/schema.ts';
import { GatewayError } from '../../errors.ts';
import http from '../../node-http.ts';
import { ClientConnection } from '../client-connection.ts';
import { ConnectionLifetime } from '../connection-lifetime.ts';
import type { DataContext } from '../context.ts';
import { HalfClosed } from '../half-closed.ts';
import { unknownExpectation, unreadable, type Intake } from '../intake.ts';
import { problemBytes } from '../problem.ts';
import { lateRequest } from '../request-body.ts';
import type { Upgrade } from '../upgrade.ts';
import { asksForWebSocket, Http1Upgrade } from './upgrade.ts';

/**
 * Node hands out at once whatever requests one packet holds, each some hundred times the memory of its bytes. A client that
 * is cut asks the rest again (RFC 9112 §9.3.2).
 */
const MOST_PIPELINED = 128;

const VERSIONS: ReadonlySet<string> = new Set(['1.0', '1.1']);
const OTHER_VERSION = 'only HTTP/1.0 and HTTP/1.1 are spoken in this form';

export class Http1Server {
  readonly server: Server;
  readonly #intake: Intake;
  readonly #limits: ListenerLimitsConfig;
  readonly #context: DataContext;

  /** @param create of what Node speaks HTTP/1.1 on; without it, plain TCP. */
  constructor(
    intake: Intake,
    limits: ListenerLimitsConfig,
    context: DataContext,
    create: (options: ServerOptions) => Server = http.createServer,
  ) {
    this.#intake = intake;
    this.#limits = limits;
    this.#context = context;
    this.server = create({
      maxHeaderSize: limits.headers,
      headersTimeout: limits.headersTimeout,
      requestTimeout: limits.requestTimeout,
      keepAliveTimeout: limits.keepAlive,
      // How much later than its deadline a slow head or body is cut.
      connectionsCheckingInterval: 500,
      // Answered by the head reader, in the same words as everything else.
      requireHostHeader: false,
      noDelay: true,
      shouldUpgradeCallback: asksForWebSocket,
    });
    this.#listenTo(this.server);
  }

  /** HTTP begins on a connection. */
  accept(client: ClientConnection): void {
    client.lifetime = new ConnectionLifetime(client, this.#limits, this.#context);
    client.socket.on('end', () => this.#onHalfClose(client));
  }

  #listenTo(server: Server): void {
    // Counted by the head reader; Node would cut the list in silence.
    server.maxHeadersCount = 0;
    // A client may close its half after asking (RFC 9112 §9.6); whether it is gone is found out in #onHalfClose.
    (server as Server & { httpAllowHalfOpen: boolean }).httpAllowHalfOpen = true;
    server.on('request', this.#onRequest);
    server.on('checkContinue', this.#onExpectContinue);
    server.on('checkExpectation', this.#onUnknownExpectation);
    server.on('clientError', this.#onClientError);
    server.on('connect', this.#onConnect);
    server.on('upgrade', this.#onUpgrade);
  }

  // --- requests ---

  readonly #onRequest = (req: IncomingMessage, res: ServerResponse): void => {
    this.#take(req, res, undefined);
  };

  readonly #onExpectContinue = (req: IncomingMessage, res: ServerResponse): void => {
    ClientConnection.ofRequest(req).expectsContinue = true;
    this.#take(req, res, undefined);
  };

  readonly #onUnknownExpectation = (req: IncomingMessage, res: ServerResponse): void => {
    this.#intake.refuse(res, ClientConnection.ofRequest(req), unknownExpectation());
  };

  readonly #onUpgrade = (req: IncomingMessage, socket: Duplex, head: Buffer): void => {
    const upgrade = new Http1Upgrade(req, socket as Socket, head);
    this.#take(req, upgrade.res, upgrade);
  };

  #take(req: IncomingMessage, res: ServerResponse, upgrade: Upgrade | undefined): void {
    const startedAt = this.#context.clock.now();
    const client = ClientConnection.ofRequest(req);
    // What stands behind the last answer of a connection is no request, although Node has read it from the same packet.
    if (client.closing || client.lifetime.isOver) return;
    if (client.lifetime.begin(startedAt)) res.shouldKeepAlive = false;
    if (client.pending >= MOST_PIPELINED) this.#intake.refuse(res, client, tooManyPipelined());
    // Node reads others as well, HTTP/2.0 among them.
    else if (!VERSIONS.has(req.httpVersion)) this.#intake.refuse(res, client, unreadable(OTHER_VERSION, 505));
    else this.#intake.take({ req, res, body: req, transport: client }, client, startedAt, upgrade);
  }

  readonly #onConnect = (_req: IncomingMessage, socket: Socket): void => {
    socket.end(problemBytes(unreadable('CONNECT is not supported', 405)));
  };

  // --- connections ---

  /** The client has closed its half: it may still wait for its answer. */
  #onHalfClose(client: ClientConnection): void {
    const { exchange } = client;
    if (exchange === null || exchange.upgrade !== undefined) return;
    if (!exchange.req.complete) exchange.abandon(unreadable('the client closed inside its request', 400));
    else if (exchange.streaming) client.reset();
    else if (exchange.req.httpVersion === '1.1') {
      const { clock, wheel } = this.#context;
      new HalfClosed(exchange, wheel).onDue(clock.now());
    }
  }

  /** Node could not read what came. The answer, if one can still be given, is the last thing on this connection. */
  readonly #onClientError = (error: NodeJS.ErrnoException & { rawPacket?: Buffer }, socket: Socket): void => {
    const client = ClientConnection.find(socket);
    if (client === undefined) return this.#onHandshakeError(error, socket);
    const { exchange } = client;
    // RFC 9112 §9.6: what stands behind a request that said it was the last is ignored, and its answer still given.
    if (error.code === 'HPE_CLOSED_CONNECTION' && exchange !== null) return;
    const refusal = client.closing ? undefined : parseRefusal(error);
    if (refusal !== undefined) {
      this.#intake.count(refusal);
      if (exchange !== null) return exchange.abandon(refusal);
      client.closing = true;
      if (socket.writable) socket.write(problemBytes(refusal));
    }
    socket.destroySoon();
  };

  /** A client that only hangs up is none: balancers look whether the port is open. */
  #onHandshakeError(error: NodeJS.ErrnoException, socket: Socket): void {
    const isRefused = isTlsError(error) || ((socket as TLSSocket).authorizationError ?? null) !== null;
    if (isRefused) this.#intake.count({ type: 'tls_protocol_error' });
    socket.destroy();
  }
}

/** @returns undefined when the client has just gone away. */
function parseRefusal(error: NodeJS.ErrnoException & { rawPacket?: Buffer }): GatewayError | undefined {
  if (isTlsError(error)) return undefined;
  switch (error.code) {
    case 'ECONNRESET':
    case 'EPIPE':
    case 'HPE_INVALID_EOF_STATE':
      return undefined;
    case 'HPE_HEADER_OVERFLOW':
      // Without a line end so far it is the target that is too long.
      return error.rawPacket?.includes(10) === false
        ? unreadable('the request target is too long (limits.target)', 414)
        : unreadable('the header block is too large (limits.headers)', 431);
    case 'HPE_INVALID_METHOD':
      return unreadable('unknown method', 501);
    case 'HPE_INVALID_VERSION':
      return unreadable(OTHER_VERSION, 505);
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return lateRequest();
    default:
      return unreadable('the request is not well-formed HTTP/1.1', 400);
  }
}

const isTlsError = ({ code = '' }: NodeJS.ErrnoException) => code.startsWith('ERR_SSL_') || code.startsWith('ERR_TLS_');

function tooManyPipelined(): GatewayError {
  const detail = `More than ${MOST_PIPELINED} requests wait for their answers on this connection.`;
  return new GatewayError('connection_limit_reached', 'too many pipelined requests', { detail, close: true });
}
