/**
 * What layers are tested against: an innermost dispatch that plays a script, one entry per try, over endpoints that it
 * picks as a pool does (an untried one while there is one), and a handler that writes down what it hears.
 */
import type { Control, Dispatch, ResponseHandler, UpstreamRequest } from '../../src/data/dispatch.ts';
import type { Exchange } from '../../src/data/exchange.ts';
import { GatewayError, type ErrorType } from '../../src/errors.ts';
import { EndpointTable } from '../../src/memory/endpoint-table.ts';
import { LatencyQuantile } from '../../src/upstream/latency-quantile.ts';
import type { Endpoint, Pool } from '../../src/upstream/pool.ts';
import type { RetryBudget } from '../../src/upstream/retry-budget.ts';
import { VERDICT } from '../../src/memory/sample-table.ts';
import { budgetOf } from './budget.ts';
import type { FakeClock } from './fake-clock.ts';
import { requestOf } from './picking.ts';

/** A status answers, an error type fails, `hang` says nothing, a function does what it likes. */
export type Play = number | ErrorType | 'hang' | ((scripted: ScriptedTry, request: UpstreamRequest) => void);

export interface ScriptedOptions {
  readonly clock: FakeClock;
  readonly method?: string;
  readonly body?: UpstreamRequest['body'];
  readonly contentLength?: number;
  /** Time for the head over all tries. */
  readonly headMs?: number;
  readonly endpoints?: number;
  readonly budget?: RetryBudget;
  readonly p95?: LatencyQuantile;
}

export class Scripted {
  readonly request: UpstreamRequest;
  /** Rows of the endpoints that were tried, and when. */
  readonly tried: { readonly row: number; readonly at: number }[] = [];
  /** Bodies as each try could have sent them. */
  readonly bodies: UpstreamRequest['body'][] = [];
  /** Reasons with which tries were aborted. */
  readonly aborted: GatewayError[] = [];
  readonly #script: readonly Play[];
  readonly #clock: FakeClock;
  readonly #endpoints: readonly Endpoint[];

  /** @param script the last entry goes on for ever. */
  constructor(script: readonly Play[], options: ScriptedOptions) {
    const { clock } = options;
    this.#script = script;
    this.#clock = clock;
    this.#endpoints = Array.from(
      { length: options.endpoints ?? 3 },
      (_, row) => ({ url: `http://10.0.0.${row}`, weight: 1, row }) as Endpoint,
    );
    const endsAt = clock.now() + (options.headMs ?? 15_000);
    const exchange = {
      ...requestOf(0),
      startedAt: clock.now(),
      retries: 0,
      hedges: 0,
      remainingMs: () => endsAt - clock.now(),
    };
    const pool = {
      name: 'scripted',
      budget: options.budget ?? budgetOf(clock),
      p95: options.p95 ?? new LatencyQuantile(EndpointTable.allocate(1, 1).budgets, 0),
      verdict: (status: number) => (status >= 500 ? VERDICT.failed : VERDICT.ok),
      hasUntried: (tried: readonly Endpoint[]) => this.#endpoints.some((endpoint) => !tried.includes(endpoint)),
    };
    this.request = {
      exchange: exchange as unknown as Exchange,
      method: options.method ?? 'GET',
      target: '/',
      fields: ['host', 'example.com'],
      body: options.body ?? null,
      contentLength: options.contentLength,
      maxBodyBytes: Infinity,
      perTryMs: 0,
      pool: pool as unknown as Pool,
      tried: undefined,
      endpoint: undefined,
    };
  }

  readonly dispatch: Dispatch = (request, handler) => {
    const tried = request.tried ?? [];
    const endpoint = this.#endpoints.find((candidate) => !tried.includes(candidate)) ?? this.#endpoints[0]!;
    const play = this.#script[Math.min(this.tried.length, this.#script.length - 1)]!;
    request.endpoint = endpoint;
    this.tried.push({ row: endpoint.row, at: this.#clock.now() });
    this.bodies.push(request.body);
    const scripted = new ScriptedTry(handler, this.aborted);
    handler.onStart(scripted);
    if (typeof play === 'function') play(scripted, request);
    else if (typeof play === 'number') scripted.answer(play);
    else if (play !== 'hang') scripted.fail(play);
  };
}

/** The upstream's side of one try; once aborted or over it says nothing more, as a real one. */
export class ScriptedTry implements Control {
  readonly #handler: ResponseHandler;
  readonly #aborted: GatewayError[];
  #over = false;

  constructor(handler: ResponseHandler, aborted: GatewayError[]) {
    this.#handler = handler;
    this.#aborted = aborted;
  }

  inform(status: number): void {
    if (!this.#over) this.#handler.onInformation(status, []);
  }

  head(status: number, fields: string[] = []): void {
    if (!this.#over) this.#handler.onHead(status, fields);
  }

  data(text: string): void {
    if (!this.#over) this.#handler.onData(Buffer.from(text));
  }

  end(): void {
    if (this.#over) return;
    this.#over = true;
    this.#handler.onEnd(undefined);
  }

  fail(type: ErrorType): void {
    if (this.#over) return;
    this.#over = true;
    this.#handler.onError(new GatewayError(type, `scripted ${type}`));
  }

  answer(status: number): void {
    this.head(status);
    this.data(`body of ${status}`);
    this.end();
  }

  pause(): void {}

  resume(): void {}

  keepBytes(): () => void {
    return () => {};
  }

  abort(reason: GatewayError): void {
    if (this.#over) return;
    this.#over = true;
    this.#aborted.push(reason);
    this.#handler.onError(reason);
  }
}

/** A handler that writes down what it hears, in short words. */
export class Heard implements ResponseHandler {
  readonly events: string[] = [];
  control: Control | undefined;
  error: GatewayError | undefined;

  onStart(control: Control): void {
    this.events.push('start');
    this.control = control;
  }

  onInformation(status: number): void {
    this.events.push(`information ${status}`);
  }

  onHead(status: number): void {
    this.events.push(`head ${status}`);
  }

  onData(chunk: Buffer): void {
    this.events.push(chunk.toString());
  }

  onEnd(): void {
    this.events.push('end');
  }

  onError(error: GatewayError): void {
    this.error = error;
    this.events.push(`error ${error.type}`);
  }
}
