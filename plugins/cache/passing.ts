/** Answers that pass the cache by: what they say is for others' sake. */
import type { StoredHead } from '../../src/cache/stored-answer.ts';
import type { CacheStore } from '../../src/cache/store.ts';
import type { Control, ResponseHandler } from '../../src/data/dispatch.ts';
import type { Exchange } from '../../src/data/exchange.ts';
import type { GatewayError } from '../../src/errors.ts';
import { fieldOf } from './fields.ts';
import { hideFields } from './judge.ts';
import { originOf, type Keys } from './key.ts';

/** Neither stored nor looked for. */
export class Passing implements ResponseHandler {
  protected readonly handler: ResponseHandler;
  readonly #cacheStatus: string;

  constructor(handler: ResponseHandler, cacheStatus: string) {
    this.handler = handler;
    this.#cacheStatus = cacheStatus;
  }

  onStart(control: Control): void {
    this.handler.onStart(control);
  }

  onInformation(status: number, fields: string[]): void {
    this.handler.onInformation(status, fields);
  }

  onHead(status: number, fields: string[]): void {
    hideFields(fields);
    fields.push('cache-status', this.#cacheStatus);
    this.handler.onHead(status, fields);
  }

  onData(chunk: Buffer): void {
    this.handler.onData(chunk);
  }

  onEnd(trailers: string[] | undefined): void {
    this.handler.onEnd(trailers);
  }

  onError(error: GatewayError): void {
    this.handler.onError(error);
  }
}

/** RFC 9111 §4.4: what is written invalidates what is stored of it. */
export class Write extends Passing {
  readonly #store: CacheStore;
  readonly #keys: Keys;
  readonly #exchange: Exchange;
  readonly #url: string;

  constructor(handler: ResponseHandler, store: CacheStore, keys: Keys, exchange: Exchange) {
    super(handler, 'aya; fwd=method');
    this.#store = store;
    this.#keys = keys;
    this.#exchange = exchange;
    this.#url = keys.url(exchange);
  }

  override onHead(status: number, fields: string[]): void {
    if (status < 400) {
      this.#store.forget(this.#url);
      this.#forgetNamed(fieldOf(fields, 'location'));
      this.#forgetNamed(fieldOf(fields, 'content-location'));
    }
    super.onHead(status, fields);
  }

  /** It may have been written before the answer was lost. */
  override onError(error: GatewayError): void {
    this.#store.forget(this.#url);
    super.onError(error);
  }

  /** Of the same origin only: or anybody could empty the cache of others. */
  #forgetNamed(reference: string | undefined): void {
    if (reference === undefined) return;
    const url = URL.parse(reference, this.#url);
    const own = URL.parse(this.#url);
    if (url === null || own === null || url.host !== own.host || url.protocol !== own.protocol) return;
    this.#store.forget(this.#keys.spelled(originOf(this.#exchange), url.pathname, url.search.slice(1)));
  }
}

/** RFC 9111 §4.3.5: the head of a HEAD says whether what is stored is still so. */
export class HeadAnswer extends Passing {
  readonly #stored: StoredHead | undefined;
  readonly #onKnown: (stored: StoredHead, fields: readonly string[]) => void;

  constructor(
    handler: ResponseHandler,
    cacheStatus: string,
    stored: StoredHead | undefined,
    onKnown: (stored: StoredHead, fields: readonly string[]) => void,
  ) {
    super(handler, cacheStatus);
    this.#stored = stored;
    this.#onKnown = onKnown;
  }

  override onHead(status: number, fields: string[]): void {
    if (this.#stored?.status === status) this.#onKnown(this.#stored, fields);
    super.onHead(status, fields);
  }
}
