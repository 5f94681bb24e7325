/** What the head of a request may hold, by its route: decided when the route is compiled, told with its key and value. */
import type { RouteLimitsConfig } from '../config/schema.ts';
import { GatewayError } from '../errors.ts';
import type { Exchange } from './exchange.ts';

type Check = (exchange: Exchange) => void;

/** @returns what throws for a head beyond one of the limits; of those that are not set, nothing is left in it. */
export function compileRequestLimits(limits: RouteLimitsConfig): Check {
  const { target, headers, fields, query, cookies } = limits;
  const checks: Check[] = [];
  if (target !== undefined) {
    const error = refusal(414, 'target', `The request target is longer than ${target} bytes`);
    checks.push(({ req, target: sent }) => refuseIf(Math.max(sent.length, req.url!.length) > target, error));
  }
  if (headers !== undefined) {
    const error = refusal(431, 'headers', `The header block is larger than ${headers} bytes`);
    checks.push(({ req }) => refuseIf(headerBytes(req.rawHeaders) > headers, error));
  }
  if (fields !== undefined) {
    const error = refusal(431, 'fields', `The request has more than ${fields} header fields`);
    checks.push(({ req }) => refuseIf(req.rawHeaders.length / 2 > fields, error));
  }
  const tooManyParameters = refusal(400, 'query', `The request has more than ${query} query parameters`);
  const tooManyCookies = refusal(431, 'cookies', `The request has more than ${cookies} cookies`);
  checks.push(
    ({ search }) => refuseIf(isListLongerThan(search, '&', query), tooManyParameters),
    ({ req }) => refuseIf(cookieCount(req.rawHeaders, cookies) > cookies, tooManyCookies),
  );
  return (exchange) => {
    for (const check of checks) check(exchange);
  };
}

function refusal(status: number, key: string, sentence: string): () => GatewayError {
  const options = { status, detail: `${sentence} (limits.${key}).` };
  return () => new GatewayError('http_request_denied', `${sentence} (limits.${key})`, options);
}

function refuseIf(isBeyond: boolean, error: () => GatewayError): void {
  if (isBeyond) throw error();
}

/** Each field with its `: ` and line end; Node has read it as latin1, so a character is a byte. */
function headerBytes(fields: readonly string[]): number {
  let bytes = 0;
  for (let at = 0; at < fields.length; at += 2) bytes += fields[at]!.length + fields[at + 1]!.length + 4;
  return bytes;
}

/** Of the listed; empty entries count, since they have to be read too. Most texts are too short to hold so many. */
function isListLongerThan(text: string, separator: string, most: number): boolean {
  return text.length >= most && text !== '' && countEntries(text, separator) > most;
}

function countEntries(text: string, separator: string): number {
  let count = 1;
  for (let at = text.indexOf(separator); at !== -1; at = text.indexOf(separator, at + 1)) count++;
  return count;
}

function cookieCount(fields: readonly string[], most: number): number {
  let count = 0;
  for (let at = 0; at < fields.length && count <= most; at += 2) {
    const name = fields[at]!;
    if (name.length === 6 && name.toLowerCase() === 'cookie') count += countEntries(fields[at + 1]!, ';');
  }
  return count;
}
