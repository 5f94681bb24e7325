/**
 * One exchange through all its tries. Downwards it is the handler of each try, one after the other; upwards it is one
 * Control that stays the same, so that a client that leaves ends the whole and not just the try under way.
 */
import type { Clock, Timer } from '../../src/clock.ts';
import type { Control, Dispatch, ResponseHandler, UpstreamRequest } from '../../src/data/dispatch.ts';
import { GatewayError } from '../../src/errors.ts';
import { isKeepable, isReplayable, KeptBody } from './body.ts';
import { isIdempotent, type RetryPolicy } from './policy.ts';
import { StreamedCall } from './replay.ts';

/**
 * - trying: nothing of an answer has been passed on, so there may be a further try.
 * - discarding: the answer's status is worth a further try; it begins when this one has ended.
 * - answering: the head has been passed on. What happens now, the client sees.
 */
type State = 'trying' | 'discarding' | 'answering' | 'over';

const DISCARDED = new GatewayError('connection_terminated', 'the answer was discarded to try the request again');

export class Tries implements ResponseHandler, Control {
  readonly #policy: RetryPolicy;
  readonly #clock: Clock;
  readonly #next: Dispatch;
  readonly #request: UpstreamRequest;
  readonly #handler: ResponseHandler;
  #state: State = 'trying';
  #retries = 0;
  /** Until the further try that was decided on. */
  #delayMs = 0;
  #wait: Timer | undefined;
  #keptBody: KeptBody | undefined;
  #streamedCall: StreamedCall | undefined;
  /** Of the try under way. */
  #control: Control | undefined;
  #stoppedBy: GatewayError | undefined;

  constructor(policy: RetryPolicy, clock: Clock, next: Dispatch, request: UpstreamRequest, handler: ResponseHandler) {
    this.#policy = policy;
    this.#clock = clock;
    this.#next = next;
    this.#request = request;
    this.#handler = handler;
  }

  start(): void {
    const request = this.#request;
    request.pool.budget.recordRequest();
    // Before the first try, so that the client can leave at any moment, also between tries.
    this.#handler.onStart(this);
    const { body, exchange } = request;
    if (exchange.grpc !== undefined && body !== null && !Buffer.isBuffer(body)) {
      this.#streamedCall = new StreamedCall(body, this.#policy.keptBytes);
    }
    if (isIdempotent(request.method) && isKeepable(request, this.#policy.keptBytes)) this.#keepBody();
    else this.#try();
  }

  #keepBody(): void {
    this.#keptBody = new KeptBody(this.#request, (error) => {
      this.#keptBody = undefined;
      if (error === undefined) this.#try();
      else this.abort(new GatewayError('http_request_error', 'request body broke off', { close: true, cause: error }));
    });
    if (this.#state === 'over') this.#keptBody.stop();
  }

  #try(): void {
    if (this.#state === 'over') return;
    this.#state = 'trying';
    this.#next(this.#request, this);
  }

  // --- the decision ---

  #mayTryAgain(nothingSent: boolean): boolean {
    const withheld = this.#reasonAgainst(nothingSent);
    if (withheld !== undefined) this.#request.exchange.record?.notRetried(withheld);
    return withheld === undefined;
  }

  /** @param nothingSent then another endpoint is tried at once: waiting would help nobody. */
  #reasonAgainst(nothingSent: boolean): string | undefined {
    const request = this.#request;
    if (this.#retries >= this.#policy.attempts) return 'attempts';
    if (!this.#isReplayable) return 'body';
    const untriedLeft = rememberEndpoint(request);
    const atOnce = nothingSent && untriedLeft && this.#retries === 0;
    this.#delayMs = atOnce ? 0 : this.#policy.backoffMs(this.#retries);
    if (request.exchange.remainingMs() <= this.#delayMs) return 'deadline';
    // A try of which nothing was sent gave no upstream any work, so the next one is no load on top: it costs no budget.
    // The budget last: it is spent by asking.
    return nothingSent || request.pool.budget.tryRetry(this.#policy.share) ? undefined : 'budget';
  }

  get #isReplayable(): boolean {
    return isReplayable(this.#request) || this.#streamedCall?.canReplay === true;
  }

  #tryAgain(): void {
    this.#control = undefined;
    this.#retries++;
    this.#request.exchange.retries++;
    this.#request.exchange.record?.retried(this.#delayMs);
    if (!isReplayable(this.#request)) this.#request.body = this.#streamedCall!.replay();
    if (this.#delayMs === 0) this.#try();
    else this.#wait = this.#clock.after(this.#delayMs, () => this.#try());
  }

  // --- handler of each try ---

  onStart(control: Control): void {
    if (this.#stoppedBy !== undefined) control.abort(this.#stoppedBy);
    else this.#control = control;
  }

  onInformation(status: number, fields: string[]): void {
    if (this.#state === 'trying') this.#handler.onInformation(status, fields);
  }

  onHead(status: number, fields: string[]): void {
    if (this.#state !== 'trying') return;
    if (this.#isWorthless(status) && this.#mayTryAgain(false)) {
      this.#state = 'discarding';
      this.#control!.abort(DISCARDED);
      return;
    }
    this.#state = 'answering';
    this.#streamedCall?.forget();
    this.#handler.onHead(status, fields);
  }

  #isWorthless(status: number): boolean {
    const { exchange, method } = this.#request;
    return this.#policy.coversStatus(status, method) || this.#policy.coversCall(exchange.grpc?.status);
  }

  onData(chunk: Buffer): void {
    if (this.#state === 'answering') this.#handler.onData(chunk);
  }

  onEnd(trailers: string[] | undefined): void {
    if (this.#state === 'discarding') return this.#tryAgain();
    if (this.#state !== 'answering') return;
    this.#state = 'over';
    this.#handler.onEnd(trailers);
  }

  onError(error: GatewayError): void {
    if (this.#state === 'over') return;
    if (this.#state === 'discarding' || (this.#state === 'trying' && this.#isWorthAnother(error))) {
      this.#tryAgain();
      return;
    }
    this.#state = 'over';
    this.#handler.onError(error);
  }

  #isWorthAnother(error: GatewayError): boolean {
    return this.#policy.coversError(error, this.#request.method) && this.#mayTryAgain(error.retry === 'always');
  }

  // --- control of the whole ---

  keepBytes(): () => void {
    return this.#control!.keepBytes();
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
    this.#wait?.cancel();
    this.#keptBody?.stop();
    this.#control?.abort(reason);
    this.#handler.onError(reason);
  }
}

/** @returns whether there is an endpoint that was not tried. If not, a second round begins, in which the latest is avoided. */
function rememberEndpoint(request: UpstreamRequest): boolean {
  const { endpoint, pool } = request;
  if (endpoint === undefined) return false;
  const tried = (request.tried ??= []);
  tried.push(endpoint);
  const untriedLeft = pool.hasUntried(tried);
  if (!untriedLeft) tried.splice(0, tried.length, endpoint);
  return untriedLeft;
}
