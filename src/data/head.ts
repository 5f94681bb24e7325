/**
 * Reads the head of a request in one pass over its raw fields: refuses what two parties could read differently, keeps what
 * the gateway needs, and collects what goes on to the upstream (RFC 9110 §7.6.1, RFC 9112 §3.2, §6.1).
 */
import type { IncomingMessage } from 'node:http';
import type { ListenerLimitsConfig } from '../config/schema.ts';
import { GatewayError } from '../errors.ts';
import { dropNamed } from '../hop-by-hop.ts';

export interface RequestHead {
  /** The one Host field, or undefined. */
  host: string | undefined;
  /** What goes on, flat, in the client's order and spelling. The first pair is kept free for `host`. */
  readonly fields: string[];
  contentLength: number | undefined;
  chunked: boolean;
  /** What proxies before us said; believed only from trusted ones. */
  forwardedFor: string | undefined;
  forwardedProto: string | undefined;
  forwardedHost: string | undefined;
  forwardedPort: string | undefined;
  forwarded: string | undefined;
  requestId: string | undefined;
}

/** What happens to a field; anything not named here goes on. */
const Fate = {
  pass: 0,
  drop: 1,
  host: 2,
  contentLength: 3,
  transferEncoding: 4,
  connection: 5,
  forwardedFor: 6,
  forwardedProto: 7,
  forwardedHost: 8,
  forwardedPort: 9,
  forwarded: 10,
  requestId: 11,
  underscore: 12,
} as const;
type Fate = (typeof Fate)[keyof typeof Fate];

const FATES: ReadonlyMap<string, Fate> = new Map<string, Fate>([
  ['host', Fate.host],
  ['content-length', Fate.contentLength],
  ['transfer-encoding', Fate.transferEncoding],
  ['connection', Fate.connection],
  ['keep-alive', Fate.drop],
  ['proxy-connection', Fate.drop],
  ['proxy-authorization', Fate.drop],
  ['te', Fate.drop],
  ['trailer', Fate.drop],
  ['upgrade', Fate.drop],
  ['http2-settings', Fate.drop],
  ['expect', Fate.drop],
  ['x-real-ip', Fate.drop],
  ['x-forwarded-for', Fate.forwardedFor],
  ['x-forwarded-proto', Fate.forwardedProto],
  ['x-forwarded-host', Fate.forwardedHost],
  ['x-forwarded-port', Fate.forwardedPort],
  ['forwarded', Fate.forwarded],
]);

/** `host` and its value, which the listener writes. */
const OWN_PAIR = 2;

/** Spellings that clients use are few; those of an attacker may be many. */
const MAX_REMEMBERED = 2048;

export class HeadReader {
  readonly #limits: ListenerLimitsConfig;
  readonly #requestIdHeader: string;
  readonly #fates = new Map<string, Fate>();

  constructor(limits: ListenerLimitsConfig, requestIdHeader: string) {
    this.#limits = limits;
    this.#requestIdHeader = requestIdHeader;
  }

  /** @throws GatewayError: the request is refused, and its connection closed. */
  read(req: IncomingMessage): RequestHead {
    const raw = req.rawHeaders;
    const oldVersion = req.httpVersion === '1.0';
    if (!oldVersion && req.httpVersion !== '1.1') throw refusal('only HTTP/1.0 and HTTP/1.1 are spoken here', 505);
    if (raw.length / 2 > this.#limits.fields) {
      throw refusal(`more than ${this.#limits.fields} header fields (limits.fields)`, 431);
    }
    if (req.url!.length > this.#limits.target) {
      throw refusal(`the request target is longer than ${this.#limits.target} bytes (limits.target)`, 414);
    }
    const head = emptyHead();
    let connection: string | undefined;
    let transferEncoding: string | undefined;
    for (let at = 0; at < raw.length; at += 2) {
      const name = raw[at]!;
      const value = raw[at + 1]!;
      switch (this.#fate(name)) {
        case Fate.pass:
          head.fields.push(name, value);
          break;
        case Fate.host:
          if (head.host !== undefined) throw refusal('more than one Host field', 400);
          head.host = value;
          break;
        case Fate.contentLength:
          head.contentLength = Number(value);
          break;
        case Fate.transferEncoding:
          transferEncoding = transferEncoding === undefined ? value : `${transferEncoding},${value}`;
          break;
        case Fate.connection:
          connection = connection === undefined ? value : `${connection},${value}`;
          break;
        case Fate.forwardedFor:
          head.forwardedFor = joined(head.forwardedFor, value);
          break;
        case Fate.forwarded:
          head.forwarded = joined(head.forwarded, value);
          break;
        case Fate.forwardedProto:
          head.forwardedProto = value;
          break;
        case Fate.forwardedHost:
          head.forwardedHost = value;
          break;
        case Fate.forwardedPort:
          head.forwardedPort = value;
          break;
        case Fate.requestId:
          head.requestId = value;
          break;
        case Fate.underscore:
          if (this.#limits.underscores === 'refuse') throw refusal('a header name holds an underscore', 400);
          break;
        case Fate.drop:
          break;
      }
    }
    if (head.host === undefined && !oldVersion) throw refusal('no Host field', 400);
    if (transferEncoding !== undefined) {
      // RFC 9112 §6.1: a body whose length two parties could read differently is how requests are smuggled.
      if (oldVersion || transferEncoding.toLowerCase() !== 'chunked' || head.contentLength !== undefined) {
        throw refusal('Transfer-Encoding must be exactly "chunked", without Content-Length, on HTTP/1.1', 400);
      }
      head.chunked = true;
    }
    // Ours are added afterwards, so they stay whatever the client names.
    if (connection !== undefined) dropNamed(head.fields, connection, OWN_PAIR);
    return head;
  }

  #fate(name: string): Fate {
    const known = this.#fates.get(name);
    if (known !== undefined) return known;
    const fate = this.#decide(name.toLowerCase());
    if (this.#fates.size < MAX_REMEMBERED) this.#fates.set(name, fate);
    return fate;
  }

  #decide(name: string): Fate {
    if (name === this.#requestIdHeader) return Fate.requestId;
    // Only the gateway speaks under this prefix: an upstream believes it.
    if (name.startsWith('x-aya-') || name.startsWith('x_aya_')) return Fate.drop;
    const fate = FATES.get(name);
    if (fate !== undefined) return fate;
    if (!name.includes('_')) return Fate.pass;
    // X_Forwarded_For would be taken for ours by whoever maps - to _ (CGI): never passed, whatever is configured.
    if (FATES.has(name.replaceAll('_', '-'))) return Fate.drop;
    return this.#limits.underscores === 'allow' ? Fate.pass : Fate.underscore;
  }
}

function emptyHead(): RequestHead {
  return {
    host: undefined,
    fields: ['host', ''],
    contentLength: undefined,
    chunked: false,
    forwardedFor: undefined,
    forwardedProto: undefined,
    forwardedHost: undefined,
    forwardedPort: undefined,
    forwarded: undefined,
    requestId: undefined,
  };
}

function joined(before: string | undefined, value: string): string {
  return before === undefined ? value : `${before}, ${value}`;
}

function refusal(detail: string, status: number): GatewayError {
  return new GatewayError('http_request_error', detail, { status, detail, close: true });
}
