/** HTTP/2 with clients (RFC 9113): each stream is a request, each connection has bounds of its own. */
import { Readable } from 'node:stream';
import type { Http2Config, ListenerConfig } from '../../config/schema.ts';
import type { GatewayError } from '../../errors.ts';
import type { ServerStream } from '../../http2/stream.ts';
import type { StreamDuplex } from '../../http2/stream-body.ts';
import type { ClientConnection } from '../client-connection.ts';
import type { DataContext } from '../context.ts';
import { unknownExpectation, type Intake } from '../intake.ts';
import { Http2Connection, type Http2Host } from './connection.ts';
import { Http2Request } from './request.ts';
import { Http2Response } from './response.ts';
import { Http2Upgrade } from './upgrade.ts';

/** The body of a request that has none. */
const NOTHING = Readable.from([]).resume();

export class Http2Server implements Http2Host {
  readonly #intake: Intake;
  readonly #config: ListenerConfig;
  readonly #http2: Http2Config;
  readonly #context: DataContext;
  readonly #connections = new Set<Http2Connection>();

  constructor(intake: Intake, config: ListenerConfig, settings: Http2Config, context: DataContext) {
    this.#intake = intake;
    this.#config = config;
    this.#http2 = settings;
    this.#context = context;
  }

  /** HTTP/2 begins on a connection. */
  accept(client: ClientConnection): void {
    const { limits } = this.#config;
    if (limits.requestTimeout > 0) client.requestMs = limits.requestTimeout;
    // Streams have halves; a connection that is closed on one side is over.
    client.socket.allowHalfOpen = false;
    this.#connections.add(new Http2Connection(client, limits, this.#http2, this.#context, this));
  }

  /** Tells clients that their next requests belong on other connections. What is under way goes on. */
  leave(): void {
    for (const connection of this.#connections) connection.leave();
  }

  onStream(stream: ServerStream, client: ClientConnection, startedAt: number): void {
    const res = new Http2Response(stream);
    let req: Http2Request;
    try {
      req = new Http2Request(stream, client.socket, this.#config.limits.headers);
    } catch (error) {
      return this.#intake.refuse(res, res, error as GatewayError);
    }
    const expectation = stream.head.expectation?.toLowerCase();
    res.expectsContinue = expectation === '100-continue';
    if (expectation !== undefined && !res.expectsContinue) return this.#intake.refuse(res, res, unknownExpectation());
    const upgrade = req.isWebSocket
      ? new Http2Upgrade(stream.source as StreamDuplex, req, res, this.#context.random)
      : undefined;
    this.#intake.take({ req, res, body: stream.source ?? NOTHING, transport: res }, client, startedAt, upgrade);
  }

  onRefused(): void {
    this.#intake.count({ type: 'http_request_error' });
  }

  onClosed(connection: Http2Connection): void {
    this.#connections.delete(connection);
  }
}
