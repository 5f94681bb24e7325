/** Which requests may have the same answer: the URL as the upstream is told it, declared parts, and whose it is. */
import { createHash } from 'node:crypto';
import type { RouteConfig } from '../../src/config/schema.ts';
import type { UpstreamRequest } from '../../src/data/dispatch.ts';
import type { Exchange } from '../../src/data/exchange.ts';
import type { Principal } from '../../src/data/principal.ts';
import { fieldOf } from './fields.ts';
import type { CacheOptions } from './schema.ts';

/** Between the parts of a key; no URL and no field value holds it. */
const SEPARATOR = '\n';

export class Keys {
  /** Routes differ in what they make of a request: one that changes begins anew, one that stays keeps what it has. */
  readonly #space: string;
  readonly #headers: readonly string[];
  readonly #query: (search: string) => string;
  readonly #isPartitioned: boolean;
  /** Verified tokens are remembered, and so their principals return. */
  readonly #partitions = new WeakMap<Principal, string>();

  constructor(route: RouteConfig, { key, partition }: CacheOptions) {
    const { source: _, ...meaning } = route;
    this.#space = createHash('sha256').update(JSON.stringify(meaning)).digest('base64url').slice(0, 16);
    this.#headers = key.headers.map((name) => name.toLowerCase()).sort();
    this.#query = compileQuery(key.query);
    this.#isPartitioned = partition === 'principal';
  }

  /** Whose answers they are; empty: everybody's. undefined: somebody's of whom it is not known who. */
  partition({ principal }: Exchange): string | undefined {
    if (principal === undefined || !this.#isPartitioned) return '';
    if (principal.subject === '' && principal.consumer === undefined) return undefined;
    let known = this.#partitions.get(principal);
    if (known === undefined) this.#partitions.set(principal, (known = partitionOf(principal)));
    return known;
  }

  /** The URL that the client asked for, which is what purges and writes speak of. */
  url(exchange: Exchange): string {
    return this.spelled(originOf(exchange), exchange.path, exchange.search);
  }

  /** Without the parameters that make no difference. @param search without `?`. */
  spelled(origin: string, path: string, search: string): string {
    const kept = search === '' ? '' : this.#query(search);
    return kept === '' ? `${origin}${path}` : `${origin}${path}?${kept}`;
  }

  /** Begins with the pool: branches of a split never share an answer. */
  key(request: UpstreamRequest, partition: string): string {
    const { exchange } = request;
    let key = `${this.#space} ${request.pool.name} ${this.url(exchange)}`;
    for (const name of this.#headers) key += SEPARATOR + (fieldOf(request.fields, name) ?? '-');
    return partition === '' ? key : `${key}${SEPARATOR}${SEPARATOR}${partition}`;
  }
}

/** Of a token: what differs from one to the next of the same caller. */
const PASSING_CLAIMS = new Set(['exp', 'iat', 'nbf', 'jti', 'nonce', 'auth_time', 'at_hash', 'c_hash', 'sid']);

/**
 * All that an upstream may decide by: the same subject of another issuer is another, and the same person with other scopes
 * or in another tenant may be shown something else.
 */
function partitionOf({ method, consumer, subject, groups, scopes, claims }: Principal): string {
  const lasting = Object.entries(claims)
    .filter(([name]) => !PASSING_CLAIMS.has(name))
    .sort(([one], [other]) => (one < other ? -1 : 1));
  const who = JSON.stringify([
    method,
    consumer?.name ?? null,
    subject,
    [...groups].sort(),
    [...scopes].sort(),
    lasting,
  ]);
  return createHash('sha256').update(who).digest('base64url');
}

/** As the upstream hears it: what trusted proxies say of scheme and host goes on to it. */
export function originOf({ client, head, scheme, authority }: Exchange): string {
  if (!client.trusted) return `${scheme}://${authority}`;
  return `${head.forwardedProto?.toLowerCase() ?? scheme}://${head.forwardedHost?.toLowerCase() ?? authority}`;
}

function compileQuery(query: CacheOptions['key']['query']): (search: string) => string {
  if (query === 'all') return (search) => search;
  if (query === 'none') return () => '';
  const isOnly = 'only' in query;
  const names = new Set(isOnly ? query.only : query.except);
  return (search) =>
    search
      .split('&')
      .filter((pair) => names.has(nameOf(pair)) === isOnly)
      .join('&');
}

function nameOf(pair: string): string {
  const equals = pair.indexOf('=');
  const name = (equals === -1 ? pair : pair.slice(0, equals)).replaceAll('+', ' ');
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}
