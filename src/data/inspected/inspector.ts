/**
 * Carries the inspected WebSockets of a generation on @fastify/http-proxy, in a Fastify app that never listens: a client's
 * connection is handed to it as an upgrade, and what it connects to is a leg of ours (docs/decisions/0014). Routes whose
 * library settings are equal share one registration.
 */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import httpProxy from '@fastify/http-proxy';
import fastify, { type FastifyInstance, type FastifyRequest } from 'fastify';
import type { InspectConfig, RouteConfig } from '../../config/schema.ts';
import { attemptDispatch } from '../../upstream/attempt.ts';
import type { DataContext } from '../context.ts';
import type { Dispatch } from '../dispatch.ts';
import type { Exchange } from '../exchange.ts';
import { plainFrames } from './handshake.ts';
import { CLOSING_MS, Link, type Message, type PeerSocket } from './link.ts';
import { compileRates, type Charge } from './message-rate.ts';
import { REDIAL_MS } from './redial.ts';

/** Nobody is there: every connection is made by `createConnection`. */
const NOWHERE = 'http://inspected.invalid';
/** Names the link to `createConnection`, and goes no further: node:http keeps the path to itself. */
const LINK = 'x-inspected-link';
/** The longest interval that a timer knows, for "never". */
const NEVER_MS = 2 ** 31 - 1;
/** What the library was told to do with some of the routes. */
interface Carrier {
  readonly path: string;
  readonly inspect: InspectConfig;
}

/** What the library would connect with. */
interface DialOptions {
  readonly headers: { readonly 'Sec-WebSocket-Key': string; readonly [LINK]: string };
}

interface InspectedRoute {
  readonly carrier: Carrier;
  readonly inspect: InspectConfig;
  readonly chargesOf: (exchange: Exchange) => readonly Charge[];
}

/** What the library's server says of itself to hooks. */
interface WithServer {
  readonly wsProxy: {
    readonly wss: { on(event: 'headers', listener: (lines: string[], req: IncomingMessage) => void): void };
  };
}

export class Inspector {
  readonly #app: FastifyInstance;
  readonly #context: DataContext;
  readonly #routes = new Map<string, InspectedRoute>();
  readonly #links = new Map<string, Link>();
  /** As a reconnect is dialled: without the layers, which have had their say about this exchange. */
  readonly #dispatch: Dispatch;
  #count = 0;

  static async build(routes: readonly RouteConfig[], context: DataContext): Promise<Inspector> {
    const inspector = new Inspector(context);
    const carriers = new Map<string, Carrier>();
    for (const { name, websocket } of routes) {
      const inspect = websocket === false ? undefined : websocket.inspect;
      if (inspect === undefined) continue;
      const key = JSON.stringify([inspect.maxMessage, inspect.maxUpstreamMessage, inspect.reconnect]);
      const carrier = carriers.get(key) ?? { path: `/${carriers.size}`, inspect };
      carriers.set(key, carrier);
      const chargesOf = compileRates([inspect.rate ?? []].flat(), name, context.limits, context.clock);
      inspector.#routes.set(name, { carrier, inspect, chargesOf });
    }
    for (const carrier of carriers.values()) inspector.#register(carrier);
    await inspector.#app.ready();
    return inspector;
  }

  private constructor(context: DataContext) {
    this.#context = context;
    this.#app = fastify({ logger: false, return503OnClosing: false });
    this.#dispatch = plainFrames(attemptDispatch(context));
  }

  /** @param fields of the upstream's 101. */
  open(exchange: Exchange, fields: readonly string[]): Link {
    const { carrier, inspect, chargesOf } = this.#routes.get(exchange.rule.name)!;
    const id = String(this.#count++);
    const parts = { exchange, inspect, fields, charges: chargesOf(exchange), context: this.#context };
    const link = new Link({ ...parts, dispatch: this.#dispatch, onClosed: () => this.#links.delete(id) });
    this.#links.set(id, link);
    // The query goes with it to the library's other socket: by it the hooks know whose it is.
    link.open(`${carrier.path}?${id}`, this.#app.server);
    return link;
  }

  close(): Promise<void> {
    return this.#app.close();
  }

  #register({ path, inspect }: Carrier): void {
    const { reconnect } = inspect;
    const common = { autoPong: false, perMessageDeflate: false, closeTimeout: CLOSING_MS };
    let isPrepared = false;
    this.#app.register(httpProxy, {
      prefix: path,
      upstream: NOWHERE,
      routes: ['/'],
      httpMethods: ['GET'],
      websocket: true,
      preHandler: (_request, reply, done) => {
        // Only from within a request can the library's server be reached.
        if (!isPrepared) (reply as unknown as WithServer).wsProxy.wss.on('headers', this.#addFields);
        isPrepared = true;
        done();
      },
      wsServerOptions: {
        ...common,
        maxPayload: inspect.maxMessage,
        handleProtocols: (_offer: Set<string>, req: IncomingMessage) => this.#linkOf(req.url)?.protocol ?? false,
      },
      wsClientOptions: {
        ...common,
        maxPayload: inspect.maxUpstreamMessage,
        rewriteRequestHeaders: (_headers: unknown, { raw }: FastifyRequest) => ({ [LINK]: idIn(raw.url!) }),
        createConnection: (options: object) => this.#dial(options as DialOptions),
      },
      wsReconnect: {
        // It takes an upstream that waits for a slow client for a dead one: the link pings.
        pingInterval: NEVER_MS,
        reconnectOnClose: reconnect !== undefined,
        // The link ends it sooner, and says why.
        maxReconnectionRetries: (reconnect?.attempts ?? 1) + 1,
        reconnectInterval: reconnect?.interval ?? 100,
        connectionTimeout: 2 * REDIAL_MS,
      },
      wsHooks: {
        onConnect: (_context, source: PeerSocket, target: PeerSocket) => this.#linkOf(target.url)?.join(source, target),
        onReconnect: (_context, source: PeerSocket, target: PeerSocket) =>
          this.#linkOf(target.url)?.join(source, target),
        onIncomingMessage: (_context, _source: PeerSocket, target: PeerSocket, message) =>
          this.#linkOf(target.url)?.onClientMessage(message as Message),
        onOutgoingMessage: (_context, _source: PeerSocket, target: PeerSocket) =>
          this.#linkOf(target.url)?.onUpstreamMessage(),
      },
    });
  }

  readonly #addFields = (lines: string[], req: IncomingMessage): void => {
    this.#linkOf(req.url)?.addFields(lines);
  };

  /** The library connects, for the first time or again. */
  #dial({ headers }: DialOptions): Duplex {
    const link = this.#links.get(headers[LINK]);
    // The library catches it, and finds its client gone.
    if (link === undefined) throw new Error('the WebSocket is closed');
    return link.dial(headers['Sec-WebSocket-Key']);
  }

  /** @param url whose query is the link's id. */
  #linkOf(url: string | undefined): Link | undefined {
    return url === undefined ? undefined : this.#links.get(idIn(url));
  }
}

function idIn(url: string): string {
  return url.slice(url.indexOf('?') + 1);
}
