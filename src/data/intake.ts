/**
 * What becomes of a request when its head is there, whichever HTTP it came by: what two parties could read differently is
 * refused before anything is matched; else an exchange begins, on the generation of this moment, and its rule is found.
 */
import type { ListenerLimitsConfig } from '../config/schema.ts';
import { GatewayError } from '../errors.ts';
import { ERROR_TYPES } from '../memory/metric-table.ts';
import type { ClientConnection } from './client-connection.ts';
import type { ClientMessage, ClientResponse, Transport } from './client-message.ts';
import type { DataContext } from './context.ts';
import { Exchange } from './exchange.ts';
import { addForwarding, findClientAddress, RequestIds } from './forwarding.ts';
import type { Generation } from './generation.ts';
import { HeadReader, type RequestHead } from './head.ts';
import { parseAuthority } from './match/authority.ts';
import type { Match } from './match/matcher.ts';
import { compileNetworks, type Networks } from './match/networks.ts';
import { preflightMethod } from './match/origins.ts';
import { encodedSlashError, normaliseTarget, type Target } from './match/target.ts';
import type { Overload } from './overload.ts';
import { renderProblem } from './problem.ts';
import { bodyTooLarge } from './request-body.ts';
import type { Rule } from './rule.ts';
import { awaitTaken } from './untaken.ts';
import type { Upgrade } from './upgrade.ts';

const DEFAULT_PORT = { http: 80, https: 443 } as const;

const EXCHANGE_OF = Symbol('aya.exchange');
type Answer = ClientResponse & Record<typeof EXCHANGE_OF, Exchange>;

/** Where a request was found to belong. */
export interface Destination {
  readonly host: string;
  readonly authority: string;
  readonly port: number;
  readonly path: string;
  readonly routePath: string;
  readonly search: string;
}

/** What it needs of the rest of its thread. */
export interface IntakeHost {
  readonly context: DataContext;
  readonly overload: Overload;
  /** The generation that new requests begin on. */
  readonly current: Generation;
  /** Stands for the route of requests that have none. */
  readonly noRoute: Rule;
  /** Told once for each exchange, when it is over. */
  onEnd(exchange: Exchange): void;
}

export class Intake {
  readonly #host: IntakeHost;
  readonly #limits: ListenerLimitsConfig;
  readonly #ids: RequestIds;

  /** What a reload may change, as the generation has it that was served last. */
  #adopted: Generation | undefined;
  #heads!: HeadReader;
  #requestIdHeader = '';
  #trusted!: Networks;

  constructor(host: IntakeHost, limits: ListenerLimitsConfig) {
    this.#host = host;
    this.#limits = limits;
    this.#ids = new RequestIds(host.context.random);
  }

  /** Proxies that may say who the client is. */
  get trusted(): Networks {
    this.#latest();
    return this.#trusted;
  }

  /** @param upgrade where the client asks for another protocol. */
  take(message: ClientMessage, client: ClientConnection, startedAt: number, upgrade?: Upgrade): void {
    const { context } = this.#host;
    const { req, res, transport } = message;
    const current = this.#latest();
    client.judge(this.#trusted);
    let exchange: Exchange | undefined;
    try {
      const head = this.#heads.read(req, client.trusted);
      const target = normaliseTarget(req.url!, req.method!);
      const id = this.#ids.of(client, head);
      const address = client.trusted ? findClientAddress(client.address, head, this.#isTrusted) : client.address;
      const destination = destinationOf(head, target, client);
      exchange = new Exchange(context, message, client, head, destination, current, startedAt, id, address);
      exchange.rule = this.#host.noRoute;
      if (upgrade !== undefined) {
        exchange.upgrade = upgrade;
        upgrade.exchange = exchange;
      }
      this.#begin(exchange, res);
      if (!context.challenges.answers(exchange)) this.#route(exchange, target, current);
    } catch (error) {
      const refusal = error instanceof GatewayError ? error : this.#bug(error);
      if (exchange === undefined) this.refuse(res, transport, refusal);
      else exchange.fail(refusal);
    }
  }

  /** Outside an exchange. */
  refuse(res: ClientResponse, transport: Transport, error: GatewayError): void {
    const problem = renderProblem(error);
    this.count(error);
    if (!error.close) problem.fields.push('connection', 'close');
    // Not by the answer: one that waits behind another, pipelined, has no socket yet.
    transport.closing = true;
    res.writeHead(problem.status, problem.fields);
    res.end(problem.body);
    awaitTaken(res, transport, this.#host.context, this.#limits.keepAlive);
  }

  /** A refusal that no exchange will tell of. */
  count({ type }: Pick<GatewayError, 'type'>): void {
    this.#host.context.metrics.error(this.#host.noRoute.row, ERROR_TYPES.indexOf(type));
  }

  #latest(): Generation {
    const { current } = this.#host;
    if (current !== this.#adopted) this.#adopt(current);
    return current;
  }

  #adopt(generation: Generation): void {
    this.#adopted = generation;
    const { requestIdHeader, trustedProxies } = generation.settings;
    this.#requestIdHeader = requestIdHeader;
    this.#trusted = compileNetworks(trustedProxies);
    this.#heads = new HeadReader(this.#limits, requestIdHeader);
  }

  readonly #isTrusted = (address: string): boolean => this.#trusted.contains(address);

  #begin(exchange: Exchange, res: ClientResponse): void {
    exchange.client.exchange = exchange;
    exchange.client.pending++;
    exchange.generation.begin();
    this.#host.context.metrics.inFlight(1);
    (res as Answer)[EXCHANGE_OF] = exchange;
    res.on('close', this.#onClose);
  }

  readonly #onClose = closeOf((exchange) => {
    const { client, generation, transport } = exchange;
    if (client.exchange === exchange) client.exchange = null;
    client.pending--;
    transport.expectsContinue = false;
    exchange.end();
    this.#host.context.metrics.inFlight(-1);
    this.#host.onEnd(exchange);
    generation.end();
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
    this.#host.context.decisions.begin(exchange);
    this.#host.overload.admit(match.rule.priority);
    if (target.encodedSlash && !match.rule.allowsEncodedSlashes) throw encodedSlashError();
    const tooLarge = exchange.head.contentLength !== undefined && exchange.head.contentLength > match.rule.maxBodyBytes;
    if (tooLarge) throw bodyTooLarge({ bytes: match.rule.maxBodyBytes, name: 'limits.body' });
    exchange.upgrade?.admit(match.rule);
    match.rule.admit(exchange);
    addForwarding(exchange, this.#requestIdHeader);
    generation.serve(exchange);
  }

  #bug(error: unknown): GatewayError {
    this.#host.context.log.error({ err: error }, 'request failed inside the gateway');
    return new GatewayError('proxy_internal_error', String(error), { cause: error, close: true });
  }
}

/** RFC 9112 §3.2: an absolute target names the host; else the Host field does. */
function destinationOf(head: RequestHead, target: Target, client: ClientConnection): Destination {
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

/** A preflight belongs to the route of the request it asks about, where that route answers preflights (Fetch §4.8). */
function matchPreflight({ method, view }: Exchange, { matcher }: Generation): Match<Rule> | undefined {
  const requested = method === 'OPTIONS' ? preflightMethod(view) : undefined;
  const match = requested === undefined ? undefined : matcher.match(view.withMethod(requested));
  return match?.rule.answersPreflights === true ? match : undefined;
}

/** One listener for all answers: `this` is the answer, so that no closure is made per request. */
function closeOf(end: (exchange: Exchange) => void): (this: ClientResponse) => void {
  return function onClose() {
    end((this as Answer)[EXCHANGE_OF]);
  };
}

/** What came is no request; its connection, or its stream, ends with the answer. */
export function unreadable(detail: string, status: number): GatewayError {
  return new GatewayError('http_request_error', detail, { status, detail, close: true });
}

/** RFC 9110 §10.1.1 */
export function unknownExpectation(): GatewayError {
  return unreadable('only "Expect: 100-continue" can be met', 417);
}
