/**
 * A request as conditions see it. Nothing is parsed before a condition asks, and then once, in time linear in its
 * length: most requests meet no condition on fields, query or cookies.
 */
export type Scheme = 'http' | 'https';

export interface MatchRequest {
  readonly method: string;
  /** As `parseAuthority` gives it. */
  readonly host: string;
  /** The target's `routePath`. */
  readonly path: string;
  readonly clientAddress: string;
  /** As the client has it: where a trusted proxy stands between, what that one says. */
  readonly scheme: Scheme;
  /** All values of the field, joined by `, ` (RFC 9110 §5.3). @param name in lower case. */
  header(name: string): string | undefined;
  /** The first value of the parameter, decoded. */
  query(name: string): string | undefined;
  /** The first cookie of that name, as it was sent. */
  cookie(name: string): string | undefined;
}

export class RequestView implements MatchRequest {
  readonly method: string;
  readonly host: string;
  readonly path: string;
  readonly clientAddress: string;
  readonly scheme: Scheme;
  readonly #search: string;
  readonly #fields: readonly string[];
  #query: ReadonlyMap<string, string> | undefined;
  #cookies: ReadonlyMap<string, string> | undefined;

  /** @param search without `?`. @param fields flat: name, value, … in any case, as in `rawHeaders`. */
  constructor(
    method: string,
    host: string,
    path: string,
    search: string,
    fields: readonly string[],
    clientAddress: string,
    scheme: Scheme,
  ) {
    this.method = method;
    this.host = host;
    this.path = path;
    this.clientAddress = clientAddress;
    this.scheme = scheme;
    this.#search = search;
    this.#fields = fields;
  }

  /** The same with another method: what a CORS preflight asks about. */
  withMethod(method: string): RequestView {
    const { host, path, clientAddress, scheme } = this;
    return new RequestView(method, host, path, this.#search, this.#fields, clientAddress, scheme);
  }

  header(name: string): string | undefined {
    return joinedField(this.#fields, name, ', ');
  }

  query(name: string): string | undefined {
    this.#query ??= parseQuery(this.#search);
    return this.#query.get(name);
  }

  cookie(name: string): string | undefined {
    return this.cookies.get(name);
  }

  /** All of them, of all Cookie fields. */
  get cookies(): ReadonlyMap<string, string> {
    return (this.#cookies ??= parseCookies(joinedField(this.#fields, 'cookie', '; ') ?? ''));
  }
}

function joinedField(fields: readonly string[], name: string, separator: string): string | undefined {
  let joined: string | undefined;
  for (let at = 0; at < fields.length; at += 2) {
    const written = fields[at] as string;
    if (written.length !== name.length || (written !== name && written.toLowerCase() !== name)) continue;
    const value = fields[at + 1] as string;
    joined = joined === undefined ? value : joined + separator + value;
  }
  return joined;
}

/** The first value of each parameter, as forms encode them: `+` is a space, a bad escape is itself. */
export function parseQuery(search: string): ReadonlyMap<string, string> {
  const parameters = new Map<string, string>();
  for (const pair of search.split('&')) {
    if (pair === '') continue;
    const equals = pair.indexOf('=');
    const name = decodeForm(equals === -1 ? pair : pair.slice(0, equals));
    if (!parameters.has(name)) parameters.set(name, equals === -1 ? '' : decodeForm(pair.slice(equals + 1)));
  }
  return parameters;
}

function decodeForm(text: string): string {
  const spaced = text.includes('+') ? text.replaceAll('+', ' ') : text;
  if (!spaced.includes('%')) return spaced;
  try {
    return decodeURIComponent(spaced);
  } catch {
    return spaced;
  }
}

/** RFC 6265 §4.2: `name=value; name=value`. Values are opaque: neither unquoted nor decoded. */
export function parseCookies(field: string): ReadonlyMap<string, string> {
  const cookies = new Map<string, string>();
  for (const pair of field.split(';')) {
    const equals = pair.indexOf('=');
    if (equals === -1) continue;
    const name = pair.slice(0, equals).trim();
    if (!cookies.has(name)) cookies.set(name, pair.slice(equals + 1).trim());
  }
  return cookies;
}
