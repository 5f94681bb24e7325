/**
 * What the upstream is told of the way a request came: X-Forwarded-*, Forwarded (RFC 7239), Via (RFC 9110 §7.6.3) and the
 * request id; and which address the client has, when proxies that we trust stand between.
 */
import type { Random } from '../clock.ts';
import { plainAddress, type ClientConnection } from './client-connection.ts';
import type { Exchange } from './exchange.ts';
import type { RequestHead } from './head.ts';

/** Safe to print and to pass on. */
const REQUEST_ID = /^[\w.:/+=@-]{1,128}$/;
const HEX_DIGITS = '0123456789abcdef';

/** The right-most address that is not a trusted proxy; what stands left of it may be invented. */
export function findClientAddress(peer: string, head: RequestHead, isTrusted: (address: string) => boolean): string {
  const chain = head.forwardedFor ?? forwardedChain(head.forwarded);
  if (chain === undefined) return peer;
  let client = peer;
  let end = chain.length;
  while (end > 0) {
    const comma = chain.lastIndexOf(',', end - 1);
    const address = bareAddress(chain.slice(comma + 1, end));
    // Junk: nobody whom we trust wrote this, or it names nobody. The last good one is the client.
    if (address === undefined) return client;
    client = address;
    if (!isTrusted(address)) return client;
    end = comma;
  }
  return client;
}

/** What the client speaks, as far as the proxies that we trust tell. */
export function clientScheme(client: ClientConnection, head: RequestHead): 'http' | 'https' {
  const told = client.trusted ? head.forwardedProto : undefined;
  return told === 'https' || told === 'http' ? told : client.scheme;
}

/** `for=` of each element of Forwarded, as a list like X-Forwarded-For. */
function forwardedChain(forwarded: string | undefined): string | undefined {
  if (forwarded === undefined) return undefined;
  return forwarded
    .split(',')
    .map((element) => /(?:^|;)\s*for\s*=\s*"?([^";]*)"?/i.exec(element)?.[1] ?? '')
    .join(',');
}

/** `10.0.0.1`, `10.0.0.1:80`, `[2001:db8::1]:80`, `2001:db8::1` → the address; undefined for anything else. */
function bareAddress(written: string): string | undefined {
  const text = written.trim();
  const bracketed = /^\[([0-9A-Fa-f:.]+)\](?::\d{1,5})?$/.exec(text)?.[1];
  const address = bracketed ?? /^(\d{1,3}(?:\.\d{1,3}){3})(?::\d{1,5})?$/.exec(text)?.[1] ?? text;
  return /^(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*)$/.test(address)
    ? plainAddress(address)
    : undefined;
}

/** Writes host first and the fields about the way last, so that nothing a client sent can stand in their place. */
export function addForwarding(exchange: Exchange, requestIdHeader: string): void {
  const { head, client, authority, scheme } = exchange;
  const { fields } = head;
  const peer = client.address;
  const given = client.trusted ? head : undefined;
  const node = peer.includes(':') ? `"[${peer}]"` : peer;
  const element = `for=${node};host="${authority}";proto=${scheme}`;
  fields[1] = authority;
  fields.push(
    'x-forwarded-for',
    given?.forwardedFor === undefined ? peer : `${given.forwardedFor}, ${peer}`,
    'x-forwarded-proto',
    given?.forwardedProto ?? scheme,
    'x-forwarded-host',
    given?.forwardedHost ?? authority,
    'x-forwarded-port',
    given?.forwardedPort ?? String(exchange.port),
    'forwarded',
    given?.forwarded === undefined ? element : `${given.forwarded}, ${element}`,
    'via',
    `${exchange.req.httpVersion} aya`,
    requestIdHeader,
    exchange.id,
  );
}

/** Ids of this thread: a random start, then counting, so that they are unique without asking anybody. */
export class RequestIds {
  readonly #prefix: string;
  #count = 0;

  constructor(random: Random) {
    this.#prefix = Array.from({ length: 16 }, () => HEX_DIGITS[Math.floor(random() * 16)]).join('');
  }

  next(): string {
    return `${this.#prefix}-${(++this.#count).toString(36)}`;
  }

  /** The id that a trusted proxy gave, if it is fit to be printed; else a new one. */
  of(client: { readonly trusted: boolean }, head: RequestHead): string {
    const { requestId } = head;
    return client.trusted && requestId !== undefined && REQUEST_ID.test(requestId) ? requestId : this.next();
  }
}
