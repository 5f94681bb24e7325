/**
 * One try at one endpoint: the innermost dispatch. It picks, sends, and when the try is over says how it went, to the
 * endpoint's row in shared memory, so that balancers, health and metrics of all threads know.
 */
import type { Clock } from '../clock.ts';
import type { Control, Dispatch, ResponseHandler, UpstreamRequest } from '../data/dispatch.ts';
import type { Exchange } from '../data/exchange.ts';
import { GatewayError } from '../errors.ts';
import { GRPC_STATUSES } from '../grpc/status.ts';
import type { EndpointTable } from '../memory/endpoint-table.ts';
import { OUTCOME, type MetricWriter } from '../memory/metric-table.ts';
import { BREAKER, stateOf } from '../memory/breaker-table.ts';
import { VERDICT, type Verdict } from '../memory/sample-table.ts';
import { Deadline, type TimerWheel } from '../timer-wheel.ts';
import type { AttemptRecord } from './attempt-record.ts';
import { REFUSED, type Breaker, type BreakerMove, type Outcome } from './breaker.ts';
import type { Call, Carrier, Switched } from './call.ts';
import { tellTimeLeft } from './time-left.ts';
import type { LatencyRecorder } from './endpoint.ts';
import type { Endpoint } from './pool.ts';
import { FULL } from './saturation/gate.ts';
import { askFirst } from './sticky/ask-first.ts';

/** What every try of a thread shares. */
export interface UpstreamContext {
  readonly thread: number;
  readonly clock: Clock;
  readonly wheel: TimerWheel;
  readonly table: EndpointTable;
  readonly metrics: MetricWriter;
  readonly latency: LatencyRecorder;
  /** An endpoint has failed often enough in a row for the control plane to look at it. */
  readonly suspect: (row: number, failures: number, reason: string) => void;
  /** This thread has moved the breaker of a row. */
  readonly breakerMoved: (row: number, move: BreakerMove) => void;
  /** An attempt has failed: its exchange may have a decision record from here on. */
  readonly recordFailure: (exchange: Exchange) => Exchange['record'];
}

export function attemptDispatch(context: UpstreamContext): Dispatch {
  const start = (request: UpstreamRequest, handler: ResponseHandler) => startAttempt(context, request, handler);
  const dispatch: Dispatch = (request, handler) => {
    const { pool } = request;
    if (pool.sticky?.asks(request) === true) return askFirst(pool.sticky, request, handler, dispatch);
    request.endpoint = undefined;
    if (pool.gate === undefined) start(request, handler);
    else pool.gate.enter(request, handler, start);
  };
  return dispatch;
}

/** @returns false: all endpoints have as much as they take, and nothing has happened. */
function startAttempt(context: UpstreamContext, request: UpstreamRequest, handler: ResponseHandler): boolean {
  const { pool } = request;
  const { gate } = pool;
  const now = context.clock.now();
  if (request.tellsDeadline !== undefined || request.exchange.grpc !== undefined) {
    const tooLate = tellTimeLeft(request, context.clock, now);
    if (tooLate !== undefined) return refuse(request, handler, tooLate);
  }
  const poolTicket = ticketOf(pool.breaker);
  if (poolTicket === REFUSED) return refuse(request, handler, pool.broken);
  let stuckTo = pool.sticky?.pick(request);
  for (;;) {
    const picked = stuckTo ?? pool.pick(request.exchange, request.tried, now);
    const endpoint = gate === undefined ? picked : gate.takeAt(picked, request);
    stuckTo = undefined;
    if (endpoint === undefined || endpoint === FULL) {
      pool.breaker?.record(poolTicket, 'cancelled', 0);
      return endpoint === undefined && refuse(request, handler, pool.unavailable);
    }
    const ticket = ticketOf(endpoint.breaker);
    if (ticket !== REFUSED) {
      request.endpoint = endpoint;
      new Attempt(context, request, handler, endpoint, ticket, poolTicket).start(now);
      return true;
    }
    gate?.giveBack(endpoint);
    // Another thread has moved the breaker, or had its last place, since this one looked.
    pool.lookAgain();
  }
}

function refuse(request: UpstreamRequest, handler: ResponseHandler, error: GatewayError): true {
  const record = request.exchange.record?.picked(request, undefined);
  if (record !== undefined) record.fault = error.type;
  request.pool.gate?.leave();
  handler.onError(error);
  return true;
}

/** Where there is no breaker, any number is a ticket. */
function ticketOf(breaker: Breaker | undefined): number {
  return breaker === undefined ? 0 : breaker.admit();
}

class Attempt extends Deadline implements Call, Control {
  readonly request: UpstreamRequest;
  carrier: Carrier | null = null;
  readonly #context: UpstreamContext;
  readonly #handler: ResponseHandler;
  readonly #endpoint: Endpoint;
  #startedAt = 0;
  #headAt = 0;
  #status = 0;
  #over = false;
  /** The endpoint has its verdict. */
  #judged = false;
  /** What its breaker and its pool's have admitted it under. */
  readonly #ticket: number;
  readonly #poolTicket: number;
  /** The breakers know. */
  #recorded: boolean;
  /** In the decision record of the exchange, if it has one. */
  #noted: AttemptRecord | undefined;

  constructor(
    context: UpstreamContext,
    request: UpstreamRequest,
    handler: ResponseHandler,
    endpoint: Endpoint,
    ticket: number,
    poolTicket: number,
  ) {
    super();
    this.#ticket = ticket;
    this.#poolTicket = poolTicket;
    this.#recorded = endpoint.breaker === undefined && request.pool.breaker === undefined;
    this.#context = context;
    this.request = request;
    this.#handler = handler;
    this.#endpoint = endpoint;
  }

  start(now: number): void {
    const { table, thread } = this.#context;
    this.#startedAt = now;
    this.#noted = this.request.exchange.record?.picked(this.request, this.#endpoint);
    // A gate has taken its place already.
    if (this.request.pool.gate === undefined) table.begin(this.#endpoint.row, thread);
    if (!this.#isStreamed) this.#setDeadline();
    this.#handler.onStart(this);
    // The handler may have given up at once: its client is gone.
    if (!this.#over) this.#endpoint.connections.start(this);
  }

  /** A body that the client is still sending delays the answer, and is no fault of the endpoint's. */
  get #isStreamed(): boolean {
    const { body } = this.request;
    return body !== null && !Buffer.isBuffer(body);
  }

  #setDeadline(): void {
    const { perTryMs } = this.request;
    if (perTryMs > 0) this.#context.wheel.set(this, this.#startedAt + perTryMs);
  }

  // --- Control ---

  keepBytes(): () => void {
    return this.carrier!.keepBytes();
  }

  pause(): void {
    this.carrier?.pause();
  }

  resume(): void {
    this.carrier?.resume();
  }

  abort(reason: GatewayError): void {
    if (this.#over) return;
    this.#letGo();
    // The client left or time ran out over all tries: no verdict on the endpoint, unless it kept us waiting.
    this.#end(reason.type === 'http_response_timeout' ? reason : undefined);
    this.#handler.onError(reason);
  }

  // --- Deadline: this try's own time is up ---

  override onDue(): void {
    const reason = new GatewayError(
      'http_response_timeout',
      `${this.#endpoint.url}: no answer within ${this.request.perTryMs} ms`,
    );
    this.abort(reason);
  }

  // --- Call ---

  onSent(): void {
    if (!this.#isStreamed || this.#headAt > 0) return;
    // From here on it is the endpoint that takes its time.
    this.#startedAt = this.#context.clock.now();
    this.#setDeadline();
  }

  onInformation(status: number, fields: string[]): void {
    this.#handler.onInformation(status, fields);
  }

  onHead(status: number, fields: string[]): void {
    this.#status = status;
    this.#headAt = this.#context.clock.now();
    if (this.request.perTryMs > 0) this.#context.wheel.clear(this);
    const { exchange } = this.request;
    exchange.upstreamMs = this.#headAt - this.#startedAt;
    if (this.#noted !== undefined || status >= 500) this.#note('', exchange.upstreamMs);
    const refusal = exchange.upgrade?.refusalOf(status);
    if (refusal !== undefined) return this.abort(refusal);
    exchange.grpc?.onHead(fields);
    if (!this.#recorded && this.#isProbe) this.#record(this.#saidVerdict, exchange.upstreamMs, this.#headAt);
    this.request.bond?.stickiness.answered(this.request.bond, this.#endpoint, fields);
    this.#handler.onHead(status, this.#withoutReports(fields));
  }

  /** The endpoint has done well by agreeing: what passes from here on, and how that ends, is not its doing. */
  onSwitched(fields: string[], upstream: Switched): void {
    this.request.exchange.upgrade!.upstream = upstream;
    this.onHead(101, fields);
    if (!this.#judged) this.#judge(undefined);
  }

  onBody(bytes: Buffer): void {
    this.#handler.onData(bytes);
  }

  onComplete(trailers: string[] | undefined): void {
    if (this.#over) return;
    this.request.exchange.grpc?.onTrailers(trailers);
    this.#end(undefined);
    this.#handler.onEnd(trailers && this.#withoutReports(trailers));
  }

  /** What the endpoint says of its load is for the gateway alone. */
  #withoutReports(fields: string[]): string[] {
    const { loads } = this.request.pool;
    if (loads === undefined) return fields;
    return loads.take(this.#endpoint.row, fields, this.#saidVerdict === VERDICT.failed);
  }

  onFailure(error: GatewayError): void {
    if (this.#over) return;
    this.#end(error);
    this.#handler.onError(error);
  }

  // --- the end ---

  #letGo(): void {
    const { carrier } = this;
    this.carrier = null;
    if (carrier === null) this.#endpoint.connections.forget(this);
    else carrier.abandon();
  }

  /** Exactly once. @param error why there is no whole answer; undefined also when the client left. */
  #end(error: GatewayError | undefined): void {
    this.#over = true;
    const { table, thread, wheel } = this.#context;
    wheel.clear(this);
    table.end(this.#endpoint.row, thread);
    if (!this.#judged) this.#judge(error);
    this.request.pool.gate?.leave();
  }

  #judge(error: GatewayError | undefined): void {
    this.#judged = true;
    const { table, thread, clock, latency, metrics } = this.#context;
    const { pool } = this.request;
    const { row } = this.#endpoint;
    const answered = this.#status !== 0;
    const now = clock.now();
    const durationMs = (answered ? this.#headAt : now) - this.#startedAt;
    // The client's leaving, or a refusal of ours (body too large, queue full), says nothing about the endpoint.
    if (error === undefined ? !answered : error.retry === 'never') {
      metrics.attempt(row, OUTCOME.cancelled, durationMs);
      const isOvertaken = error?.type === 'http_response_timeout';
      // It kept a caller waiting to the end of its deadline, or until another endpoint had answered.
      if (isOvertaken) latency.waited(row, durationMs, now);
      if (error !== undefined && !isOvertaken) this.#note(error.type, durationMs);
      else if (this.#noted !== undefined) this.#noted.cancelled = true;
      if (!this.#recorded) this.#record(VERDICT.ignored, durationMs, now);
      return;
    }
    const verdict = error === undefined ? this.#saidVerdict : VERDICT.failed;
    metrics.attempt(row, answered ? this.#statusClass : OUTCOME.failure, durationMs);
    if (this.#noted !== undefined || verdict === VERDICT.failed)
      this.#note(error?.type ?? this.#grpcFault ?? '', durationMs);
    if (pool.compares) table.samples.add(row, thread, verdict, durationMs);
    if (!this.#recorded) this.#record(verdict, durationMs, now);
    if (verdict === VERDICT.ignored) return;
    latency.record(row, durationMs, verdict === VERDICT.failed, now);
    if (verdict === VERDICT.ok || error?.type === 'http_response_timeout') pool.gate?.record(durationMs);
    if (verdict === VERDICT.failed) this.#blame(error);
    else this.#clear();
  }

  /** Of an answer. A status of gRPC counts for more than the 200 that it comes with. */
  get #saidVerdict(): Verdict {
    if (this.request.exchange.grpc?.isServerFault === true) return VERDICT.failed;
    return this.request.pool.verdict(this.#status);
  }

  /** Of what the endpoint answered, 0 before that. A call of gRPC may say in its trailers what would be a 5xx in HTTP. */
  get #statusClass(): number {
    if (this.#status === 0) return 0;
    return this.request.exchange.grpc?.isServerFault === true ? 5 : Math.min(Math.floor(this.#status / 100), 5);
  }

  #clear(): void {
    const { table } = this.#context;
    table.addSuccess(this.#endpoint.row);
    table.clearGatewayFailures(this.#endpoint.row);
  }

  #blame(error: GatewayError | undefined): void {
    const { passive } = this.request.pool;
    if (passive === false) return;
    const { table } = this.#context;
    const { row } = this.#endpoint;
    const failures = table.addFailure(row);
    const gatewayFailures = error !== undefined || isGatewayStatus(this.#status) ? table.addGatewayFailure(row) : 0;
    if (gatewayFailures === 0) table.clearGatewayFailures(row);
    if (
      isEvery(passive.consecutiveFailures, failures) ||
      isEvery(passive.consecutiveGatewayFailures, gatewayFailures)
    ) {
      this.#context.suspect(row, failures, error?.type ?? this.#saidFault);
    }
  }

  get #saidFault(): string {
    return this.#grpcFault ?? `status ${this.#status}`;
  }

  get #grpcFault(): string | undefined {
    const { grpc } = this.request.exchange;
    return grpc?.isServerFault === true ? `grpc status ${GRPC_STATUSES[grpc.status!]}` : undefined;
  }

  // --- what the decision record of the exchange says of it ---

  /** One that went badly is told of although nothing was recorded when it began. */
  #note(fault: string, ms: number): void {
    const { request } = this;
    this.#noted ??= this.#context.recordFailure(request.exchange)?.failed(request, this.#endpoint, this.#startedAt);
    if (this.#noted === undefined) return;
    this.#noted.status = this.#status;
    this.#noted.fault = fault;
    this.#noted.ms = ms;
  }

  // --- what its breakers hear, once ---

  /** Its place is wanted by others: that the answer has begun is enough to know, for its body may take hours. */
  get #isProbe(): boolean {
    return stateOf(this.#ticket) === BREAKER.halfOpen || stateOf(this.#poolTicket) === BREAKER.halfOpen;
  }

  #record(verdict: Verdict, durationMs: number, now: number): void {
    this.#recorded = true;
    const outcome = BREAKER_OUTCOMES[verdict];
    this.#endpoint.breaker?.record(this.#ticket, outcome, durationMs, now);
    this.request.pool.breaker?.record(this.#poolTicket, outcome, durationMs, now);
  }
}

/** By verdict. What says nothing about the endpoint leaves its breaker as if it had not been asked. */
const BREAKER_OUTCOMES: readonly [Outcome, Outcome, Outcome] = ['success', 'failure', 'cancelled'];

/** What a proxy says on behalf of a service that it cannot reach. */
function isGatewayStatus(status: number): boolean {
  return status >= 502 && status <= 504;
}

/** @param threshold 0 or undefined: never. */
function isEvery(threshold: number | undefined, count: number): boolean {
  return threshold !== undefined && threshold > 0 && count > 0 && count % threshold === 0;
}
