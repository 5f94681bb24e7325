/** One client that waits for an answer which may be fetched for several; to it, this is the upstream's side. */
import type { StoredAnswer } from '../../src/cache/stored-answer.ts';
import type { Control, ResponseHandler, UpstreamRequest } from '../../src/data/dispatch.ts';
import type { GatewayError } from '../../src/errors.ts';
import type { Permit } from '../../src/store/redis-answers.ts';
import type { Serving } from './serve.ts';
import { isPlain, type RequestTerms } from './terms.ts';

/** What it asks for, and what is known of it. */
export interface Purpose {
  readonly key: string;
  readonly url: string;
  /** What is to be confirmed, or to be given when the upstream fails; with its body. */
  readonly stored: (StoredAnswer & { readonly body: Buffer }) | undefined;
  readonly isPersonal: boolean;
  readonly noStore: boolean;
  /** To store the answer for other gateways, too. */
  permit?: Permit | undefined;
}

/** What brings a reader its answer. */
export interface Source {
  pause(reader: Reader): void;
  resume(reader: Reader): void;
  keepBytes(reader: Reader): () => void;
  /** It wants no answer any more. */
  leave(reader: Reader): void;
}

export class Reader implements Control, Serving {
  readonly request: UpstreamRequest;
  readonly handler: ResponseHandler;
  readonly terms: RequestTerms;
  /** Why it goes to the upstream, as RFC 9211 names it. */
  reason: string;
  purpose: Purpose;
  source: Source | undefined;
  /** It has the head, and gets what comes. */
  hasBegun = false;
  #isOver = false;

  constructor(
    request: UpstreamRequest,
    handler: ResponseHandler,
    terms: RequestTerms,
    reason: string,
    purpose: Purpose,
  ) {
    this.request = request;
    this.handler = handler;
    this.terms = terms;
    this.reason = reason;
    this.purpose = purpose;
    handler.onStart(this);
  }

  get method(): string {
    return this.request.method;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** Whether it can be given the answer as it comes: else it gets its part of the whole. */
  get takesStream(): boolean {
    return isPlain(this.terms);
  }

  begin(status: number, fields: string[], cacheStatus: string): void {
    if (this.#isOver) return;
    this.hasBegun = true;
    fields.push('cache-status', cacheStatus);
    this.handler.onHead(status, fields);
  }

  data(bytes: Buffer): void {
    if (!this.#isOver) this.handler.onData(bytes);
  }

  end(trailers: string[] | undefined): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.handler.onEnd(trailers);
  }

  fail(error: GatewayError): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.handler.onError(error);
  }

  /** A stored answer takes over: it is the handler's last word. @returns whether there is still somebody. */
  close(): boolean {
    const wasOpen = !this.#isOver;
    this.#isOver = true;
    return wasOpen;
  }

  // --- Control ---

  pause(): void {
    this.source?.pause(this);
  }

  resume(): void {
    this.source?.resume(this);
  }

  keepBytes(): () => void {
    return this.source?.keepBytes(this) ?? keepNothing;
  }

  abort(reason: GatewayError): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.source?.leave(this);
    this.handler.onError(reason);
  }
}

function keepNothing(): void {}
