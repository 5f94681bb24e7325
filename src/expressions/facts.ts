/** What expressions know. Each fact is worked out when an expression asks for it. */
import type { Clock } from '../clock.ts';
import type { Exchange } from '../data/exchange.ts';
import { parseQuery } from '../data/match/request-view.ts';
import type { Principal } from '../data/principal.ts';

/** The variables of an expression. */
export interface Facts {
  readonly request: RequestFacts;
  readonly principal: PrincipalFacts;
  readonly route: RouteFacts;
  readonly now: Date;
}

export function factsOf(exchange: Exchange, clock: Clock): Facts {
  return {
    request: new RequestFacts(exchange),
    principal: new PrincipalFacts(exchange.principal),
    route: new RouteFacts(exchange.routeName),
    now: new Date(clock.wall()),
  };
}

export class RequestFacts {
  readonly #exchange: Exchange;
  // A comprehension asks for them as often as it goes round.
  #query: ReadonlyMap<string, string> | undefined;
  #headers: ReadonlyMap<string, string> | undefined;

  constructor(exchange: Exchange) {
    this.#exchange = exchange;
  }

  get method(): string {
    return this.#exchange.method;
  }

  get scheme(): string {
    return this.#exchange.scheme;
  }

  get host(): string {
    return this.#exchange.host;
  }

  get path(): string {
    return this.#exchange.path;
  }

  /** The first value of each parameter, decoded. */
  get query(): ReadonlyMap<string, string> {
    return (this.#query ??= parseQuery(this.#exchange.search));
  }

  /** By name in lower case; several of one name are joined. Those that only trusted proxies may send come from them. */
  get headers(): ReadonlyMap<string, string> {
    return (this.#headers ??= joinedByName(this.#exchange.head.visible));
  }

  /** The address of the client, behind trusted proxies. */
  get client(): string {
    return this.#exchange.clientAddress;
  }
}

function joinedByName(fields: readonly string[]): ReadonlyMap<string, string> {
  const joined = new Map<string, string>();
  for (let at = 0; at < fields.length; at += 2) {
    const name = fields[at]!.toLowerCase();
    const before = joined.get(name);
    joined.set(name, before === undefined ? fields[at + 1]! : `${before}, ${fields[at + 1]!}`);
  }
  return joined;
}

/** Of a request without a principal everything is empty. */
export class PrincipalFacts {
  readonly #principal: Principal | undefined;

  constructor(principal: Principal | undefined) {
    this.#principal = principal;
  }

  get method(): string {
    return this.#principal?.method ?? '';
  }

  get subject(): string {
    return this.#principal?.subject ?? '';
  }

  get consumer(): string {
    return this.#principal?.consumer?.name ?? '';
  }

  get groups(): readonly string[] {
    return this.#principal?.groups ?? [];
  }

  get scopes(): readonly string[] {
    return this.#principal?.scopes ?? [];
  }

  get claims(): Readonly<Record<string, unknown>> {
    return this.#principal?.claims ?? {};
  }

  get metadata(): Readonly<Record<string, unknown>> {
    return this.#principal?.consumer?.metadata ?? {};
  }
}

export class RouteFacts {
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }
}
