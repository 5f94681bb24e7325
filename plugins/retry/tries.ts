/**
 * One exchange through all its tries. Downwards it is the handler of each try, one after the other; upwards it is one
 * Control that stays the same, so that a client that leaves ends the whole and not just the try under way.
 */
import type { Clock, Timer } from '../../src/clock.ts';
import type { Control, Dispatch, ResponseHandler, UpstreamRequest } from '../../src/data/dispatch.ts';
import { GatewayError } from '../../src/errors.ts';
import { isIdempotent } from '../../src/idempotent.ts';
import { askedMs } from './asked.ts';
import { isKeepable, isReplayable, KeptBody } from './body.ts';
import type { RetryPolicy, Withheld } from './policy.ts';
import { StreamedCall } from './replay.ts';

/**
 * - trying: nothing of an answer has been passed on, so there may be a further try.
 * - discarding: the answer's status is worth a further try; it begins when this one has ended.
 * - answering: the head has been passed on. What happens now, the client sees.
 */
type State = 'trying' | 'discarding' | 'answering' | 'over';

const DISCARDED = new GatewayError('connection_terminated', 'the answer was discarded to try the request again');

/** What all requests of a route share. */
export interface RouteRetries {
  readonly policy: RetryPolicy;
  readonly clock: Clock;
  readonly onWithheld: (reason: Withheld) => void;
}

export class Tries implements ResponseHandler, Control {
  readonly #route: RouteRetries;
  readonly #next: Dispatch;
  readonly #request: UpstreamRequest;
  readonly #handler: ResponseHandler;
  #state: State = 'trying';
  #retries = 0;
  /** Until the further try that was decided on. */
  #delayMs = 0;
  #wait: Timer | undefined;
  /** Of the try before, for when there is no place for the further one in time. */
  #lastError: GatewayError | undefined;
  /** The further try was granted by the budget, and has not left it. */
  #isGranted = false;
  #keptBody: KeptBody | undefined;
  #streamedCall: StreamedCall | undefined;
  /** Of the try under way. */
  #control: Control | undefined;
  #stoppedBy: GatewayError | undefined;

  constructor(route: RouteRetries, next: Dispatch, request: UpstreamRequest, handler: ResponseHandler) {
    this.#route = route;
    this.#next = next;
    this.#request = request;
    this.#handler = handler;
  }

  start(): void {
    const request = this.#request;
    const { body, exchange } = request;
    const { keptBytes } = this.#route.policy;
    request.pool.budget.recordRequest(exchange.startedAt);
    // Before the first try, so that the client can leave at any moment, also between tries.
    this.#handler.onStart(this);
    if (exchange.grpc !== undefined && body !== null && !Buffer.isBuffer(body)) {
      this.#streamedCall = new StreamedCall(body, keptBytes);
    }
    if (isIdempotent(request.method) && isKeepable(request, keptBytes)) this.#keepBody();
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

  /** @param mayRepeat the method, or that nothing was sent, allows it. */
  #decide(mayRepeat: boolean, isFree: boolean, asked: number, hasAnswer: boolean): boolean {
    const withheld = this.#reasonAgainst(mayRepeat, isFree, asked, hasAnswer);
    if (withheld === undefined) return true;
    this.#withhold(withheld);
    return false;
  }

  /** @param isFree nothing was sent: another endpoint is tried at once, for waiting would help nobody. */
  #reasonAgainst(mayRepeat: boolean, isFree: boolean, asked: number, hasAnswer: boolean): Withheld | undefined {
    const { policy } = this.#route;
    const request = this.#request;
    if (this.#isGranted) request.pool.budget.leaveFailed();
    this.#isGranted = false;
    if (!mayRepeat) return 'method';
    if (this.#retries >= policy.attempts) return 'attempts';
    if (!this.#isReplayable) return 'body';
    if (asked > policy.longestAskedMs) return 'retry-after';
    const untriedLeft = rememberEndpoint(request);
    const atOnce = isFree && untriedLeft && this.#retries === 0;
    this.#delayMs = atOnce ? 0 : policy.backoffMs(this.#retries, asked);
    if (request.exchange.remainingMs() <= this.#delayMs) return 'deadline';
    // A try of which nothing was sent gave no upstream any work, so the next one is no load on top: it costs no budget.
    return isFree ? undefined : this.#askBudget(hasAnswer);
  }

  /** The budget last: it is spent by asking. Who has no answer to pass on loses nothing by waiting for a place. */
  #askBudget(hasAnswer: boolean): Withheld | undefined {
    const answer = this.#request.pool.budget.ask(this.#route.policy.share);
    this.#isGranted = answer === 'granted';
    if (this.#isGranted) return undefined;
    if (answer === 'spent') return 'budget';
    return hasAnswer ? 'crowded' : undefined;
  }

  get #isReplayable(): boolean {
    return isReplayable(this.#request) || this.#streamedCall?.canReplay === true;
  }

  #tryAgain(isFree: boolean): void {
    this.#control = undefined;
    this.#retries++;
    if (this.#delayMs === 0) this.#retry(isFree);
    else this.#wait = this.#route.clock.after(this.#delayMs, () => this.#retry(isFree));
  }

  #retry(isFree: boolean): void {
    if (!isFree && !this.#isGranted) {
      const withheld = this.#askBudget(false);
      if (withheld !== undefined) return this.#giveUp(withheld);
      if (!this.#isGranted) return this.#waitForPlace();
    }
    this.#request.exchange.retries++;
    this.#request.exchange.record?.retried(this.#delayMs);
    if (!isReplayable(this.#request)) this.#request.body = this.#streamedCall!.replay();
    this.#try();
  }

  /** As many further tries as may be are under way: those of an endpoint that has just been killed, say. */
  #waitForPlace(): void {
    const { policy, clock } = this.#route;
    const delayMs = policy.backoffMs(this.#retries);
    if (this.#request.exchange.remainingMs() <= delayMs) return this.#giveUp('crowded');
    this.#wait = clock.after(delayMs, () => this.#retry(false));
  }

  #withhold(withheld: Withheld): void {
    this.#route.onWithheld(withheld);
    this.#request.exchange.record?.notRetried(withheld);
  }

  #giveUp(withheld: Withheld): void {
    this.#withhold(withheld);
    this.#state = 'over';
    this.#handler.onError(this.#lastError!);
  }

  #leaveBudget(): void {
    if (this.#isGranted) this.#request.pool.budget.leave();
    this.#isGranted = false;
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
    if (this.#isWorthAnother(status, fields)) {
      this.#state = 'discarding';
      this.#control!.abort(DISCARDED);
      return;
    }
    this.#state = 'answering';
    this.#leaveBudget();
    this.#streamedCall?.forget();
    this.#handler.onHead(status, fields);
  }

  /** An answer tells that the request arrived, and a 503 does not tell how far it got (RFC 9110 §9.2.2). */
  #isWorthAnother(status: number, fields: readonly string[]): boolean {
    const { exchange, method } = this.#request;
    const { policy, clock } = this.#route;
    const isCall = policy.coversCall(exchange.grpc?.status);
    if (!isCall && !policy.coversStatus(status)) return false;
    return this.#decide(isCall || isIdempotent(method), false, askedMs(fields, isCall, clock), true);
  }

  onData(chunk: Buffer): void {
    if (this.#state === 'answering') this.#handler.onData(chunk);
  }

  onEnd(trailers: string[] | undefined): void {
    if (this.#state === 'discarding') return this.#tryAgain(false);
    if (this.#state !== 'answering') return;
    this.#state = 'over';
    this.#handler.onEnd(trailers);
  }

  onError(error: GatewayError): void {
    if (this.#state === 'over') return;
    if (this.#state === 'discarding') return this.#tryAgain(false);
    const isFree = error.retry === 'always';
    if (this.#state === 'trying' && this.#isWorthAnotherThan(error, isFree)) {
      this.#lastError = error;
      return this.#tryAgain(isFree);
    }
    this.#state = 'over';
    this.#leaveBudget();
    this.#handler.onError(error);
  }

  /** What may have been processed is repeated only where twice is the same as once. */
  #isWorthAnotherThan(error: GatewayError, isFree: boolean): boolean {
    if (!this.#route.policy.coversError(error)) return false;
    return this.#decide(isFree || isIdempotent(this.#request.method), isFree, 0, false);
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
    this.#leaveBudget();
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
