/**
 * One exchange, to its pool and to whatever that pool resorts to. Downwards it is the handler of each, one after the
 * other; upwards it is one Control that stays the same, so that a client that leaves ends whichever is under way.
 */
import type { Control, Dispatch, ResponseHandler, UpstreamRequest } from '../../src/data/dispatch.ts';
import { GatewayError } from '../../src/errors.ts';
import { isIdempotent } from '../../src/idempotent.ts';
import { isUnsent, type OwnAnswer, type Resort, type Resorts } from './resort.ts';

/**
 * - asking: nothing of an answer has been passed on.
 * - discarding: the answer's status is one to resort for.
 * - answering: the head has been passed on. What happens now, the client sees.
 */
type State = 'asking' | 'discarding' | 'answering' | 'over';

const DISCARDED = new GatewayError('connection_terminated', 'the answer was discarded for the pool’s fallback');

export class FallenBack implements ResponseHandler, Control {
  readonly #resorts: Resorts;
  readonly #next: Dispatch;
  readonly #request: UpstreamRequest;
  readonly #handler: ResponseHandler;
  #state: State = 'asking';
  #control: Control | undefined;
  #isStarted = false;
  #stoppedBy: GatewayError | undefined;

  constructor(resorts: Resorts, next: Dispatch, request: UpstreamRequest, handler: ResponseHandler) {
    this.#resorts = resorts;
    this.#next = next;
    this.#request = request;
    this.#handler = handler;
  }

  start(): void {
    this.#next(this.#request, this);
  }

  // --- handler of each ---

  onStart(control: Control): void {
    if (this.#stoppedBy !== undefined) return control.abort(this.#stoppedBy);
    this.#control = control;
    if (this.#isStarted) return;
    this.#isStarted = true;
    this.#handler.onStart(this);
  }

  onInformation(status: number, fields: string[]): void {
    if (this.#state === 'asking') this.#handler.onInformation(status, fields);
  }

  onHead(status: number, fields: string[]): void {
    if (this.#state !== 'asking') return;
    const resort = this.#resort;
    if (resort?.coversStatus(status) === true && this.#mayResort(resort, false)) {
      this.#state = 'discarding';
      this.#control!.abort(DISCARDED);
      // Unless the abort has been heard of: a layer that shares its answer with others lets one of them go silently.
      if (this.#state === 'discarding') this.#fallBack(resort, `status ${status}`, `received-status=${status}`);
      return;
    }
    this.#state = 'answering';
    this.#handler.onHead(status, fields);
  }

  onData(chunk: Buffer): void {
    if (this.#state === 'answering') this.#handler.onData(chunk);
  }

  onEnd(trailers: string[] | undefined): void {
    if (this.#state !== 'answering') return;
    this.#state = 'over';
    this.#handler.onEnd(trailers);
  }

  onError(error: GatewayError): void {
    if (this.#state === 'over' || this.#state === 'discarding') return;
    const resort = this.#state === 'asking' ? this.#resort : undefined;
    if (resort?.coversError(error) === true && this.#mayResort(resort, isUnsent(error))) {
      return this.#fallBack(resort, error.message, `error=${error.type}`);
    }
    this.#state = 'over';
    this.#handler.onError(error);
  }

  // --- the decision ---

  /** Of the pool that was asked last: what it resorts to may have a fallback of its own. */
  get #resort(): Resort | undefined {
    return this.#resorts.get(this.#request.pool.name);
  }

  #mayResort({ pool }: Resort, isUnsent: boolean): boolean {
    const { exchange, method, body, upgrade } = this.#request;
    // Its client would not understand an answer of ours.
    if (pool === undefined) return exchange.grpc === undefined && upgrade === undefined;
    const canSend = body === null || Buffer.isBuffer(body) || (!body.readableDidRead && !body.destroyed);
    return canSend && (isUnsent || isIdempotent(method)) && exchange.remainingMs() > 0;
  }

  /** @param because for the log. @param parameter of Proxy-Status. */
  #fallBack({ pool, answer, counter }: Resort, because: string, parameter: string): void {
    const request = this.#request;
    counter.increment();
    request.fallback = { from: request.fallback?.from ?? request.pool.name, because };
    if (pool === undefined) return this.#answer(answer!, parameter);
    request.pool = pool;
    request.endpoint = undefined;
    request.tried = undefined;
    this.#control = undefined;
    this.#state = 'asking';
    this.#next(request, this);
  }

  #answer({ status, fields, body }: OwnAnswer, parameter: string): void {
    this.#state = 'over';
    this.#control = undefined;
    if (!this.#isStarted) this.#handler.onStart(this);
    // RFC 9209: whoever reads it learns that this is no answer of the upstream's.
    this.#handler.onHead(status, [...fields, 'proxy-status', `aya; ${parameter}`]);
    if (body.length > 0 && this.#request.method !== 'HEAD') this.#handler.onData(body);
    this.#handler.onEnd(undefined);
  }

  // --- control of the whole ---

  keepBytes(): () => void {
    return this.#control?.keepBytes() ?? keepNothing;
  }

  pause(): void {
    this.#control?.pause();
  }

  resume(): void {
    this.#control?.resume();
  }

  abort(reason: GatewayError): void {
    if (this.#state === 'over') return;
    this.#state = 'over';
    this.#stoppedBy = reason;
    this.#control?.abort(reason);
    this.#handler.onError(reason);
  }
}

/** An answer of ours is a buffer of its own. */
function keepNothing(): void {}
