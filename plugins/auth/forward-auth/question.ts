/** One question to the service that decides, and what came back. */
import type { Clock, Timer } from '../../../src/clock.ts';
import type { Control, Dispatch, ResponseHandler, UpstreamRequest } from '../../../src/data/dispatch.ts';
import type { Exchange } from '../../../src/data/exchange.ts';
import { GatewayError } from '../../../src/errors.ts';
import type { Pool } from '../../../src/upstream/pool.ts';
import type { ForwardAuthOptions } from './schema.ts';

/** A login page fits; a service that says more than this says nothing. */
const MOST_BYTES = 64 * 1024;

export interface Answer {
  /** 0: none came. */
  readonly status: number;
  readonly fields: readonly string[];
  readonly body: Buffer;
  readonly failure?: string;
}

/** `done` is called once, at the latest when the time is up. */
export function ask(
  exchange: Exchange,
  options: ForwardAuthOptions,
  pool: Pool,
  send: Dispatch,
  clock: Clock,
  done: (answer: Answer) => void,
): void {
  const request: UpstreamRequest = {
    exchange,
    method: options.method,
    target: options.path,
    fields: fieldsOf(exchange, options.requestHeaders),
    body: null,
    contentLength: undefined,
    maxBodyBytes: 0,
    // Its time is for the whole answer, not for the head alone.
    perTryMs: 0,
    pool,
    endpoint: undefined,
    tried: undefined,
  };
  send(request, new Listening(clock, options.timeout, done));
}

function fieldsOf(exchange: Exchange, names: readonly string[]): string[] {
  const fields = [
    'host',
    exchange.authority,
    'x-forwarded-method',
    exchange.method,
    'x-forwarded-proto',
    exchange.scheme,
    'x-forwarded-host',
    exchange.authority,
    'x-forwarded-uri',
    exchange.target,
    'x-forwarded-for',
    exchange.clientAddress,
  ];
  for (const name of names) {
    const value = exchange.header(name.toLowerCase());
    if (value !== undefined) fields.push(name, value);
  }
  return fields;
}

class Listening implements ResponseHandler {
  readonly #done: (answer: Answer) => void;
  readonly #timer: Timer;
  readonly #chunks: Buffer[] = [];
  #control: Control | undefined;
  #status = 0;
  #fields: readonly string[] = [];
  #bytes = 0;

  constructor(clock: Clock, timeoutMs: number, done: (answer: Answer) => void) {
    this.#done = done;
    this.#timer = clock.after(timeoutMs, () => {
      this.#control?.abort(new GatewayError('http_response_timeout', `no whole answer within ${timeoutMs} ms`));
    });
  }

  onStart(control: Control): void {
    this.#control = control;
  }

  onInformation(): void {}

  onHead(status: number, fields: string[]): void {
    this.#status = status;
    this.#fields = fields;
  }

  onData(chunk: Buffer): void {
    this.#bytes += chunk.length;
    if (this.#bytes > MOST_BYTES) {
      const error = new GatewayError('http_protocol_error', `an answer over ${MOST_BYTES} bytes`);
      return this.#control!.abort(error);
    }
    // Its bytes are the connection's own.
    this.#chunks.push(Buffer.from(chunk));
  }

  onEnd(): void {
    this.#timer.cancel();
    this.#done({ status: this.#status, fields: this.#fields, body: Buffer.concat(this.#chunks) });
  }

  onError(error: GatewayError): void {
    this.#timer.cancel();
    this.#done({ status: 0, fields: [], body: Buffer.alloc(0), failure: error.message });
  }
}
