/** HTTP/2 with clients (RFC 9113): each stream is a request, each connection has bounds of its own. Node parses. */
import http2, { type IncomingHttpHeaders, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2';
import type { Http2Config, ListenerConfig } from '../../config/schema.ts';
import type { GatewayError } from '../../errors.ts';
import type { ClientConnection } from '../client-connection.ts';
import type { DataContext } from '../context.ts';
import { unknownExpectation, type Intake } from '../intake.ts';
import { Http2Connection } from './connection.ts';
import { Http2Request } from './request.ts';
import { Http2Upgrade } from './upgrade.ts';

/** Nonsense that Node answers by itself, on one connection. */
const MOST_INVALID_FRAMES = 100;
const MOST_REJECTED_STREAMS = 100;
/** For the pseudo fields, and so that a few fields too many get an answer and not an error of the protocol. */
const FIELDS_MORE = 32;

export class Http2Server {
  readonly #intake: Intake;
  readonly #config: ListenerConfig;
  readonly #http2: Http2Config;
  readonly #context: DataContext;
  /** It never listens; it is given connections. */
  readonly #server: http2.Http2Server;
  readonly #connections = new Set<Http2Connection>();

  constructor(intake: Intake, config: ListenerConfig, settings: Http2Config, context: DataContext) {
    this.#intake = intake;
    this.#config = config;
    this.#http2 = settings;
    this.#context = context;
    const { limits } = config;
    this.#server = http2.createServer({
      settings: {
        maxConcurrentStreams: settings.maxStreams,
        initialWindowSize: settings.streamWindow,
        maxHeaderListSize: 2 * limits.headers,
        enablePush: false,
        enableConnectProtocol: true,
      },
      maxHeaderListPairs: limits.fields + FIELDS_MORE,
      maxSessionInvalidFrames: MOST_INVALID_FRAMES,
      maxSessionRejectedStreams: MOST_REJECTED_STREAMS,
      // An upstream may repeat what ought to be single; that is between it and the client.
      strictSingleValueFields: false,
    });
    this.#server.on('sessionError', ignore);
  }

  /** HTTP/2 begins on a connection. */
  accept(client: ClientConnection): void {
    this.#server.once('session', (session: ServerHttp2Session) => {
      const connection = new Http2Connection(client, session, this.#config.limits, this.#http2, this.#context);
      this.#connections.add(connection);
      session.on('close', () => this.#connections.delete(connection));
      // Here and not at the server: a stream that was reset before its turn no longer knows its session.
      session.on('stream', (stream, headers, _flags, raw) => this.#onStream(connection, stream, headers, raw));
    });
    const { requestTimeout } = this.#config.limits;
    if (requestTimeout > 0) client.requestMs = requestTimeout;
    // Streams have halves; a connection that is closed on one side is over.
    client.socket.allowHalfOpen = false;
    this.#server.emit('connection', client.socket);
  }

  /** Tells clients that their next requests belong on other connections. What is under way goes on. */
  leave(): void {
    for (const connection of this.#connections) connection.leave();
  }

  #onStream(connection: Http2Connection, stream: ServerHttp2Stream, headers: IncomingHttpHeaders, raw: string[]): void {
    const startedAt = this.#context.clock.now();
    const res = connection.begin(stream, startedAt);
    if (res === undefined) return;
    let req: Http2Request;
    try {
      req = new Http2Request(stream, headers, raw, this.#config.limits.headers);
    } catch (error) {
      return this.#intake.refuse(res, res, error as GatewayError);
    }
    res.expectsContinue = headers.expect?.toLowerCase() === '100-continue';
    if (headers.expect !== undefined && !res.expectsContinue)
      return this.#intake.refuse(res, res, unknownExpectation());
    const upgrade = req.isWebSocket ? new Http2Upgrade(stream, req, res, this.#context.random) : undefined;
    this.#intake.take({ req, res, body: stream, transport: res }, connection.client, startedAt, upgrade);
  }
}

function ignore(): void {}
