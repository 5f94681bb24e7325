/**
 * The gate of a pool that takes no more than so much at once. Places are counted over all threads, of the pool as a whole
 * and of each endpoint; who finds none waits here, in the line of its own thread.
 *
 * A place that becomes free on this thread is given on at once. One that becomes free on another is that thread's to give,
 * unless it has more than its share and others wait: then it rings the bell of one of them (memory/place-table.ts), who
 * takes it, or rings on when its line has become empty. Whoever waits has said so before it looks a last time, and whoever
 * frees a place looks for those who wait afterwards: one of the two sees the other, so no wake-up is lost between them.
 * What no bell tells of (a thread that died, an endpoint that is well again, a limit that has grown) is found by the look
 * that each line takes every ten milliseconds while somebody waits.
 */
import type { Clock } from '../../clock.ts';
import type { MaxInFlightConfig } from '../../config/schema.ts';
import { networkOf } from '../../client-network.ts';
import type { ResponseHandler, UpstreamRequest } from '../../data/dispatch.ts';
import { GatewayError } from '../../errors.ts';
import type { EndpointTable } from '../../memory/endpoint-table.ts';
import type { PlaceTable, Refusal } from '../../memory/place-table.ts';
import { PRIORITIES } from '../../priority.ts';
import { Deadline, type TimerWheel } from '../../timer-wheel.ts';
import type { Endpoint } from '../pool.ts';
import { AdaptiveLimit } from './adaptive-limit.ts';
import { Line } from './line.ts';
import { leastBusy } from './room.ts';
import { WaitingRequest, type Start, type Waiting } from './waiting.ts';

/** All endpoints that could serve have as much as they take. */
export const FULL = Symbol('full');

const LOOK_EVERY_MS = 10;
/** A bell is listened to for so long at a time: a pool that is gone is not kept by it for longer. */
const LISTEN_MS = 1000;
/** Of the moving average of answers. */
const ANSWER_WEIGHT = 0.1;

export interface GateParts {
  readonly name: string;
  readonly config: MaxInFlightConfig;
  /** The pool's. */
  readonly row: number;
  /** Its endpoints'. */
  readonly endpoints: readonly Pick<Endpoint, 'maxInFlight'>[];
  readonly thread: number;
  readonly threads: number;
  readonly table: EndpointTable;
  readonly clock: Clock;
  readonly wheel: TimerWheel;
  /** Runs it when what is under way is done: a place that is freed in the middle of an answer comes with its connection. */
  readonly soon: (run: () => void) => void;
}

export class Gate extends Deadline {
  readonly #parts: GateParts;
  readonly #config: MaxInFlightConfig;
  readonly #table: EndpointTable;
  readonly #places: PlaceTable;
  readonly #row: number;
  readonly #thread: number;
  readonly #adaptive: AdaptiveLimit | undefined;
  readonly #line: Line<WaitingRequest> | undefined;
  #start: Start | undefined;
  /** What answers take, to their heads. */
  #answerMs = 0;
  #isListening = false;
  #willLook = false;
  #isLooking = false;
  /** The last look left what there may have been to the other threads. */
  #hasYielded = false;
  /** What all endpoints take together. */
  readonly #mostOfAll: number;

  constructor(parts: GateParts) {
    super();
    const { config, table, row, thread } = parts;
    this.#parts = parts;
    this.#config = config;
    this.#table = table;
    this.#places = table.places;
    this.#row = row;
    this.#thread = thread;
    this.#adaptive = config.adaptive && new AdaptiveLimit({ ...parts, config: config.adaptive });
    this.#mostOfAll = parts.endpoints.reduce((sum, endpoint) => sum + this.#mostAt(endpoint), 0);
    this.#line = config.queue === false ? undefined : new Line(config.queue);
  }

  /** Of the pool as a whole, now. */
  get limit(): number {
    return this.#adaptive?.current ?? this.#config.max ?? Infinity;
  }

  // --- in ---

  /** Starts the request, or has it wait, or refuses it. @param start the same one each time. */
  enter(request: UpstreamRequest, handler: ResponseHandler, start: Start): void {
    this.#start = start;
    const priority = priorityOf(request);
    const mustWait = this.#line?.isBefore(priority) === true || !this.#isFair;
    if (!mustWait && this.#begin(request, handler)) return;
    this.#wait(request, handler, priority);
  }

  #begin(request: UpstreamRequest, handler: ResponseHandler): boolean {
    if (!this.#table.tryBegin(this.#row, this.#thread, this.limit)) return false;
    if (this.#start!(request, handler)) return true;
    this.#table.end(this.#row, this.#thread);
    return false;
  }

  /** Called by `start`: takes a place at the endpoint that was picked, or where there is one. */
  takeAt(picked: Endpoint | undefined, { pool, tried }: UpstreamRequest): Endpoint | typeof FULL | undefined {
    if (picked !== undefined && this.#takeAt(picked)) return picked;
    const { candidates } = pool;
    for (;;) {
      const other = leastBusy(candidates, tried, this.#hasRoom, this.#table);
      if (other === undefined) return candidates.every(this.#hasRoom) ? undefined : FULL;
      if (this.#takeAt(other)) return other;
    }
  }

  /** It has as many as it may. */
  isFull(endpoint: Endpoint): boolean {
    return !this.#hasRoom(endpoint);
  }

  readonly #hasRoom = (endpoint: Endpoint): boolean => this.#table.inFlight(endpoint.row) < this.#mostNowAt(endpoint);

  #takeAt(endpoint: Endpoint): boolean {
    return this.#table.tryBegin(endpoint.row, this.#thread, this.#mostNowAt(endpoint));
  }

  /** Its agent may let it have less. */
  #mostNowAt(endpoint: Endpoint): number {
    const asked = this.#table.loads.maxInFlight(endpoint.row);
    return asked > 0 ? Math.min(asked, this.#mostAt(endpoint)) : this.#mostAt(endpoint);
  }

  #mostAt({ maxInFlight }: Pick<Endpoint, 'maxInFlight'>): number {
    return maxInFlight ?? this.#config.perEndpoint ?? Infinity;
  }

  // --- out ---

  /** What `takeAt` took is not used after all. */
  giveBack(endpoint: Endpoint): void {
    this.#table.end(endpoint.row, this.#thread);
  }

  /** An answer that says how busy the pool is. @param latencyMs to its head. */
  record(latencyMs: number): void {
    this.#answerMs += (latencyMs - this.#answerMs) * ANSWER_WEIGHT;
    this.#adaptive?.record(latencyMs);
  }

  /** What `start` began is over, and has given back its place at the endpoint. */
  leave(): void {
    this.#table.end(this.#row, this.#thread);
    if (this.#places.waiting(this.#row) === 0) return;
    if (this.#ownWaiting > 0 && this.#isFair) this.#lookSoon();
    else this.#ringNext();
  }

  // --- shares of threads ---

  get #ownWaiting(): number {
    return this.#line?.size ?? 0;
  }

  /** One more place is within this thread's share, or nobody waits elsewhere. */
  get #isFair(): boolean {
    const waiting = this.#places.waiting(this.#row);
    if (waiting === 0 || waiting <= this.#places.waitingIn(this.#row, this.#thread)) return true;
    return this.#table.inFlightOf(this.#row, this.#thread) + 1 <= this.#share;
  }

  /** What this thread may have while others wait: an equal part among those who have or want any. */
  get #share(): number {
    let sharers = 0;
    for (let thread = 0; thread < this.#parts.threads; thread++) {
      const wants = thread === this.#thread || this.#places.waitingIn(this.#row, thread) > 0;
      if (wants || this.#table.inFlightOf(this.#row, thread) > 0) sharers++;
    }
    return Math.min(this.limit, this.#mostOfAll) / sharers;
  }

  /** Tells the next thread in whose line somebody waits; of this one, that may be the line of an earlier generation. */
  #ringNext(): void {
    const { threads } = this.#parts;
    for (let step = 1; step <= threads; step++) {
      const thread = (this.#thread + step) % threads;
      if (this.#places.waitingIn(this.#row, thread) > 0) return this.#places.ring(this.#row, thread);
    }
  }

  #listen(): void {
    if (this.#isListening) return;
    const rings = this.#places.rings(this.#row, this.#thread, LISTEN_MS);
    if (rings === undefined) return;
    this.#isListening = true;
    void rings.then(this.#onRing);
  }

  readonly #onRing = (): void => {
    this.#isListening = false;
    this.#look(true);
    // What was meant for those who have left is another's.
    if (this.#ownWaiting > 0) this.#listen();
    else if (this.#places.waiting(this.#row) > 0) this.#ringNext();
  };

  // --- waiting ---

  #wait(request: UpstreamRequest, handler: ResponseHandler, priority: number): void {
    const line = this.#line;
    const turn = this.#turnOf(request, priority);
    if (line === undefined || turn === undefined) return this.#refuse(request, handler, line ? 'late' : 'full');
    if (this.#isCrowded) {
      const displaced = line.displacedBy(turn);
      if (displaced === undefined) return this.#refuse(request, handler, 'full');
      this.#takeOut(displaced);
      this.#refuse(displaced.request, displaced.handler, 'displaced', displaced);
    }
    const waiting = new WaitingRequest(request, handler, turn, this.#takeOut);
    line.add(waiting);
    this.#places.addWaiting(this.#row, this.#thread, 1);
    if (line.size === 1) this.#parts.wheel.set(this, turn.since + LOOK_EVERY_MS);
    if (isStreamed(request)) request.exchange.onUploadBlocked();
    this.#listen();
    handler.onStart(waiting);
    // A place may have become free before anybody could know that it is waited for.
    if (this.#isFair) this.#lookSoon();
  }

  /** undefined: it has no time left to wait. */
  #turnOf(request: UpstreamRequest, priority: number): Waiting | undefined {
    const { queue } = this.#config;
    if (queue === false) return undefined;
    const { exchange, tried, queuedMs = 0 } = request;
    const now = this.#parts.clock.now();
    const patienceMs = Math.min(queue.timeout - queuedMs, exchange.remainingMs());
    if (patienceMs <= 0) return undefined;
    const { consumer } = exchange;
    return {
      since: now,
      dueAt: now + patienceMs,
      // A name has no space in it, so none can pass for an address.
      caller: consumer === '' ? ` ${networkOf(exchange.clientAddress)}` : consumer,
      priority,
      isFurtherTry: tried !== undefined,
    };
  }

  /** Over all threads; but each may have its part of the line, whatever the others have. */
  get #isCrowded(): boolean {
    const { queue } = this.#config;
    if (queue === false || this.#places.waiting(this.#row) < queue.max) return false;
    return this.#ownWaiting >= Math.ceil(queue.max / this.#parts.threads);
  }

  readonly #takeOut = (waiting: WaitingRequest): boolean => {
    if (this.#line?.remove(waiting) !== true) return false;
    this.#noLongerWaits(waiting);
    return true;
  };

  #noLongerWaits({ request, since }: WaitingRequest): void {
    this.#places.addWaiting(this.#row, this.#thread, -1);
    request.queuedMs = (request.queuedMs ?? 0) + this.#parts.clock.now() - since;
    if (isStreamed(request)) request.exchange.onUploadResumed();
    if (this.#ownWaiting > 0) return;
    this.#line!.rest(this.#parts.clock.now());
    this.#parts.wheel.clear(this);
  }

  #refuse(request: UpstreamRequest, handler: ResponseHandler, why: Refusal, waiting?: WaitingRequest): void {
    this.#places.countRefused(this.#row, this.#thread, why);
    const error = refusal(this.#parts.name, why, this.#config, waiting && request.queuedMs);
    const record = request.exchange.record?.picked(request, undefined);
    if (record !== undefined) record.fault = error.type;
    handler.onError(error);
  }

  // --- the next one's turn ---

  #lookSoon(): void {
    if (this.#willLook) return;
    this.#willLook = true;
    this.#parts.soon(this.#onSoon);
  }

  readonly #onSoon = (): void => {
    this.#willLook = false;
    this.#look(false);
  };

  /** Starts as many as there are places for within its share. @param isInvited one also beyond it. */
  #look(isInvited: boolean): void {
    const line = this.#line;
    // What starts may end at once, and then comes by here again.
    if (this.#isLooking || line === undefined) return;
    this.#isLooking = true;
    let mayStart = isInvited || this.#isFair;
    while (mayStart && line.size > 0 && this.#table.inFlight(this.#row) < this.limit) {
      const waiting = line.next()!;
      this.#noLongerWaits(waiting);
      const { request, handler, since } = waiting;
      if (!this.#begin(request, handler)) {
        this.#waitOn(waiting);
        break;
      }
      this.#places.countWaited(this.#row, this.#thread, this.#parts.clock.now() - since);
      mayStart = this.#isFair;
    }
    this.#isLooking = false;
  }

  #waitOn(waiting: WaitingRequest): void {
    const { request, since } = waiting;
    this.#line!.putBack(waiting);
    this.#places.addWaiting(this.#row, this.#thread, 1);
    request.queuedMs = request.queuedMs! - (this.#parts.clock.now() - since);
    if (isStreamed(request)) request.exchange.onUploadBlocked();
    if (this.#ownWaiting === 1) this.#parts.wheel.set(this, this.#parts.clock.now() + LOOK_EVERY_MS);
  }

  /** While anybody waits. */
  override onDue(now: number): void {
    this.#line!.sweep(now, this.#answerMs, this.#onOverdue);
    // A place that is another's, and that it has not taken since the last look, is anybody's.
    this.#hasYielded = !this.#hasYielded && !this.#isFair;
    if (!this.#hasYielded) this.#look(true);
    if (this.#ownWaiting > 0) this.#parts.wheel.set(this, now + LOOK_EVERY_MS);
  }

  readonly #onOverdue = (waiting: WaitingRequest, why: Refusal): void => {
    this.#noLongerWaits(waiting);
    this.#refuse(waiting.request, waiting.handler, why, waiting);
  };
}

function priorityOf({ exchange }: UpstreamRequest): number {
  const own = exchange.principal?.consumer?.priority;
  return own === undefined ? exchange.rule.priority : PRIORITIES.indexOf(own);
}

function isStreamed({ body }: UpstreamRequest): boolean {
  return body !== null && !Buffer.isBuffer(body);
}

const WORDS: Readonly<Record<Refusal, string>> = {
  full: 'at its limit, and so is its queue',
  late: 'no place became free in time',
  overloaded: 'overloaded: the queue does not get shorter',
  displaced: 'its place in the full queue went to another',
};

function refusal(pool: string, why: Refusal, { queue }: MaxInFlightConfig, queuedMs = 0): GatewayError {
  const words = why === 'full' && queue === false ? 'at its limit' : WORDS[why];
  const waited = queuedMs === 0 ? '' : ` (waited ${Math.round(queuedMs)} ms)`;
  return new GatewayError('connection_limit_reached', `pool '${pool}': ${words}${waited}`, {
    detail: 'The service is at its limit.',
    retryAfterSeconds: queue === false ? 1 : Math.max(1, Math.ceil(queue.timeout / 1000)),
  });
}
