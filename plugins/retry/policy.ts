/** What is worth a further try, and when: the options of one route, compiled. It knows of no request in particular. */
import type { Random } from '../../src/clock.ts';
import type { ErrorType, GatewayError } from '../../src/errors.ts';
import { codeOf } from '../../src/grpc/status.ts';
import type { RetryConfig, RetryWord } from './schema.ts';

type Trouble = 'connect' | 'reset' | 'timeout';

/** Errors that no word stands for are final: they are the request's own fault, or the gateway's. */
const TROUBLES: { readonly [Type in ErrorType]?: Trouble } = {
  dns_error: 'connect',
  connection_refused: 'connect',
  connection_timeout: 'connect',
  tls_certificate_error: 'connect',
  tls_protocol_error: 'connect',
  connection_terminated: 'reset',
  http_response_incomplete: 'reset',
  http_protocol_error: 'reset',
  http_response_timeout: 'timeout',
};

/** As Envoy has them: what may be gone at another endpoint, or a moment later. */
const GRPC_WORDS: readonly (readonly [word: RetryWord, code: number])[] = [
  ['grpc-cancelled', codeOf('CANCELLED')],
  ['grpc-deadline-exceeded', codeOf('DEADLINE_EXCEEDED')],
  ['grpc-internal', codeOf('INTERNAL')],
  ['grpc-resource-exhausted', codeOf('RESOURCE_EXHAUSTED')],
  ['grpc-unavailable', codeOf('UNAVAILABLE')],
];

/** Why a try that failed in a way which is tried again was not. */
export const WITHHELD = ['attempts', 'method', 'body', 'retry-after', 'deadline', 'budget', 'crowded'] as const;
export type Withheld = (typeof WITHHELD)[number];

export class RetryPolicy {
  readonly attempts: number;
  readonly share: number;
  /** Larger bodies are not kept for a second try; 0 when nothing that was sent is ever sent again. */
  readonly keptBytes: number;
  /** Nobody is kept waiting for longer because an answer asks for it. */
  readonly longestAskedMs: number;
  readonly #on: ReadonlySet<RetryWord | number>;
  readonly #grpcCodes: ReadonlySet<number>;
  readonly #baseMs: number;
  readonly #maxMs: number;
  readonly #random: Random;

  constructor(config: RetryConfig, random: Random) {
    this.attempts = config.attempts;
    this.share = config.budget;
    this.longestAskedMs = config.retryAfter;
    this.keptBytes = config.on.every((word) => word === 'connect') ? 0 : config.maxBody;
    this.#on = new Set(config.on);
    this.#grpcCodes = new Set(GRPC_WORDS.flatMap(([word, code]) => (config.on.includes(word) ? [code] : [])));
    this.#baseMs = config.backoff.base;
    this.#maxMs = config.backoff.max;
    this.#random = random;
  }

  coversError({ type, retry }: GatewayError): boolean {
    const trouble = TROUBLES[type];
    return trouble !== undefined && retry !== 'never' && this.#on.has(trouble);
  }

  coversStatus(status: number): boolean {
    return status >= 400 && this.#on.has(status);
  }

  /**
   * Every call is a POST, so no method says which may be repeated: whoever names a status on a route says so.
   * @param code in the head of the answer, which then has no message; undefined when there is none.
   */
  coversCall(code: number | undefined): boolean {
    return code !== undefined && this.#grpcCodes.has(code);
  }

  /**
   * Full jitter: clients that failed together must not return together, also those that were all told the same time.
   * @param retry 0 for the first. @param askedMs by the answer.
   */
  backoffMs(retry: number, askedMs = 0): number {
    const ownMs = this.#random() * Math.min(this.#maxMs, this.#baseMs * 2 ** retry);
    return askedMs === 0 ? ownMs : Math.max(ownMs, askedMs * (1 + this.#random() / 2));
  }
}
