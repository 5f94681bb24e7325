/**
 * A WebSocket on one stream of HTTP/2 (RFC 8441). Its request is an extended CONNECT, and any 2xx agrees to it; the end of each half is
 * END_STREAM, a reset RST_STREAM. What the client sends before the answer stays unread, within the window of the stream.
 */
import type { Duplex } from 'node:stream';
import type { Random } from '../../clock.ts';
import { GatewayError } from '../../errors.ts';
import type { StreamDuplex } from '../../http2/stream-body.ts';
import type { Switched } from '../../upstream/call.ts';
import type { Exchange } from '../exchange.ts';
import type { Rule } from '../rule.ts';
import type { Upgrade } from '../upgrade.ts';
import { HandshakeStream, type HandshakeOwner } from './handshake-stream.ts';
import type { Http2Request } from './request.ts';
import type { Http2Response } from './response.ts';

const KEY_BYTES = 16;

/** RFC 9220 §3 */
const NOT_SERVED = 501;

/** Of a 101, what the answer to a CONNECT must not have (RFC 8441 §5, RFC 9110 §9.3.6). */
const OF_101_ONLY: ReadonlySet<string> = new Set(['sec-websocket-accept', 'content-length']);

export class Http2Upgrade implements Upgrade, HandshakeOwner {
  readonly stream: StreamDuplex;
  exchange: Exchange | undefined;
  upstream: Switched | undefined;
  readonly #res: Http2Response;

  constructor(stream: StreamDuplex, req: Http2Request, res: Http2Response, random: Random) {
    this.stream = stream;
    this.#res = res;
    res.isToConnect = true;
    req.setKey(newKey(random));
  }

  admit({ websocket }: Rule): void {
    if (websocket === false) throw noWebSocket('This route carries no WebSockets.');
  }

  /** Whoever answers an upgrade as an ordinary GET has said, to a CONNECT, that it agrees. */
  refusalOf(status: number): GatewayError | undefined {
    if (status < 200 || status > 299) return undefined;
    return noWebSocket('The service answered without switching to the WebSocket protocol.');
  }

  release(): readonly Buffer[] {
    this.#res.isReleased = true;
    return [];
  }

  agree(fields: readonly string[]): void {
    const kept = fields.filter((_, at) => !OF_101_ONLY.has(fields[at & ~1]!.toLowerCase()));
    this.#res.agree(kept);
  }

  releaseAsHttp1(): Duplex {
    this.release();
    return new HandshakeStream(this.stream, this).pause();
  }

  reset(): void {
    this.#res.reset();
  }

  get isClosedInOrder(): boolean {
    return this.stream.isClosedInOrder;
  }
}

/** RFC 6455 §4.1 */
function newKey(random: Random): string {
  return Buffer.from(Array.from({ length: KEY_BYTES }, () => Math.floor(random() * 256))).toString('base64');
}

function noWebSocket(detail: string): GatewayError {
  return new GatewayError('http_request_denied', detail, { status: NOT_SERVED, detail });
}
