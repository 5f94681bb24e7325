/**
 * One try, and those that are made beside it when it is late. Upwards it is one try: the handler hears the answer of the
 * first that gave a good one, or what the last of them came to. The others are given up without a verdict; how long they
 * were waited for their endpoints' averages learn.
 */
import type { Clock } from '../../src/clock.ts';
import type { Control, Dispatch, ResponseHandler, UpstreamRequest } from '../../src/data/dispatch.ts';
import { GatewayError } from '../../src/errors.ts';
import type { Counter } from '../../src/memory/counter-table.ts';
import { VERDICT } from '../../src/memory/sample-table.ts';
import { Waiting, type WaitingLine } from './waiting-line.ts';

/** Why there was none beside a late one. */
export const WITHHELD = ['endpoint', 'budget', 'crowded'] as const;
export type Withheld = (typeof WITHHELD)[number];

/** What all requests of a route share. */
export interface RouteHedges {
  /** Undefined: the pool's 95th percentile. */
  readonly afterMs: number | undefined;
  readonly most: number;
  readonly share: number;
  readonly clock: Clock;
  readonly line: WaitingLine;
  readonly won: Counter;
  readonly lost: Counter;
  readonly onWithheld: (reason: Withheld) => void;
}

/** Of the type that an endpoint is known by to have kept somebody waiting, and `never`: no verdict on it. */
const OVERTAKEN = new GatewayError('http_response_timeout', 'another endpoint has answered first', { retry: 'never' });
const WORSE = new GatewayError('connection_terminated', 'its answer was a failure, and another is waited for');

/** Its body can be sent twice at once, nothing but an answer is waited for, and any endpoint will do: it has no session. */
export function mayRace({ body, exchange, upgrade, pool }: UpstreamRequest): boolean {
  if (exchange.grpc !== undefined || upgrade !== undefined || pool.sticky !== undefined) return false;
  return body === null || Buffer.isBuffer(body);
}

export class Race extends Waiting implements Control {
  readonly #route: RouteHedges;
  readonly #next: Dispatch;
  readonly #request: UpstreamRequest;
  readonly #handler: ResponseHandler;
  /** The first one first: of nearly every race it is the only one. */
  readonly #tries: Try[];
  #winner: Try | undefined;
  #isOver = false;
  #stoppedBy: GatewayError | undefined;
  #startedAt = 0;
  #afterMs = 0;

  constructor(route: RouteHedges, next: Dispatch, request: UpstreamRequest, handler: ResponseHandler) {
    super();
    this.#route = route;
    this.#next = next;
    this.#request = request;
    this.#handler = handler;
    this.#tries = [new Try(this, request)];
  }

  start(): void {
    const { clock, afterMs } = this.#route;
    this.#startedAt = clock.now();
    this.#handler.onStart(this);
    if (this.#isOver) return;
    this.#next(this.#request, this.#tries[0]!);
    this.#afterMs = Math.ceil(afterMs ?? this.#request.pool.p95.ms ?? 0);
    if (this.#afterMs > 0) this.#awaitNext(this.#startedAt);
  }

  #awaitNext(now: number): void {
    if (this.#isOver || this.#winner !== undefined || this.#tries.length > this.#route.most) return;
    this.#route.line.join(this, now, this.#afterMs);
  }

  override onLate(now: number): void {
    const withheld = this.#reasonAgainst();
    if (withheld !== undefined) return this.#route.onWithheld(withheld);
    const first = this.#request;
    first.exchange.hedges++;
    first.exchange.record?.hedged(this.#afterMs);
    // Fields are changed by each try: what time is left is told in them.
    const again = { ...first, fields: first.fields.slice(), tried: this.#tried(), endpoint: undefined };
    const beside = new Try(this, again);
    this.#tries.push(beside);
    this.#next(again, beside);
    this.#awaitNext(now);
  }

  #reasonAgainst(): Withheld | undefined {
    const { pool } = this.#request;
    if (
      this.#tries.some(({ request }) => request.endpoint === undefined) ||
      !pool.hasUntried(this.#tried(), 'candidates')
    ) {
      return 'endpoint';
    }
    const answer = pool.budget.ask(this.#route.share);
    if (answer === 'granted') return undefined;
    return answer === 'spent' ? 'budget' : 'crowded';
  }

  #tried(): NonNullable<UpstreamRequest['tried']> {
    return [...(this.#request.tried ?? []), ...this.#tries.map(({ request }) => request.endpoint!)];
  }

  // --- what the tries hear ---

  onStart(one: Try): void {
    if (this.#stoppedBy !== undefined) one.control!.abort(this.#stoppedBy);
  }

  onInformation(one: Try, status: number, fields: string[]): void {
    if (one === (this.#winner ?? this.#tries[0]) && !this.#isOver) this.#handler.onInformation(status, fields);
  }

  onHead(one: Try, status: number, fields: string[]): void {
    const isGood = this.#request.pool.verdict(status) !== VERDICT.failed;
    if (isGood) this.#learn();
    if (!isGood && this.#others(one).length > 0) {
      this.#drop(one, WORSE);
      return;
    }
    this.#win(one);
    this.#handler.onHead(status, fields);
  }

  /** Of a first try that was overtaken only that it was late is known: that is all the quantile asks. */
  #learn(): void {
    this.#request.pool.p95.record(this.#route.clock.now() - this.#startedAt);
  }

  #win(one: Try): void {
    this.#winner = one;
    this.#route.line.leave(this);
    if (this.#tries.length === 1) return;
    for (const other of this.#others(one)) this.#drop(other, OVERTAKEN);
    this.#tell(one);
    if (one !== this.#tries[0]) {
      this.#request.pool.budget.leave();
      this.#route.won.increment();
    }
  }

  onData(one: Try, chunk: Buffer): void {
    if (one === this.#winner) this.#handler.onData(chunk);
  }

  onEnd(one: Try, trailers: string[] | undefined): void {
    if (one !== this.#winner) return;
    this.#isOver = true;
    this.#handler.onEnd(trailers);
  }

  onError(one: Try, error: GatewayError): void {
    if (this.#isOver) return;
    if (one !== this.#winner) {
      this.#lose(one);
      if (this.#others(one).length > 0) return;
      this.#tell(one);
    }
    this.#isOver = true;
    this.#route.line.leave(this);
    this.#handler.onError(error);
  }

  /** Those that may still give an answer. */
  #others(one: Try): Try[] {
    return this.#tries.filter((other) => other !== one && !other.isOver);
  }

  #drop(one: Try, reason: GatewayError): void {
    this.#lose(one);
    one.control?.abort(reason);
  }

  /** Once for each that did not give the answer. */
  #lose(one: Try): void {
    if (one.isOver) return;
    one.isOver = true;
    if (one === this.#tries[0]) return;
    this.#request.pool.budget.leave();
    this.#route.lost.increment();
  }

  /** Logs, and retries, learn whose answer it is and who was tried beside. */
  #tell(one: Try): void {
    if (this.#tries.length === 1) return;
    const others = this.#tries.flatMap(({ request }) => (request === one.request ? [] : (request.endpoint ?? [])));
    this.#request.tried = [...(this.#request.tried ?? []), ...others];
    this.#request.endpoint = one.request.endpoint;
  }

  // --- control of the whole ---

  keepBytes(): () => void {
    return this.#winner!.control!.keepBytes();
  }

  pause(): void {
    this.#winner?.control?.pause();
  }

  resume(): void {
    this.#winner?.control?.resume();
  }

  abort(reason: GatewayError): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#stoppedBy = reason;
    this.#route.line.leave(this);
    for (const one of this.#tries) {
      if (one === this.#winner) one.control?.abort(reason);
      else if (!one.isOver) this.#drop(one, reason);
    }
    this.#handler.onError(reason);
  }
}

/** The handler of one try. */
class Try implements ResponseHandler {
  readonly request: UpstreamRequest;
  control: Control | undefined;
  /** It will give no answer. */
  isOver = false;
  readonly #race: Race;

  constructor(race: Race, request: UpstreamRequest) {
    this.#race = race;
    this.request = request;
  }

  onStart(control: Control): void {
    this.control = control;
    if (this.isOver) control.abort(OVERTAKEN);
    else this.#race.onStart(this);
  }

  onInformation(status: number, fields: string[]): void {
    this.#race.onInformation(this, status, fields);
  }

  onHead(status: number, fields: string[]): void {
    if (!this.isOver) this.#race.onHead(this, status, fields);
  }

  onData(chunk: Buffer): void {
    this.#race.onData(this, chunk);
  }

  onEnd(trailers: string[] | undefined): void {
    this.#race.onEnd(this, trailers);
  }

  onError(error: GatewayError): void {
    if (!this.isOver) this.#race.onError(this, error);
  }
}
