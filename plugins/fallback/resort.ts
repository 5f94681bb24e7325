/** What one pool resorts to, and when: its fallback, compiled. */
import type { FallbackAnswerConfig, FallbackConfig } from '../../src/config/failover-schema.ts';
import type { ErrorType, GatewayError } from '../../src/errors.ts';
import type { Counter } from '../../src/memory/counter-table.ts';
import type { Pool } from '../../src/upstream/pool.ts';

/** By the name of the pool that cannot serve. */
export type Resorts = ReadonlyMap<string, Resort>;

/** Errors that no word stands for are the request's own fault, or the gateway's. */
const WORDS: { readonly [Type in ErrorType]?: FallbackConfig['on'][number] } = {
  destination_unavailable: 'unavailable',
  dns_error: 'connect',
  connection_refused: 'connect',
  connection_timeout: 'connect',
  tls_certificate_error: 'connect',
  tls_protocol_error: 'connect',
  connection_limit_reached: 'saturated',
  connection_terminated: 'reset',
  http_response_incomplete: 'reset',
  http_protocol_error: 'reset',
  http_response_timeout: 'timeout',
};
const NOTHING_SENT: ReadonlySet<ErrorType> = new Set(['destination_unavailable', 'connection_limit_reached']);

export interface Resort {
  /** Undefined: `answer` is given. */
  readonly pool: Pool | undefined;
  readonly answer: OwnAnswer | undefined;
  readonly counter: Counter;
  coversError(error: GatewayError): boolean;
  coversStatus(status: number): boolean;
}

export interface OwnAnswer {
  readonly status: number;
  /** Flat: name, value … all but Proxy-Status. */
  readonly fields: readonly string[];
  readonly body: Buffer;
}

export function compileResort(
  { pool, answer, on }: FallbackConfig,
  poolOf: (name: string) => Pool,
  counters: { readonly pool: Counter; readonly answer: Counter },
): Resort {
  const covered = new Set(on);
  return {
    pool: pool === undefined ? undefined : poolOf(pool),
    answer: answer && compileAnswer(answer),
    counter: pool === undefined ? counters.answer : counters.pool,
    coversError({ type }) {
      const word = WORDS[type];
      return word !== undefined && covered.has(word);
    },
    coversStatus: (status) => covered.has(status),
  };
}

/** Whether no endpoint has seen anything of the request. */
export function isUnsent({ type, retry }: GatewayError): boolean {
  return retry === 'always' || NOTHING_SENT.has(type);
}

/** RFC 9111: what stands in for an answer must not be kept in its place, unless the operator says so. */
function compileAnswer({ status, body: text, headers }: FallbackAnswerConfig): OwnAnswer {
  const body = Buffer.from(text);
  const given = new Set(Object.keys(headers).map((name) => name.toLowerCase()));
  const fields = Object.entries(headers).flat();
  const unlessGiven = (name: string, value: string) => (given.has(name) ? [] : [name, value]);
  const hasBody = status !== 204 && status !== 205 && status !== 304;
  return {
    status,
    body,
    fields: [
      ...fields,
      ...(body.length > 0
        ? unlessGiven('content-type', isJson(text) ? 'application/json' : 'text/plain; charset=utf-8')
        : []),
      ...(hasBody ? ['content-length', String(body.length)] : []),
      ...unlessGiven('cache-control', 'no-store'),
    ],
  };
}

function isJson(text: string): boolean {
  if (!/^\s*[[{]/.test(text)) return false;
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
