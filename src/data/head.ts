/**
 * Reads the head of a request in one pass over its raw fields: refuses what two parties could read differently, keeps what
 * the gateway needs, and collects what goes on to the upstream (RFC 9110 §7.6.1, RFC 9112 §3.2, §6.1).
 */
import type { ListenerLimitsConfig } from '../config/schema.ts';
import { GatewayError } from '../errors.ts';
import { dropNamed } from '../hop-by-hop.ts';
import type { ClientRequest } from './client-message.ts';
import { EXPLAIN_FIELD } from './decisions/answer-field.ts';

export interface RequestHead {
  /** The one Host field, or undefined. */
  host: string | undefined;
  /** What conditions and plugins may look at, flat: all that came, without what a stranger may not say. */
  visible: readonly string[];
  /** What goes on, flat, in the client's order and spelling. The first pair is kept free for `host`. */
  readonly fields: string[];
  contentLength: number | undefined;
  /** There is a body, and nobody has said how long it is. */
  chunked: boolean;
  /** It takes trailers, which gRPC insists on (RFC 9110 §10.1.4). */
  acceptsTrailers: boolean;
  /** What proxies before us said; believed only from trusted ones. */
  forwardedFor: string | undefined;
  forwardedProto: string | undefined;
  forwardedHost: string | undefined;
  forwardedPort: string | undefined;
  forwarded: string | undefined;
  requestId: string | undefined;
  /** Certificates that they have seen; never passed on. See forwarded-certificate.ts. */
  clientCert: string | undefined;
  xfcc: string | undefined;
  /** The client asks how the request is decided (data/decisions/); never passed on. */
  explain: string | undefined;
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
  /** Only proxies that we trust may say this. */
  claim: 13,
  /** Says nothing but what is ours to say, or to misread. */
  lie: 14,
  framingTwin: 15,
  clientCert: 16,
  xfcc: 17,
  te: 18,
  explain: 19,
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
  ['te', Fate.te],
  ['trailer', Fate.drop],
  ['upgrade', Fate.drop],
  ['http2-settings', Fate.drop],
  ['expect', Fate.drop],
  ['x-real-ip', Fate.lie],
  ['x-forwarded-for', Fate.forwardedFor],
  ['x-forwarded-proto', Fate.forwardedProto],
  ['x-forwarded-host', Fate.forwardedHost],
  ['x-forwarded-port', Fate.forwardedPort],
  ['forwarded', Fate.forwarded],
  ['client-cert', Fate.clientCert],
  ['x-forwarded-client-cert', Fate.xfcc],
  [EXPLAIN_FIELD, Fate.explain],
]);

/**
 * Fields in which services are told by their proxy who the client is, what it proved and what it asked: addresses,
 * certificates (RFC 9440), identities, and paths that some frameworks put in place of the request line's.
 */
const CLAIM =
  /^(?:x-(?:forwarded|consumer|authenticated|ssl-client|amzn-mtls)-.*|ssl-client-.*|client-cert-chain|x-forwarded|x-userinfo|x-original-(?:url|uri|host)|x-rewrite-url|x-client-ip|x-cluster-client-ip|true-client-ip|cf-connecting-ip)$/;

/** A member of TE, whatever stands beside it. */
const TRAILERS = /(?:^|,)[\t ]*trailers[\t ]*(?:,|$)/i;

/** `host` and its value, which the listener writes. */
const OWN_PAIR = 2;

/** Spellings that clients use are few; those of an attacker may be many. */
const MAX_REMEMBERED = 2048;
const LONGEST_REMEMBERED = 64;

export class HeadReader {
  readonly #limits: ListenerLimitsConfig;
  readonly #requestIdHeader: string;
  readonly #fates = new Map<string, Fate>();

  constructor(limits: ListenerLimitsConfig, requestIdHeader: string) {
    this.#limits = limits;
    this.#requestIdHeader = requestIdHeader;
  }

  /**
   * @param trusted the peer is one of `trustedProxies`.
   * @throws GatewayError: the request is refused, and its connection closed.
   */
  read(req: ClientRequest, trusted: boolean): RequestHead {
    const raw = req.rawHeaders;
    const { httpVersion } = req;
    const oldVersion = httpVersion === '1.0';
    if (raw.length / 2 > this.#limits.fields) {
      throw refusal(`more than ${this.#limits.fields} header fields (limits.fields)`, 431);
    }
    if (req.url!.length > this.#limits.target) {
      throw refusal(`the request target is longer than ${this.#limits.target} bytes (limits.target)`, 414);
    }
    const head = emptyHead(raw);
    let hides = false;
    let connection: string | undefined;
    let transferEncoding: string | undefined;
    for (let at = 0; at < raw.length; at += 2) {
      const name = raw[at]!;
      const value = raw[at + 1]!;
      const fate = this.#fate(name);
      hides ||= isHidden(fate, trusted);
      switch (fate) {
        case Fate.pass:
          head.fields.push(name, value);
          break;
        case Fate.host:
          if (head.host !== undefined) throw refusal('more than one Host field', 400);
          head.host = value;
          break;
        case Fate.contentLength:
          head.contentLength = Number(value);
          if (!Number.isSafeInteger(head.contentLength))
            throw refusal('Content-Length is too large to be counted', 400);
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
        case Fate.te:
          head.acceptsTrailers ||= TRAILERS.test(value);
          break;
        case Fate.requestId:
          head.requestId = value;
          break;
        case Fate.clientCert:
          head.clientCert = joined(head.clientCert, value);
          break;
        case Fate.xfcc:
          head.xfcc = joined(head.xfcc, value);
          break;
        case Fate.explain:
          head.explain = joined(head.explain, value);
          break;
        case Fate.claim:
          if (trusted) head.fields.push(name, value);
          break;
        case Fate.framingTwin:
          throw refusal('a header name can be taken for Content-Length or Transfer-Encoding', 400);
        case Fate.underscore:
          if (this.#limits.underscores === 'refuse') throw refusal('a header name holds an underscore', 400);
          break;
        case Fate.drop:
        case Fate.lie:
          break;
      }
    }
    if (head.host === undefined && !oldVersion) throw refusal('no Host field', 400);
    if (transferEncoding !== undefined) {
      // RFC 9112 §6.1: a body whose length two parties could read differently is how requests are smuggled.
      if (httpVersion !== '1.1' || transferEncoding.toLowerCase() !== 'chunked' || head.contentLength !== undefined) {
        throw refusal('Transfer-Encoding must be exactly "chunked", without Content-Length, on HTTP/1.1', 400);
      }
      head.chunked = true;
    } else if (httpVersion === '2.0') {
      head.chunked = head.contentLength === undefined && !req.complete;
    }
    // Ours are added afterwards, so they stay whatever the client names.
    const named = connection !== undefined && dropNamed(head.fields, connection, OWN_PAIR);
    if (hides || named) head.visible = this.#visible(raw, trusted, named ? connection : undefined);
    return head;
  }

  /** What is matched is what is sent: a condition must not see what the upstream will not. */
  #visible(raw: readonly string[], trusted: boolean, connection: string | undefined): string[] {
    const visible: string[] = [];
    for (let at = 0; at < raw.length; at += 2) {
      if (!isHidden(this.#fate(raw[at]!), trusted)) visible.push(raw[at]!, raw[at + 1]!);
    }
    if (connection !== undefined) dropNamed(visible, connection, 0);
    return visible;
  }

  #fate(name: string): Fate {
    const known = this.#fates.get(name);
    if (known !== undefined) return known;
    const fate = this.#decide(name.toLowerCase());
    if (name.length > LONGEST_REMEMBERED) return fate;
    // Whoever fills it with junk must go on doing so, or soon the names in use are in it again.
    if (this.#fates.size === MAX_REMEMBERED) this.#fates.clear();
    this.#fates.set(name, fate);
    return fate;
  }

  #decide(name: string): Fate {
    if (name === this.#requestIdHeader) return Fate.requestId;
    const fate = FATES.get(name);
    if (fate !== undefined) return fate;
    // Services that map all but letters and digits to one character (CGI) take X_Forwarded_For for X-Forwarded-For.
    const plain = name.replace(/[^a-z0-9]+/g, '-');
    if (plain !== name) {
      if (plain === 'content-length' || plain === 'transfer-encoding') return Fate.framingTwin;
      if (plain === this.#requestIdHeader || FATES.has(plain)) return Fate.lie;
    }
    // Only the gateway speaks under this prefix: an upstream believes it.
    if (plain.startsWith('x-aya-')) return Fate.lie;
    if (CLAIM.test(plain)) return plain === name ? Fate.claim : Fate.lie;
    if (!name.includes('_')) return Fate.pass;
    return this.#limits.underscores === 'allow' ? Fate.pass : Fate.underscore;
  }
}

/** Whether a field is kept from conditions as it is from the upstream. Framing and hop-by-hop fields are no secret. */
function isHidden(fate: Fate, trusted: boolean): boolean {
  if (fate < Fate.forwardedFor || fate === Fate.te) return false;
  if (!trusted) return true;
  return (
    fate === Fate.lie ||
    fate === Fate.underscore ||
    fate === Fate.clientCert ||
    fate === Fate.xfcc ||
    fate === Fate.explain
  );
}

/** Of a request of which nothing is known but its fields. */
export function emptyHead(visible: readonly string[]): RequestHead {
  return {
    host: undefined,
    visible,
    fields: ['host', ''],
    contentLength: undefined,
    chunked: false,
    acceptsTrailers: false,
    forwardedFor: undefined,
    forwardedProto: undefined,
    forwardedHost: undefined,
    forwardedPort: undefined,
    forwarded: undefined,
    requestId: undefined,
    clientCert: undefined,
    xfcc: undefined,
    explain: undefined,
  };
}

function joined(before: string | undefined, value: string): string {
  return before === undefined ? value : `${before}, ${value}`;
}

function refusal(detail: string, status: number): GatewayError {
  return new GatewayError('http_request_error', detail, { status, detail, close: true });
}
