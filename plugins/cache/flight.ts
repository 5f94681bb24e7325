/**
 * One question to the upstream for all who want its answer. Those who come while it is under way wait for it; what can be
 * stored is given to all of them as it comes. As soon as it is known that the answer is not for all (it must not be stored,
 * is too large, was chosen by fields in which they differ), or that it takes too long, the others go alone.
 */
import type { StoredAnswer, StoredHead } from '../../src/cache/stored-answer.ts';
import type { Timer } from '../../src/clock.ts';
import type { Control, ResponseHandler, UpstreamRequest } from '../../src/data/dispatch.ts';
import { GatewayError } from '../../src/errors.ts';
import type { Asked } from '../../src/memory/cache-table.ts';
import { fieldOf } from './fields.ts';
import { conditionalFields, isAbout, updatedFields } from './freshen.ts';
import { hideFields, judge } from './judge.ts';
import type { Purpose, Reader, Source } from './reader.ts';
import type { Outcome, RouteCache } from './route-cache.ts';
import { serve } from './serve.ts';
import { variantOf } from './vary.ts';

/**
 *     asking      no head yet
 *     sharing     it will be stored, its length is known: everybody gets what comes
 *     collecting  it may be stored, its length is not known: the first gets what comes, the others wait for the whole
 *     passing     it is for the first alone
 *     ignoring    all have their answer; the rest of this one is of no use
 */
type State = 'asking' | 'sharing' | 'collecting' | 'passing' | 'ignoring' | 'over';

const NOBODY_LEFT = new GatewayError('connection_terminated', 'nobody waits for the answer any more');
/** Answers that have no body, and no length. */
const BODILESS = new Set([204, 304]);

export class Flight implements ResponseHandler, Source {
  readonly purpose: Purpose;
  readonly #cache: RouteCache;
  readonly #request: UpstreamRequest;
  /** As the client sent them, before our conditions took the place of its own. */
  readonly #ownFields: string[];
  /** Nobody waits for it: it brings the store up to date. */
  readonly #isBackground: boolean;
  #readers: Reader[] = [];
  #state: State = 'asking';
  #stored: Purpose['stored'];
  #asked!: Asked;
  #askedAt = 0;
  #control: Control | undefined;
  #patience: Timer | undefined;
  #isClosed = false;
  /** The 304 was about another answer: it is asked for as if nothing were stored. */
  #asksAgain = false;
  #status = 0;
  #fields: string[] = [];
  #head: StoredHead | undefined;
  #chunks: Buffer[] = [];
  #size = 0;

  constructor(cache: RouteCache, purpose: Purpose, request: UpstreamRequest, leader: Reader | undefined) {
    this.purpose = purpose;
    this.#cache = cache;
    this.#request = request;
    this.#ownFields = request.fields;
    this.#stored = purpose.stored;
    this.#isBackground = leader === undefined;
    if (leader !== undefined) this.#admit(leader);
  }

  start(): void {
    // Before the question: what is forgotten or purged from here on must not come back with the answer.
    this.#asked = this.#cache.store.asked(this.purpose.url);
    this.#askedAt = this.#cache.clock.now();
    // Others may come to wait for it, and the store wants it whole: no one client's deadline is told.
    this.#request.tellsDeadline = undefined;
    // What is for the store is asked for as a whole, whatever the client that caused it had wanted.
    if (this.#stored !== undefined || this.#asksAgain || this.#isBackground) {
      this.#request.fields = conditionalFields(this.#ownFields, this.#stored?.head);
    }
    this.#cache.next(this.#request, this);
  }

  /** Lets one more wait for the answer. @returns false: it must go alone. */
  join(reader: Reader): boolean {
    if (this.#isClosed || this.#state === 'passing' || this.#state === 'ignoring' || this.#state === 'over')
      return false;
    if (this.#head !== undefined && !isFor(this.#head, reader)) return false;
    this.#admit(reader);
    this.#patience ??= this.#cache.clock.after(this.#cache.options.collapse, this.#onPatienceLost);
    if (this.#state === 'sharing' && reader.takesStream) {
      this.#begin(reader, this.#fields.slice());
      for (const chunk of this.#chunks) reader.data(chunk);
    }
    return true;
  }

  /** Another gateway has asked meanwhile: there is nothing to ask any more. */
  answerWith(answer: StoredAnswer): void {
    if (this.#state === 'over') return;
    this.#end();
    for (const reader of this.#readers) {
      if (isFor(answer.head, reader)) this.#give(reader, answer, 'aya; hit; detail=store', 'hit');
      else this.#alone(reader);
    }
  }

  /** It has taken too long in all: for one in the background, that nobody else bounds. */
  giveUp(): void {
    if (this.#state !== 'over') this.#control?.abort(NOBODY_LEFT);
  }

  #admit(reader: Reader): void {
    reader.source = this;
    this.#readers.push(reader);
  }

  // --- what comes ---

  onStart(control: Control): void {
    this.#control = control;
    if (this.#state === 'over') control.abort(NOBODY_LEFT);
  }

  onInformation(status: number, fields: string[]): void {
    const leader = this.#readers[0];
    if (leader?.isOver === false) leader.handler.onInformation(status, fields);
  }

  onHead(status: number, fields: string[]): void {
    if (this.#state !== 'asking') return;
    if (this.#stored !== undefined && status === 304) return this.#onConfirmed(this.#stored, fields);
    if (isFailure(status)) {
      this.#giveStale(`fwd=stale; fwd-status=${status}`);
      if (this.#readers.length === 0) return this.#ignore();
    }
    this.#status = status;
    const head = judge(status, fields, this.#circumstances(this.#cache.clock.now()), this.#cache.options);
    hideFields(fields);
    this.#fields = fields;
    const length = BODILESS.has(status) ? 0 : Number(fieldOf(fields, 'content-length') ?? NaN);
    if (head === undefined || length > this.#cache.store.maxEntry) return this.#pass();
    this.#head = head;
    this.#state = Number.isNaN(length) ? 'collecting' : 'sharing';
    this.#dismiss((reader) => !isFor(head, reader));
    const [leader] = this.#readers;
    for (const reader of this.#state === 'sharing' ? [...this.#readers] : [leader]) {
      if (reader?.takesStream === true) this.#begin(reader, fields.slice());
    }
  }

  onData(chunk: Buffer): void {
    if (this.#state === 'passing') return this.#readers[0]?.data(chunk);
    if (this.#state !== 'sharing' && this.#state !== 'collecting') return;
    // The connection reads over its bytes.
    const bytes = Buffer.from(chunk);
    this.#chunks.push(bytes);
    this.#size += bytes.length;
    for (const reader of this.#readers) if (reader.hasBegun) reader.data(bytes);
    if (this.#size > this.#cache.store.maxEntry) this.#pass();
  }

  onEnd(trailers: string[] | undefined): void {
    if (this.#asksAgain && this.#state === 'ignoring') {
      this.#state = 'asking';
      return this.start();
    }
    const state = this.#state;
    this.#end();
    if (state === 'passing') return this.#readers[0]?.end(trailers);
    if (state !== 'sharing' && state !== 'collecting') return;
    const answer = this.#keep(trailers);
    for (const reader of this.#readers) {
      if (reader.hasBegun) reader.end(trailers);
      else this.#give(reader, answer, this.#cacheStatus(reader));
    }
  }

  onError(error: GatewayError): void {
    if (this.#state === 'over') return;
    const isUnanswered = this.#state === 'asking';
    const isIgnored = this.#state === 'ignoring' && !this.#asksAgain;
    this.#end();
    if (isIgnored) return;
    if (isUnanswered) this.#giveStale(`fwd=stale; detail=${error.type}`);
    // RFC 9111 §3.3: what broke off is stored by nobody. Those who waited would only break down the upstream further.
    for (const reader of this.#readers) {
      this.#count(reader);
      reader.fail(error);
    }
  }

  // --- what becomes of it ---

  /** RFC 9111 §4.3.4: what is stored is good, and what came is newer about it. */
  #onConfirmed(stored: NonNullable<Purpose['stored']>, fields: string[]): void {
    this.#state = 'ignoring';
    if (!isAbout(stored.head, fields)) {
      this.#stored = undefined;
      this.#asksAgain = true;
      return;
    }
    const now = this.#cache.clock.now();
    const updated = updatedFields(stored.head.fields, fields);
    const head = judge(stored.head.status, updated, this.#circumstances(now), this.#cache.options);
    const answer: StoredAnswer = {
      head: head ?? onceMore(stored.head, now),
      bodyBytes: stored.bodyBytes,
      body: stored.body,
    };
    if (head === undefined) this.#cache.store.remove(stored.head);
    else this.#cache.store.put(head, stored.body, this.#asked, this.#cache.options.variants, this.purpose.permit);
    this.#settle();
    for (const reader of this.#readers) {
      // Where it may no longer be stored, it may no longer be shared.
      const isHis = head === undefined ? reader.request === this.#request : isFor(head, reader);
      if (isHis) this.#give(reader, answer, 'aya; fwd=stale; fwd-status=304', 'revalidated');
      else this.#alone(reader);
    }
  }

  /** RFC 5861 §4: to those who have something. They wait no longer; the others do. */
  #giveStale(how: string): void {
    const left: Reader[] = [];
    for (const reader of this.#readers) {
      const { stored } = reader.purpose;
      if (stored === undefined || !this.#cache.mayServeOnError(stored.head)) left.push(reader);
      else this.#give(reader, stored, `aya; ${how}`, 'stale');
    }
    this.#readers = left;
  }

  #ignore(): void {
    this.#state = 'ignoring';
    this.#settle();
  }

  #give(reader: Reader, answer: StoredAnswer, cacheStatus: string, outcome?: Outcome): void {
    if (!reader.close()) return;
    const { clock } = this.#cache;
    this.#count(reader, outcome);
    serve(reader, answer, answer.body!, this.#cache.ageMs(answer.head), clock.wall(), cacheStatus);
  }

  /** It is for the first alone; what was kept of it is no longer needed. */
  #pass(): void {
    const [leader] = this.#readers;
    const wasShared = this.#head !== undefined;
    // An error says nothing about what is stored; any other answer has taken its place.
    if (this.#stored !== undefined && this.#status < 500) this.#cache.store.remove(this.#stored.head);
    this.#state = 'passing';
    this.#head = undefined;
    if (!wasShared) this.#cache.rememberUncacheable(this);
    this.#settle();
    this.#dismiss((reader) => reader !== leader);
    if (leader === undefined || leader.isOver) return this.giveUp();
    if (!leader.hasBegun) {
      this.#begin(leader, this.#fields);
      for (const chunk of this.#chunks) leader.data(chunk);
    }
    this.#chunks = [];
  }

  #keep(trailers: string[] | undefined): StoredAnswer {
    const { store, options } = this.#cache;
    const body = this.#chunks.length === 1 ? this.#chunks[0]! : Buffer.concat(this.#chunks);
    const head = this.#head!;
    const isUnmeasured = !BODILESS.has(head.status) && fieldOf(head.fields, 'content-length') === undefined;
    const whole = isUnmeasured ? { ...head, fields: [...head.fields, 'content-length', String(body.length)] } : head;
    // Trailers could not be given again.
    if (trailers === undefined) store.put(whole, body, this.#asked, options.variants, this.purpose.permit);
    return { head: whole, bodyBytes: body.length, body };
  }

  #dismiss(isOut: (reader: Reader) => boolean): void {
    const out = this.#readers.filter((reader) => isOut(reader) && !reader.hasBegun);
    if (out.length === 0) return;
    this.#readers = this.#readers.filter((reader) => !out.includes(reader));
    for (const reader of out) this.#alone(reader);
  }

  #alone(reader: Reader): void {
    if (reader.request === this.#request) {
      reader.request.fields = this.#ownFields;
      // It has been confirmed, or not; asking the same again would lead back here.
      reader.purpose = { ...reader.purpose, stored: undefined };
    }
    this.#cache.alone(reader);
  }

  #begin(reader: Reader, fields: string[]): void {
    this.#count(reader);
    reader.begin(this.#status, fields, this.#cacheStatus(reader));
  }

  /** Once for each request: what has become of it is not known before. */
  #count({ request }: Reader, outcome: Outcome = request === this.#request ? 'miss' : 'collapsed'): void {
    if (request.exchange.cache === '') this.#cache.count(request.exchange, outcome);
  }

  readonly #onPatienceLost = (): void => {
    this.#isClosed = true;
    const [leader] = this.#readers;
    this.#dismiss((reader) => reader !== leader);
  };

  /** Nobody can join any more. */
  #settle(): void {
    this.#patience?.cancel();
    this.#isClosed = true;
    this.#cache.land(this);
  }

  #end(): void {
    this.#settle();
    this.#state = 'over';
    this.#control = undefined;
  }

  #circumstances(now: number) {
    const { key, url, isPersonal, noStore } = this.purpose;
    const wall = this.#cache.clock.wall();
    const requestFields = this.#request.fields;
    return { key, url, requestFields, isPersonal, noStore, askedAt: this.#askedAt, answeredAt: now, wall };
  }

  #cacheStatus(reader: Reader): string {
    const status = `aya; fwd=${reader.reason}; fwd-status=${this.#status}`;
    const stored = this.#head === undefined ? status : `${status}; stored`;
    return reader === this.#readers[0] ? stored : `${stored}; collapsed`;
  }

  // --- Source ---

  /** Where all share, the bytes are kept anyway, and a slow reader holds back nobody. */
  pause(reader: Reader): void {
    if (reader === this.#readers[0] && this.#state !== 'sharing') this.#control?.pause();
  }

  resume(reader: Reader): void {
    if (reader === this.#readers[0] && this.#state !== 'sharing') this.#control?.resume();
  }

  keepBytes(): () => void {
    return this.#state === 'passing' && this.#control !== undefined ? this.#control.keepBytes() : keepNothing;
  }

  leave(reader: Reader): void {
    const wasFirst = reader === this.#readers[0];
    this.#readers = this.#readers.filter((other) => other !== reader);
    if (this.#state === 'over') return;
    if (this.#readers.length === 0 && !this.#isBackground) {
      const control = this.#control;
      this.#end();
      control?.abort(NOBODY_LEFT);
    } else if (wasFirst) {
      this.#control?.resume();
    }
  }
}

function keepNothing(): void {}

function isFor(head: StoredHead, reader: Reader): boolean {
  return variantOf(head.vary, reader.request.fields) === head.variant;
}

/** RFC 5861 §4. */
function isFailure(status: number): boolean {
  return status === 500 || (status >= 502 && status <= 504);
}

/** Confirmed, but no longer to be stored. */
function onceMore(head: StoredHead, now: number): StoredHead {
  return { ...head, storedAt: now, initialAgeMs: 0, freshMs: 0 };
}
