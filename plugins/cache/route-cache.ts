/** The cache of one route, in one thread: what a request gets from it, and what it has to fetch. RFC 9111 §4. */
import type { CacheStore } from '../../src/cache/store.ts';
import type { StoredAnswer, StoredHead } from '../../src/cache/stored-answer.ts';
import type { Clock } from '../../src/clock.ts';
import type { Dispatch, ResponseHandler, UpstreamRequest } from '../../src/data/dispatch.ts';
import type { Exchange } from '../../src/data/exchange.ts';
import { GatewayError } from '../../src/errors.ts';
import type { Permit } from '../../src/store/redis-answers.ts';
import type { Counter } from '../../src/memory/counter-table.ts';
import { NOTHING, type Directives } from './directives.ts';
import { Flight } from './flight.ts';
import { isSameAnswer, updatedFields } from './freshen.ts';
import { hasValidator, judge } from './judge.ts';
import type { Keys } from './key.ts';
import { HeadAnswer, Passing, Write } from './passing.ts';
import { Reader, type Purpose } from './reader.ts';
import { Recall, type Asks, type Memory, type RecallParts } from './recall.ts';
import type { CacheOptions } from './schema.ts';
import { serve } from './serve.ts';
import { directivesOf, isPlain, readTerms, type RequestTerms } from './terms.ts';
import { variantOf } from './vary.ts';

export const OUTCOMES = ['hit', 'miss', 'stale', 'revalidated', 'collapsed', 'bypass', 'write'] as const;
export type Outcome = (typeof OUTCOMES)[number];

/** Methods that change nothing (RFC 9110 §9.2.1, and WebDAV's). */
const SAFE = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'QUERY', 'PROPFIND', 'REPORT', 'SEARCH']);
/** How long nobody waits for another's answer where the last one was not for all. */
const UNCACHEABLE_MS = 10_000;
const MOST_UNCACHEABLE = 10_000;
const LONGEST_REMEMBERED = 512;
/** Principals that are who the Authorization field says. */
const BY_AUTHORIZATION = new Set(['jwt', 'basic']);

export interface RouteCacheParts {
  readonly options: CacheOptions;
  readonly keys: Keys;
  readonly store: CacheStore;
  readonly clock: Clock;
  readonly asks: Asks;
  readonly counters: Readonly<Record<Outcome, Counter>>;
  readonly next: Dispatch;
}

export class RouteCache {
  readonly options: CacheOptions;
  readonly store: CacheStore;
  readonly clock: Clock;
  readonly next: Dispatch;
  readonly #keys: Keys;
  readonly #counters: Readonly<Record<Outcome, Counter>>;
  /** undefined: nothing is shared with other gateways. */
  readonly #recalling: RecallParts | undefined;
  /** What the store is being asked for, by key. */
  readonly #recalls = new Map<string, Recall>();
  /** What is being fetched, by key. */
  readonly #flights = new Map<string, Flight>();
  /** Keys whose answers are not for all, and until when that is believed. */
  readonly #uncacheable = new Map<string, number>();

  constructor({ options, keys, store, clock, asks, counters, next }: RouteCacheParts) {
    this.options = options;
    this.store = store;
    this.clock = clock;
    this.next = next;
    this.#keys = keys;
    this.#counters = counters;
    const { fleet } = store;
    this.#recalling = fleet && {
      fleet,
      clock,
      asks,
      onFound: ({ answer, asked }) => void store.put(answer!.head, answer!.body, asked, options.variants),
      onKnown: this.#onKnown,
      onOver: ({ key }) => void this.#recalls.delete(key),
    };
  }

  readonly dispatch: Dispatch = (request, handler) => {
    const { exchange, method } = request;
    if (method !== 'GET' && method !== 'HEAD') return this.#other(request, handler);
    const terms = readTerms(request.fields);
    const isOwn = request.body !== null || request.upgrade !== undefined || request.fallback !== undefined;
    if (isOwn || terms.precondition || terms.override) return this.#bypass(request, handler);

    const partition = this.#keys.partition(exchange);
    const isPersonal = partition === undefined || this.#isPersonal(exchange, terms);
    const key = this.#keys.key(request, partition ?? '');
    const variants = this.store.find(key);
    const stored = select(variants, request, isPersonal);
    const wish = wishOf(terms);
    const isForced = stored !== undefined && this.#isForced(stored.head, wish);
    if (stored !== undefined && !isForced && this.#tryServe(request, handler, terms, stored, isPersonal)) return;

    const reason = isForced
      ? 'request'
      : stored !== undefined
        ? 'stale'
        : variants.length > 0
          ? 'vary-miss'
          : 'uri-miss';
    const asksFleet = this.store.fleet?.isUp === true && !this.#isUncacheable(key);
    if (!asksFleet && wish.onlyIfCached) return handler.onError(notStored());
    if (!asksFleet && method === 'HEAD') return this.#head(request, handler, stored, isPersonal, reason);
    const purpose = {
      key,
      url: this.#keys.url(exchange),
      stored: this.#confirmable(stored),
      isPersonal,
      noStore: wish.noStore,
    };
    const reader = new Reader(request, handler, terms, reason, purpose);
    if (asksFleet) this.#recall(reader);
    else this.#fetch(reader);
  };

  // --- from the store ---

  /** @returns whether the stored answer was given. */
  #tryServe(
    request: UpstreamRequest,
    handler: ResponseHandler,
    terms: RequestTerms,
    stored: StoredAnswer,
    isPersonal: boolean,
    detail = '',
    permit?: Permit,
  ): boolean {
    const { head } = stored;
    const ageMs = this.ageMs(head);
    const leftMs = head.freshMs - ageMs;
    const isFresh = leftMs > 0 && !head.noCache;
    if (!isFresh && (head.noCache || -leftMs >= head.staleWhileRevalidateMs)) return false;
    const body = this.store.body(stored);
    if (body === undefined) return false;
    this.store.touch(stored);
    this.count(request.exchange, isFresh ? 'hit' : 'stale');
    const serving = { method: request.method, terms, handler };
    if (!isFresh) this.#refresh(request, stored, body, isPersonal, permit);
    serve(serving, stored, body, ageMs, this.clock.wall(), `aya; hit; ttl=${Math.floor(leftMs / 1000)}${detail}`);
    return true;
  }

  /** RFC 9111 §5.2.1, where the route lets clients decide. */
  #isForced(head: StoredHead, wish: Directives): boolean {
    if (this.options.clients === 'ignore' || wish.isEmpty) return false;
    const ageS = this.ageMs(head) / 1000;
    if (wish.noCache || ageS > (wish.maxAge ?? Infinity)) return true;
    return wish.minFresh !== undefined && head.freshMs / 1000 - ageS < wish.minFresh;
  }

  ageMs(head: StoredHead): number {
    return head.initialAgeMs + this.clock.now() - head.storedAt;
  }

  mayServeOnError(head: StoredHead): boolean {
    return !head.noCache && this.ageMs(head) - head.freshMs < head.staleIfErrorMs;
  }

  /** RFC 9111 §3.5 and the cookies that it forgot: without a partition, what they bring is for one caller. */
  #isPersonal({ principal }: Exchange, terms: RequestTerms): boolean {
    if (terms.cookie && this.options.cookies === 'respect') return true;
    if (!terms.authorization) return false;
    return principal === undefined || !BY_AUTHORIZATION.has(principal.method);
  }

  // --- from the store that gateways share ---

  #recall(reader: Reader): void {
    const { key } = reader.purpose;
    const known = this.#recalls.get(key);
    if (known !== undefined) return known.join(reader);
    const recall = new Recall(reader, this.#recalling!);
    this.#recalls.set(key, recall);
    recall.start();
  }

  /** As `dispatch` goes on, with what the store knows. */
  readonly #onKnown = (reader: Reader, { answer, permit }: Memory): void => {
    const { request, handler, terms, purpose } = reader;
    const { isPersonal } = purpose;
    const wish = wishOf(terms);
    const found = answer && select([answer], request, isPersonal);
    if (found !== undefined) {
      const isForced = this.#isForced(found.head, wish);
      if (!isForced && this.#tryServe(request, handler, terms, found, isPersonal, '; detail=store', permit)) {
        return void reader.close();
      }
      reader.reason = isForced ? 'request' : 'stale';
    }
    if (wish.onlyIfCached) return reader.fail(notStored());
    const isNewer = found !== undefined && found.head.storedAt > (purpose.stored?.head.storedAt ?? -Infinity);
    reader.purpose = { ...purpose, permit, stored: isNewer ? this.#confirmable(found) : purpose.stored };
    if (request.method !== 'HEAD') return this.#fetch(reader);
    reader.close();
    this.#head(request, handler, reader.purpose.stored, isPersonal, reader.reason);
  };

  // --- from the upstream ---

  #fetch(reader: Reader): void {
    const { purpose } = reader;
    const { exchange } = reader.request;
    const isShared =
      this.options.collapse > 0 && !purpose.isPersonal && !purpose.noStore && this.#isShareable(reader, purpose);
    const flight = isShared ? this.#flights.get(purpose.key) : undefined;
    if (flight?.join(reader) === true) {
      if (purpose.stored === undefined && exchange.cache === '') this.count(exchange, 'collapsed');
      return;
    }
    if (purpose.stored === undefined) this.count(exchange, 'miss');
    const own = new Flight(this, purpose, reader.request, reader);
    if (isShared && flight === undefined) this.#flights.set(purpose.key, own);
    own.start();
  }

  /** Whether its answer is what the others want too: with the client's own conditions it is not, unless ours replace them. */
  #isShareable(reader: Reader, { key, stored }: Purpose): boolean {
    if (!isPlain(reader.terms) && stored === undefined) return false;
    return !this.#isUncacheable(key);
  }

  #isUncacheable(key: string): boolean {
    return (this.#uncacheable.get(key) ?? 0) >= this.clock.now();
  }

  /** For a reader whose answer turned out to be its own. */
  alone(reader: Reader): void {
    if (!reader.isOver) new Flight(this, reader.purpose, reader.request, reader).start();
  }

  /** RFC 5861 §3: nobody waits for it. */
  #refresh(
    request: UpstreamRequest,
    stored: StoredAnswer,
    body: Buffer,
    isPersonal: boolean,
    permit: Permit | undefined,
  ): void {
    const { key } = stored.head;
    if (this.#flights.has(key)) return;
    const { exchange } = request;
    const { rule, generation } = exchange;
    const url = this.#keys.url(exchange);
    const confirmable = this.#confirmable({ ...stored, body });
    const purpose: Purpose = { key, url, stored: confirmable, isPersonal, noStore: false, permit };
    const perTryMs = request.perTryMs > 0 ? request.perTryMs : rule.headMs;
    const fields = request.fields.slice();
    const own: UpstreamRequest = { ...request, method: 'GET', fields, perTryMs, endpoint: undefined, tried: undefined };
    const flight = new Flight(this, purpose, own, undefined);
    const bound = this.clock.after(rule.headMs + rule.idleMs, () => flight.giveUp());
    // What it belongs to stays open until it is back.
    generation.begin();
    this.#onLanding.set(flight, () => {
      bound.cancel();
      generation.end();
    });
    this.#flights.set(key, flight);
    const { fleet } = this.store;
    if (permit !== undefined || fleet?.isUp !== true) return flight.start();
    // Another gateway may have done it already.
    fleet.recall({ key, variant: stored.head.variant, url }, fleet.timeoutMs, (recalled) => {
      purpose.permit = recalled?.permit;
      const { answer, asked } = recalled ?? {};
      if (answer === undefined || !this.#isFresh(answer.head)) return flight.start();
      this.store.put(answer.head, answer.body, asked!, this.options.variants);
      flight.answerWith(answer);
    });
  }

  #isFresh(head: StoredHead): boolean {
    return !head.noCache && this.ageMs(head) < head.freshMs;
  }

  readonly #onLanding = new Map<Flight, () => void>();

  /** It no longer takes anybody. */
  land(flight: Flight): void {
    const { key } = flight.purpose;
    if (this.#flights.get(key) === flight) this.#flights.delete(key);
    this.#onLanding.get(flight)?.();
    this.#onLanding.delete(flight);
  }

  /** Those that others waited for, and whose keys are not made long to fill the memory. */
  rememberUncacheable(flight: Flight): void {
    const { key } = flight.purpose;
    if (this.#flights.get(key) !== flight || key.length > LONGEST_REMEMBERED) return;
    if (this.#uncacheable.size >= MOST_UNCACHEABLE) this.#uncacheable.clear();
    this.#uncacheable.set(key, this.clock.now() + UNCACHEABLE_MS);
  }

  #confirmable(stored: StoredAnswer | undefined): Purpose['stored'] {
    if (stored === undefined) return undefined;
    // Without a validator it is good for one thing: to be given when the upstream fails.
    if (!hasValidator(stored.head) && !this.mayServeOnError(stored.head)) return undefined;
    const body = this.store.body(stored);
    return body === undefined ? undefined : { ...stored, body };
  }

  #head(
    request: UpstreamRequest,
    handler: ResponseHandler,
    stored: StoredAnswer | undefined,
    isPersonal: boolean,
    reason: string,
  ): void {
    this.count(request.exchange, 'miss');
    const { store, clock, options } = this;
    const url = this.#keys.url(request.exchange);
    const asked = store.asked(url);
    const askedAt = clock.now();
    const onKnown = (head: StoredHead, fields: readonly string[]): void => {
      const body = isSameAnswer(head, fields) ? store.body(stored!) : undefined;
      if (body === undefined) return store.remove(head);
      const at = { key: head.key, url, requestFields: request.fields, isPersonal, noStore: false };
      const times = { askedAt, answeredAt: clock.now(), wall: clock.wall() };
      const updated = judge(head.status, updatedFields(head.fields, fields), { ...at, ...times }, options);
      if (updated === undefined) store.remove(head);
      else store.put(updated, body, asked, options.variants);
    };
    this.next(request, new HeadAnswer(handler, `aya; fwd=${reason}`, stored?.head, onKnown));
  }

  #other(request: UpstreamRequest, handler: ResponseHandler): void {
    if (SAFE.has(request.method)) return this.#bypass(request, handler);
    this.count(request.exchange, 'write');
    this.next(request, new Write(handler, this.store, this.#keys, request.exchange));
  }

  #bypass(request: UpstreamRequest, handler: ResponseHandler): void {
    this.count(request.exchange, 'bypass');
    this.next(request, new Passing(handler, 'aya; fwd=bypass'));
  }

  count(exchange: Exchange, outcome: Outcome): void {
    exchange.cache = outcome;
    this.#counters[outcome].increment();
  }
}

function wishOf(terms: RequestTerms): Directives {
  return terms.cacheControl === undefined && !terms.pragma ? NOTHING : directivesOf(terms);
}

/** RFC 9111 §4.1: of those that the request chooses, the latest. */
function select(
  variants: readonly StoredAnswer[],
  { fields }: UpstreamRequest,
  isPersonal: boolean,
): StoredAnswer | undefined {
  let latest: StoredAnswer | undefined;
  for (const answer of variants) {
    const { head } = answer;
    if (isPersonal && !head.isPublic) continue;
    if (head.vary.length > 0 && variantOf(head.vary, fields) !== head.variant) continue;
    if (latest === undefined || head.storedAt > latest.head.storedAt) latest = answer;
  }
  return latest;
}

/** RFC 9111 §5.2.1.7. */
function notStored(): GatewayError {
  const detail = 'The request accepts a stored answer only, and none is stored.';
  return new GatewayError('destination_unavailable', 'only-if-cached, and nothing is stored', { status: 504, detail });
}
