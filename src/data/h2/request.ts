/** The head of a request that came as an HTTP/2 stream, in the shape of one that came by HTTP/1.1 (RFC 9113 §8.3.1). */
import type { IncomingHttpHeaders } from 'node:http';
import type { Socket } from 'node:net';
import { dropNamed } from '../../hop-by-hop.ts';
import type { RequestHead } from '../../http2/request-head.ts';
import type { ServerStream } from '../../http2/stream.ts';
import http from '../../node-http.ts';
import type { ClientRequest } from '../client-message.ts';
import { unreadable } from '../intake.ts';

const SLASH = 0x2f;

/** What HTTP/1.1 clients can send, and no more: upstreams may speak that alone. */
const KNOWN_METHODS: ReadonlySet<string> = new Set(http.METHODS);

export class Http2Request implements ClientRequest {
  readonly httpVersion = '2.0';
  readonly httpVersionMajor = 2;
  readonly httpVersionMinor = 0;
  method: string;
  url: string;
  /** Without pseudo fields; `host` is first, for `:authority`. */
  readonly rawHeaders: string[];
  readonly socket: Socket;
  /** An extended CONNECT (RFC 8441), told on as the GET with which HTTP/1.1 asks for the same. */
  readonly isWebSocket: boolean;
  readonly #stream: ServerStream;
  #headers: IncomingHttpHeaders | undefined;

  /**
   * @param mostBytes of all names and values together.
   * @throws GatewayError for what RFC 9113 allows, and we do not.
   */
  constructor(stream: ServerStream, socket: Socket, mostBytes: number) {
    const { head } = stream;
    const { method, path = '', protocol, scheme } = head;
    this.#stream = stream;
    this.socket = socket;
    this.method = method;
    this.url = path;
    this.rawHeaders = head.fields;
    this.isWebSocket = protocol !== undefined;
    if (head.bytes > mostBytes) throw unreadable(`header fields of more than ${mostBytes} bytes (limits.headers)`, 431);
    this.rawHeaders[1] = hostOf(head);
    if (protocol !== undefined) this.#becomeHandshake(protocol);
    if (this.method === 'CONNECT') throw unreadable('CONNECT is not supported', 405);
    if (scheme !== 'http' && scheme !== 'https') throw unreadable('unknown :scheme', 400);
    if (!KNOWN_METHODS.has(this.method)) throw unreadable('unknown method', 501);
    const isPath = path.charCodeAt(0) === SLASH || (path === '*' && this.method === 'OPTIONS');
    if (!isPath) throw unreadable(':path is not a path', 400);
  }

  /** By name; Fastify looks here, and whoever reads a handshake. */
  get headers(): IncomingHttpHeaders {
    return (this.#headers ??= byName(this.rawHeaders));
  }

  /** Says what it would say over HTTP/1.1 (RFC 8441 §5), to upstreams, which may speak that alone, and to whoever decides about it. */
  #becomeHandshake(protocol: string): void {
    if (protocol.toLowerCase() !== 'websocket')
      throw unreadable('of protocols, CONNECT can ask for websocket alone', 501);
    if (this.#stream.head.contentLength !== undefined || this.#stream.source === undefined)
      throw unreadable('a CONNECT has no content, and its stream stays open', 400);
    this.method = 'GET';
    // A key is not sent over HTTP/2.
    dropNamed(this.rawHeaders, 'sec-websocket-key', 0);
    this.rawHeaders.push('connection', 'Upgrade', 'upgrade', 'websocket');
  }

  /** What the upstream of a WebSocket has to prove that it has read. */
  setKey(key: string): void {
    this.rawHeaders.push('sec-websocket-key', key);
  }

  get complete(): boolean {
    const { source } = this.#stream;
    // What follows a handshake is no part of it.
    return this.isWebSocket || source === undefined || source.readableEnded;
  }
}

/** Two parties could read two different hosts in one request. */
function hostOf({ authority, host }: RequestHead): string {
  const named = authority ?? host;
  if (named === undefined) throw unreadable('neither :authority nor Host', 400);
  if (host !== undefined && host.toLowerCase() !== named.toLowerCase()) {
    throw unreadable('Host and :authority name different hosts', 400);
  }
  return named;
}

/** As Node joins those of HTTP/1.1 that may be lists; of others a route's hooks read what the exchange has. */
function byName(fields: readonly string[]): IncomingHttpHeaders {
  const headers = Object.create(null) as Record<string, string>;
  for (let at = 0; at < fields.length; at += 2) {
    const name = fields[at]!;
    const before = headers[name];
    headers[name] = before === undefined ? fields[at + 1]! : `${before}, ${fields[at + 1]!}`;
  }
  return headers;
}
