/** The request that `aya explain` is asked about, read as the listener would read it. */
import { isIP } from 'node:net';
import { parseAuthority } from '../data/match/authority.ts';
import { RequestView } from '../data/match/request-view.ts';
import { normaliseTarget, type Target } from '../data/match/target.ts';
import { GatewayError } from '../errors.ts';

/** What the user told besides method and URL. */
export interface Told {
  /** Flat: name, value, … */
  readonly header: readonly string[];
  readonly client: string;
}

export interface Question {
  readonly method: string;
  /** host[:port] */
  readonly authority: string;
  readonly target: Target;
  readonly view: RequestView;
}

/** Of a path alone, when no Host field is given. */
const DEFAULT_HOST = 'localhost';

/** @throws GatewayError when the gateway would refuse it before it looks for a route. */
export function readQuestion(method: string, url: string, { header, client }: Told): Question {
  if (isIP(client) === 0) throw new Error(`--client: '${client}' is not an IP address`);
  // A terminal gives characters, the wire bytes.
  const target = normaliseTarget(Buffer.from(url, 'utf8').toString('latin1'), method);
  const written = fieldOf(header, 'host') ?? DEFAULT_HOST;
  const parsed = target.authority ?? parseAuthority(written);
  if (parsed === undefined) throw refusal(`'${written}' is not a host.`, 400);
  if (method === 'TRACE') throw refusal('TRACE is not supported.', 405);
  if (method === 'CONNECT') throw refusal('CONNECT is not supported.', 405);
  const { host, port } = parsed;
  const view = new RequestView(method, host, target.routePath, target.search, header, client, schemeOf(url));
  return { method, authority: port === undefined ? host : `${host}:${port}`, target, view };
}

/** Of a path alone: what needs no certificate. */
const schemeOf = (url: string) => (/^https:/i.test(url) ? 'https' : 'http');

function fieldOf(fields: readonly string[], name: string): string | undefined {
  const at = fields.findIndex((field, index) => index % 2 === 0 && field.toLowerCase() === name);
  return at === -1 ? undefined : fields[at + 1];
}

function refusal(detail: string, status: number): GatewayError {
  return new GatewayError('http_request_error', detail, { detail, status });
}
