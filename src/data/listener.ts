/**
 * The open ports of one data thread. Node parses; what Node lets through that two parties could read differently is
 * refused here (docs: ground of HTTP/1.1), before anything is matched. Sockets outlive generations: a reload moves
 * `current`, and nothing else.
 */
import type { IncomingMessage, Server, ServerOptions, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import type { ListenerConfig, ListenerTlsConfig } from '../config/schema.ts';
import { GatewayError } from '../errors.ts';
import { ERROR_TYPES } from '../memory/metric-table.ts';
import http from '../node-http.ts';
import { Admission, type AdmissionHost } from './admission.ts';
import { ClientConnection } from './client-connection.ts';
import { ConnectionLifetime } from './connection-lifetime.ts';
import { Exchange, type Destination } from './exchange.ts';
import { addForwarding, findClientAddress, RequestIds } from './forwarding.ts';
import type { Generation } from './generation.ts';
import { HalfClosed } from './half-closed.ts';
import { HeadReader, type RequestHead } from './head.ts';
import { parseAuthority } from './match/authority.ts';
import type { Match } from './match/matcher.ts';
import { compileNetworks, type Networks } from './match/networks.ts';
import { preflightMethod } from './match/origins.ts';
import { encodedSlashError, normaliseTarget, type Target } from './match/target.ts';
import type { Overload } from './overload.ts';
import { problemBytes, renderProblem } from './problem.ts';
import { bodyTooLarge } from './request-body.ts';
import type { Rule } from './rule.ts';
import { SecureServer } from './tls.ts';
import { asksForWebSocket, Upgrade } from './upgrade.ts';

const DEFAULT_PORT = { http: 80, https: 443 } as const;

/**
 * Node hands out at once whatever requests one packet holds, each some hundred times the memory of its bytes. A client that
 * is cut asks the rest again (RFC 9112 §9.3.2).
 */
const MOST_PIPELINED = 128;

const EXCHANGE_OF = Symbol('aya.exchange');
type Answer = ServerResponse & Record<typeof EXCHANGE_OF, Exchange>;

/** What the listener needs of the rest of its thread. */
export interface ListenerHost extends AdmissionHost {
  readonly overload: Overload;
  /** The generation that new requests begin on. */
  readonly current: Generation;
  /** Told once for each exchange, when it is over. */
  onEnd(exchange: Exchange): void;
}

export class Listener {
  readonly #host: ListenerHost;
  readonly #config: ListenerConfig;
  readonly #server: Server;
  readonly #admission: Admission;
  /** With TLS, the server's certificates. */
  readonly #secure: SecureServer | undefined;
  /** Its place in the configuration. */
  readonly #index: number;
  readonly #ids: RequestIds;
  #port = 0;

  /** What a reload may change, as the generation has it that was served last. */
  #adopted: Generation | undefined;
  #heads!: HeadReader;
  #requestIdHeader = '';
  #trusted!: Networks;

  constructor(host: ListenerHost, config: ListenerConfig, index: number) {
    this.#host = host;
    this.#config = config;
    this.#index = index;
    this.#ids = new RequestIds(host.context.random);
    this.#secure = config.tls === undefined ? undefined : this.#createSecureServer(config.tls);
    this.#server = this.#secure?.server ?? http.createServer(this.#serverOptions(), this.#onRequest);
    this.#listenTo(this.#server);
    this.#admission = new Admission(host, config, {
      onConnection: () => this.#latestTrusted(),
      onClient: (client) => {
        client.lifetime = new ConnectionLifetime(client, config.limits, host.context);
        client.socket.on('end', () => this.#onHalfClose(client));
      },
    });
    this.#admission.guard(this.#server);
  }

  /** @returns the actual port. */
  listen(reusePort: boolean): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen({ host: this.#config.host, port: this.#config.port, reusePort, backlog: 1024 }, () => {
        this.#server.off('error', reject);
        const address = this.#server.address();
        this.#port = typeof address === 'object' && address !== null ? address.port : 0;
        resolve(this.#port);
      });
    });
  }

  /** Takes no new connections; those without a request end now, the others after their answer. */
  stop(): void {
    this.#server.close();
    this.#server.closeIdleConnections();
  }

  /** Ends the tunnels. @returns how many there were. */
  leaveTunnels(): number {
    return this.#admission.leaveTunnels();
  }

  /** Ends what is left. @returns how many exchanges that cut. */
  cut(): number {
    return this.#admission.cut();
  }

  #serverOptions(): ServerOptions {
    const { limits } = this.#config;
    return {
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
    };
  }

  #createSecureServer(tls: ListenerTlsConfig): SecureServer {
    const identity = this.#host.current.serverIdentities[this.#index]!;
    return new SecureServer(
      this.#serverOptions(),
      tls,
      identity,
      this.#host.context,
      this.#config.limits.headersTimeout,
      this.#onRequest,
    );
  }

  #listenTo(server: Server): void {
    // Counted by the head reader; Node would cut the list in silence.
    server.maxHeadersCount = 0;
    // A client may close its half after asking (RFC 9112 §9.6); whether it is gone is found out in #onHalfClose.
    (server as Server & { httpAllowHalfOpen: boolean }).httpAllowHalfOpen = true;
    server.on('checkContinue', this.#onExpectContinue);
    server.on('checkExpectation', this.#onUnknownExpectation);
    server.on('clientError', this.#onClientError);
    server.on('connect', this.#onConnect);
    server.on('upgrade', this.#onUpgrade);
  }

  // --- connections ---

  #adopt(generation: Generation): void {
    this.#adopted = generation;
    const { requestIdHeader, trustedProxies } = generation.settings;
    this.#requestIdHeader = requestIdHeader;
    this.#trusted = compileNetworks(trustedProxies);
    this.#heads = new HeadReader(this.#config.limits, requestIdHeader);
    const identity = generation.serverIdentities[this.#index];
    if (identity !== undefined) this.#secure?.adopt(identity);
  }

  #latestTrusted(): Networks {
    const { current } = this.#host;
    if (current !== this.#adopted) this.#adopt(current);
    return this.#trusted;
  }

  /** The client has closed its half: it may still wait for its answer. */
  #onHalfClose(client: ClientConnection): void {
    const { exchange } = client;
    if (exchange === null || exchange.upgrade !== undefined) return;
    if (!exchange.req.complete) exchange.abandon(unreadable('the client closed inside its request', 400));
    else if (exchange.streaming) client.reset();
    else if (exchange.req.httpVersion === '1.1') {
      const { clock, wheel } = this.#host.context;
      new HalfClosed(exchange, wheel).onDue(clock.now());
    }
  }

  // --- requests ---

  readonly #onExpectContinue = (req: IncomingMessage, res: ServerResponse): void => {
    ClientConnection.ofRequest(req).expectsContinue = true;
    this.#onRequest(req, res);
  };

  readonly #onUnknownExpectation = (req: IncomingMessage, res: ServerResponse): void => {
    this.#refuse(req, res, unreadable('only "Expect: 100-continue" can be met', 417));
  };

  readonly #onUpgrade = (req: IncomingMessage, socket: Duplex, head: Buffer): void => {
    const upgrade = new Upgrade(req, socket as Socket, head);
    this.#onRequest(req, upgrade.res, upgrade);
  };

  readonly #onRequest = (req: IncomingMessage, res: ServerResponse, upgrade?: Upgrade): void => {
    const { context, overload, current } = this.#host;
    const startedAt = context.clock.now();
    if (current !== this.#adopted) this.#adopt(current);
    const client = ClientConnection.ofRequest(req);
    // What stands behind the last answer of a connection is no request, although Node has read it from the same packet.
    if (client.closing || client.lifetime.isOver) return;
    if (client.lifetime.begin(startedAt)) res.shouldKeepAlive = false;
    if (client.pending >= MOST_PIPELINED) return this.#refuse(req, res, tooManyPipelined());
    client.judge(this.#trusted);
    let exchange: Exchange | undefined;
    try {
      const head = this.#heads.read(req, client.trusted);
      const target = normaliseTarget(req.url!, req.method!);
      const id = this.#ids.of(client, head);
      const address = client.trusted ? findClientAddress(client.address, head, this.#isTrusted) : client.address;
      const destination = this.#destination(head, target, client);
      exchange = new Exchange(context, req, res, client, head, destination, current, startedAt, id, address);
      exchange.rule = this.#host.noRoute;
      if (upgrade !== undefined) {
        exchange.upgrade = upgrade;
        upgrade.exchange = exchange;
      }
      this.#begin(exchange, res);
      if (overload.active) throw overload.refusal();
      this.#route(exchange, target, current);
    } catch (error) {
      const refusal = error instanceof GatewayError ? error : this.#bug(error);
      if (exchange === undefined) this.#refuse(req, res, refusal);
      else exchange.fail(refusal);
    }
  };

  readonly #isTrusted = (address: string): boolean => this.#trusted.contains(address);

  #begin(exchange: Exchange, res: ServerResponse): void {
    exchange.client.exchange = exchange;
    exchange.client.pending++;
    exchange.generation.begin();
    this.#host.context.metrics.inFlight(1);
    (res as Answer)[EXCHANGE_OF] = exchange;
    res.on('close', this.#onClose);
  }

  readonly #onClose = closeOf((exchange) => {
    if (exchange.client.exchange === exchange) exchange.client.exchange = null;
    exchange.client.pending--;
    exchange.client.expectsContinue = false;
    exchange.end();
    this.#host.context.metrics.inFlight(-1);
    this.#host.onEnd(exchange);
    exchange.generation.end();
  });

  #route(exchange: Exchange, target: Target, generation: Generation): void {
    const { method } = exchange;
    // RFC 9110 §9.3.8: TRACE would show a client what was added on the way.
    if (method === 'TRACE')
      throw new GatewayError('http_request_denied', 'TRACE', {
        status: 405,
        detail: 'TRACE is not supported.',
        fields: ['allow', 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS'],
      });
    const match = matchPreflight(exchange, generation) ?? generation.matcher.match(exchange.view);
    if (match === undefined) {
      throw new GatewayError('destination_not_found', `no route for ${method} ${exchange.authority}${exchange.path}`);
    }
    exchange.matched(match);
    if (target.encodedSlash && !match.rule.allowsEncodedSlashes) throw encodedSlashError();
    const tooLarge = exchange.head.contentLength !== undefined && exchange.head.contentLength > match.rule.maxBodyBytes;
    if (tooLarge) throw bodyTooLarge({ bytes: match.rule.maxBodyBytes, name: 'limits.body' });
    match.rule.admit(exchange);
    addForwarding(exchange, this.#requestIdHeader);
    generation.serve(exchange);
  }

  /** RFC 9112 §3.2: an absolute target names the host; else the Host field does. */
  #destination(head: RequestHead, target: Target, client: ClientConnection): Destination {
    const { path, routePath, search } = target;
    const parsed = target.authority ?? (head.host === undefined ? undefined : parseAuthority(head.host));
    if (parsed === undefined && head.host !== undefined) throw unreadable('the Host field is not a host', 400);
    const host = parsed?.host ?? client.localAddress;
    const port = parsed?.port;
    const authority = port === undefined ? host : `${host}:${port}`;
    return {
      host,
      authority,
      port: port ?? (parsed === undefined ? client.port : DEFAULT_PORT[client.scheme]),
      path,
      routePath,
      search,
    };
  }

  // --- refusals outside an exchange ---

  #refuse(req: IncomingMessage, res: ServerResponse, error: GatewayError): void {
    const problem = renderProblem(error);
    this.#host.context.metrics.error(this.#host.noRoute.row, ERROR_TYPES.indexOf(error.type));
    if (!error.close) problem.fields.push('connection', 'close');
    // Not by the answer: one that waits behind another, pipelined, has no socket yet.
    ClientConnection.ofRequest(req).closing = true;
    res.writeHead(problem.status, problem.fields);
    res.end(problem.body);
  }

  readonly #onConnect = (_req: IncomingMessage, socket: Socket): void => {
    socket.end(problemBytes(unreadable('CONNECT is not supported', 405)));
  };

  /** Node could not read what came. The answer, if one can still be given, is the last thing on this connection. */
  readonly #onClientError = (error: NodeJS.ErrnoException & { rawPacket?: Buffer }, socket: Socket): void => {
    const client = ClientConnection.find(socket);
    if (client === undefined) return this.#onHandshakeError(error, socket);
    const { exchange } = client;
    // RFC 9112 §9.6: what stands behind a request that said it was the last is ignored, and its answer still given.
    if (error.code === 'HPE_CLOSED_CONNECTION' && exchange !== null) return;
    const refusal = client.closing ? undefined : parseRefusal(error);
    if (refusal !== undefined) {
      this.#host.context.metrics.error(this.#host.noRoute.row, ERROR_TYPES.indexOf(refusal.type));
      if (exchange !== null) return exchange.abandon(refusal);
      client.closing = true;
      if (socket.writable) socket.write(problemBytes(refusal));
    }
    socket.destroySoon();
  };

  /** A client that only hangs up is none: balancers look whether the port is open. */
  #onHandshakeError(error: NodeJS.ErrnoException, socket: Socket): void {
    const isRefused = isTlsError(error) || ((socket as TLSSocket).authorizationError ?? null) !== null;
    if (isRefused) this.#host.context.metrics.error(this.#host.noRoute.row, ERROR_TYPES.indexOf('tls_protocol_error'));
    socket.destroy();
  }

  #bug(error: unknown): GatewayError {
    this.#host.context.log.error({ err: error }, 'request failed inside the gateway');
    return new GatewayError('proxy_internal_error', String(error), { cause: error, close: true });
  }
}

/** A preflight belongs to the route of the request it asks about, where that route answers preflights (Fetch §4.8). */
function matchPreflight({ method, view }: Exchange, { matcher }: Generation): Match<Rule> | undefined {
  const requested = method === 'OPTIONS' ? preflightMethod(view) : undefined;
  const match = requested === undefined ? undefined : matcher.match(view.withMethod(requested));
  return match?.rule.answersPreflights === true ? match : undefined;
}

/** One listener for all answers: `this` is the answer, so that no closure is made per request. */
function closeOf(end: (exchange: Exchange) => void): (this: ServerResponse) => void {
  return function onClose() {
    end((this as Answer)[EXCHANGE_OF]);
  };
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
      return unreadable('only HTTP/1.0 and HTTP/1.1 are spoken here', 505);
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return unreadable('the request did not arrive in time (limits.headersTimeout, limits.requestTimeout)', 408);
    default:
      return unreadable('the request is not well-formed HTTP/1.1', 400);
  }
}

const isTlsError = ({ code = '' }: NodeJS.ErrnoException) => code.startsWith('ERR_SSL_') || code.startsWith('ERR_TLS_');

function tooManyPipelined(): GatewayError {
  const detail = `More than ${MOST_PIPELINED} requests wait for their answers on this connection.`;
  return new GatewayError('connection_limit_reached', 'too many pipelined requests', { detail, close: true });
}

function unreadable(detail: string, status: number): GatewayError {
  return new GatewayError('http_request_error', detail, { status, detail, close: true });
}
