/**
 * Who may speak HTTP on a listener, decided in this order: the PROXY protocol header says who the client is, limits say
 * whether there is room for it, and only then is a handshake worth its cost. The handshake says which HTTP is spoken; without
 * one, the first bytes do.
 */
import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { ListenerConfig } from '../config/schema.ts';
import { GatewayError, type ErrorType } from '../errors.ts';
import type { ConnectionTable } from '../memory/connection-table.ts';
import { ERROR_TYPES } from '../memory/metric-table.ts';
import { ClientConnection, plainAddress } from './client-connection.ts';
import { networkOf } from '../client-network.ts';
import { connectionAge } from './connection-lifetime.ts';
import type { DataContext } from './context.ts';
import { descriptorOf, HIGHEST_DESCRIPTOR } from './descriptors.ts';
import { PrefaceReader } from './h2/preface.ts';
import { compileNetworks, type Networks } from './match/networks.ts';
import { problemBytes } from './problem.ts';
import { ProxyHeaderReader } from './proxy-header-reader.ts';
import type { Proxied } from './proxy-protocol.ts';
import type { Rule } from './rule.ts';

/** What admission needs of its thread. */
export interface AdmissionHost {
  readonly context: DataContext;
  readonly connections: ConnectionTable;
  /** Stands for the route of connections that never got to a request. */
  readonly noRoute: Rule;
}

export interface AdmissionEvents {
  /** Before a connection is judged: brings to the latest generation what a connection depends on. @returns whom it trusts. */
  onConnection(): Networks;
  /** HTTP/1.1 begins; Node has the connection. */
  onHttp1(client: ClientConnection): void;
  /** HTTP/2 begins, where it is spoken. */
  readonly onHttp2: ((client: ClientConnection) => void) | undefined;
}

export class Admission {
  readonly #host: AdmissionHost;
  readonly #config: ListenerConfig;
  readonly #events: AdmissionEvents;
  /** As they came, below TLS. */
  readonly #sockets = new Set<Socket>();

  constructor(host: AdmissionHost, config: ListenerConfig, events: AdmissionEvents) {
    this.#host = host;
    this.#config = config;
    this.#events = events;
  }

  /** From now on the server hears only of what was admitted and speaks HTTP/1.1. */
  guard(server: Server): void {
    const { tls, proxyProtocol } = this.#config;
    if (tls === undefined && proxyProtocol === undefined && this.#events.onHttp2 === undefined) {
      server.on('connection', (socket) => this.#speakHttp1(this.#register(socket)));
      return;
    }
    const enter = takeAway<Socket>(server, 'connection');
    const begin = tls === undefined ? this.#plainly(enter) : this.#securely(enter, server);
    if (proxyProtocol === undefined) server.on('connection', (socket) => begin(socket));
    else server.on('connection', this.#behindProxies(compileNetworks(proxyProtocol.from), begin));
  }

  /** Ends what is left. @returns how many exchanges that cut. */
  cut(): number {
    let cut = 0;
    for (const socket of this.#sockets) {
      cut += ClientConnection.find(socket)?.pending ?? 0;
      socket.destroy();
    }
    return cut;
  }

  // --- ways in ---

  #plainly(enter: (socket: Socket) => void): (socket: Socket, proxied?: Proxied) => void {
    const { onHttp2 } = this.#events;
    const { context } = this.#host;
    const { limits } = this.#config;
    return (socket, proxied) => {
      const client = this.#register(socket, proxied);
      const speakHttp1 = () => {
        enter(socket);
        this.#speakHttp1(client);
      };
      if (onHttp2 === undefined || this.#fullness(client) !== undefined) return speakHttp1();
      const silentMs = Math.min(limits.headersTimeout, connectionAge(limits, context.random));
      const dueAt = context.clock.now() + silentMs;
      new PrefaceReader(socket, context.wheel, dueAt, (isHttp2) => (isHttp2 ? onHttp2(client) : speakHttp1()));
    };
  }

  #securely(enter: (socket: Socket) => void, server: Server): (socket: Socket, proxied?: Proxied) => void {
    const { onHttp2 } = this.#events;
    const enterHttp1 = takeAway<TLSSocket>(server, 'secureConnection');
    server.on('secureConnection', (socket: TLSSocket) => {
      const client = ClientConnection.find(socketBelow(socket));
      if (client === undefined) return void socket.destroy();
      client.secured(socket);
      if (onHttp2 !== undefined && socket.alpnProtocol === 'h2') return onHttp2(client);
      enterHttp1(socket);
      this.#events.onHttp1(client);
    });
    return (socket, proxied) => {
      // Node reports errors of the handshake; those of the socket below come here as well, and would end the process.
      socket.on('error', ignore);
      const client = this.#register(socket, proxied);
      // Words that the client could read would cost the handshake.
      if (this.#fullness(client) === undefined) enter(socket);
      else socket.destroy();
    };
  }

  #behindProxies(proxies: Networks, begin: (socket: Socket, proxied?: Proxied) => void): (socket: Socket) => void {
    const { context } = this.#host;
    return (socket) => {
      socket.on('error', ignore);
      const { remoteAddress } = socket;
      if (remoteAddress === undefined || !proxies.contains(plainAddress(remoteAddress))) {
        // Without an address it has left already.
        if (remoteAddress !== undefined) this.#count('http_request_denied');
        socket.destroy();
        return;
      }
      this.#hold(socket);
      const dueAt = context.clock.now() + this.#config.limits.headersTimeout;
      new ProxyHeaderReader(socket, context.wheel, dueAt, {
        onHeader: (proxied) => begin(socket, proxied),
        onRefused: () => this.#count('http_request_error'),
      });
    };
  }

  // --- room ---

  /** Node reads from it already: a refusal can be given. */
  #speakHttp1(client: ClientConnection): void {
    this.#events.onHttp1(client);
    const full = this.#fullness(client);
    if (full === undefined) return;
    const detail = `Too many connections (${full}).`;
    const refusal = { detail, retryAfterSeconds: 1 };
    client.socket.end(
      problemBytes(new GatewayError('connection_limit_reached', `${full}: ${client.address}`, refusal)),
    );
    client.socket.destroySoon();
  }

  #register(socket: Socket, proxied?: Proxied): ClientConnection {
    const { connections, context } = this.#host;
    const trusted = this.#events.onConnection();
    const client = new ClientConnection(socket, this.#config.limits.minRate, proxied);
    client.judge(trusted);
    const network = networkOf(client.address);
    connections.opened(context.thread, network);
    context.metrics.downstreamOpened();
    this.#sockets.add(socket);
    socket.on('close', () => {
      this.#sockets.delete(socket);
      connections.closed(context.thread, network);
      context.metrics.downstreamClosed();
    });
    return client;
  }

  /** Which limit the connection that was just taken is beyond. No request of it is ever counted, so it is. */
  #fullness(client: ClientConnection): string | undefined {
    const full = this.#exceeded(client);
    if (full !== undefined) this.#count('connection_limit_reached');
    return full;
  }

  #exceeded(client: ClientConnection): string | undefined {
    const { connections } = this.#host;
    const { limits } = this.#config;
    if (connections.total > limits.connections) return 'limits.connections';
    if (descriptorOf(client.socket) > HIGHEST_DESCRIPTOR) return 'open files of the process';
    const isCounted = !client.trusted && connections.ofAddress(networkOf(client.address)) > limits.connectionsPerClient;
    return isCounted ? 'limits.connectionsPerClient' : undefined;
  }

  /** Not a client's yet, but to be cut with the others. */
  #hold(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket));
  }

  #count(error: ErrorType): void {
    this.#host.context.metrics.error(this.#host.noRoute.row, ERROR_TYPES.indexOf(error));
  }
}

/** Takes away from the server what it does with new connections. @returns what does it, for those that are its own. */
function takeAway<Connection>(server: Server, event: string): (socket: Connection) => void {
  const own = server.listeners(event) as ((socket: Connection) => void)[];
  server.removeAllListeners(event);
  return (socket) => {
    for (const listener of own) listener.call(server, socket);
  };
}

/** Node has no public way from a TLS socket to the one that it was made of. */
function socketBelow(socket: TLSSocket): Socket {
  return (socket as TLSSocket & { readonly _parent: Socket })._parent;
}

function ignore(): void {}
