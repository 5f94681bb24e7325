/** The head of a request that came as an HTTP/2 stream, in the shape of one that came by HTTP/1.1 (RFC 9113 §8.3.1). */
import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import type { Socket } from 'node:net';
import { dropNamed } from '../../hop-by-hop.ts';
import http from '../../node-http.ts';
import type { ClientRequest } from '../client-message.ts';
import type { BodyStream } from '../dispatch.ts';
import { unreadable } from '../intake.ts';

const COLON = 0x3a;
const SLASH = 0x2f;

/** What HTTP/1.1 clients can send, and no more: upstreams may speak that alone. */
const KNOWN_METHODS: ReadonlySet<string> = new Set(http.METHODS);

export class Http2Request implements ClientRequest {
  readonly httpVersion = '2.0';
  readonly httpVersionMajor = 2;
  readonly httpVersionMinor = 0;
  /** As Node has made them; Fastify looks here. */
  readonly headers: IncomingHttpHeaders;
  method: string;
  url: string;
  /** Without pseudo fields; `host` is first, for `:authority`. */
  readonly rawHeaders: string[];
  /** An extended CONNECT (RFC 8441), told on as the GET with which HTTP/1.1 asks for the same. */
  readonly isWebSocket: boolean;
  readonly #stream: ServerHttp2Stream;

  /**
   * @param raw flat. What RFC 9113 §8 forbids in it, Node has refused: other pseudo fields, upper case, fields that
   *   are for one connection alone, bytes that end a line.
   * @param mostBytes of all names and values together.
   * @throws GatewayError for what is left to refuse.
   */
  constructor(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, raw: readonly string[], mostBytes: number) {
    this.#stream = stream;
    if (!stream.endAfterHeaders) stream.on('trailers', keepTrailers);
    this.headers = headers;
    this.method = '';
    this.url = '';
    this.rawHeaders = ['host', ''];
    let authority: string | undefined;
    let protocol: string | undefined;
    let cookieAt = 0;
    let bytes = 0;
    for (let at = 0; at < raw.length; at += 2) {
      const name = raw[at]!;
      const value = raw[at + 1]!;
      bytes += name.length + value.length;
      if (name.charCodeAt(0) === COLON) {
        if (name === ':method') this.method = value;
        else if (name === ':path') this.url = value;
        else if (name === ':authority') authority = sameHost(authority, value);
        else if (name === ':protocol') protocol = value;
        else if (name === ':scheme' && value !== 'http' && value !== 'https') throw unreadable('unknown :scheme', 400);
      } else if (name === 'host') {
        authority = sameHost(authority, value);
      } else if (name === 'cookie' && cookieAt > 0) {
        // RFC 9113 §8.2.3: pieces of one field.
        this.rawHeaders[cookieAt] += `; ${value}`;
      } else {
        this.rawHeaders.push(name, value);
        if (name === 'cookie') cookieAt = this.rawHeaders.length - 1;
      }
    }
    if (bytes > mostBytes) throw unreadable(`header fields of more than ${mostBytes} bytes (limits.headers)`, 431);
    if (authority === undefined) throw unreadable('neither :authority nor Host', 400);
    this.rawHeaders[1] = authority;
    this.isWebSocket = protocol !== undefined;
    if (protocol !== undefined) this.#becomeHandshake(protocol);
    if (this.method === 'CONNECT') throw unreadable('CONNECT is not supported', 405);
    if (!KNOWN_METHODS.has(this.method)) throw unreadable('unknown method', 501);
    const isPath = this.url.charCodeAt(0) === SLASH || (this.url === '*' && this.method === 'OPTIONS');
    if (!isPath) throw unreadable(':path is not a path', 400);
  }

  /** Says what it would say over HTTP/1.1 (RFC 8441 §5), to upstreams, which may speak that alone, and to whoever decides about it. */
  #becomeHandshake(protocol: string): void {
    if (protocol.toLowerCase() !== 'websocket')
      throw unreadable('of protocols, CONNECT can ask for websocket alone', 501);
    const hasBody = this.headers['content-length'] !== undefined || this.#stream.endAfterHeaders;
    if (hasBody) throw unreadable('a CONNECT has no content, and its stream stays open', 400);
    this.method = 'GET';
    // A key is not sent over HTTP/2.
    dropNamed(this.rawHeaders, 'sec-websocket-key', 0);
    this.rawHeaders.push('connection', 'Upgrade', 'upgrade', 'websocket');
    Object.assign(this.headers, { connection: 'Upgrade', upgrade: 'websocket' });
  }

  /** What the upstream of a WebSocket has to prove that it has read. */
  setKey(key: string): void {
    this.rawHeaders.push('sec-websocket-key', key);
    this.headers['sec-websocket-key'] = key;
  }

  get complete(): boolean {
    // What follows a handshake is no part of it.
    return this.isWebSocket || this.#stream.endAfterHeaders || this.#stream.readableEnded;
  }

  get socket(): Socket {
    return this.#stream.session?.socket as Socket;
  }
}

/** Where the upstream's side looks for them, as on a request of HTTP/1.1. */
function keepTrailers(this: ServerHttp2Stream, _headers: object, _flags: number, raw: string[]): void {
  Object.assign(this, { rawTrailers: raw } satisfies Pick<BodyStream, 'rawTrailers'>);
}

/** Two parties could read two different hosts in one request. */
function sameHost(known: string | undefined, value: string): string {
  if (known !== undefined && known.toLowerCase() !== value.toLowerCase()) {
    throw unreadable('Host and :authority name different hosts', 400);
  }
  return known ?? value;
}
