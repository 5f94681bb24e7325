/**
 * Answers to authorities that ask whether a host name leads here (RFC 8555 §8.3). They come before routing, on every
 * listener: no route, redirect or credential may stand between. A token that nobody waits for is an ordinary request.
 */
import type { Exchange } from './exchange.ts';

const PATH = '/.well-known/acme-challenge/';

export class Challenges {
  /** By token. Absent nearly always: then a request costs one look at this field. */
  #pending: ReadonlyMap<string, string> | undefined;

  /** In place of those before. */
  replace(pending: ReadonlyMap<string, string>): void {
    this.#pending = pending.size === 0 ? undefined : pending;
  }

  /** @returns whether that was the request. */
  answers(exchange: Exchange): boolean {
    if (this.#pending === undefined || !exchange.path.startsWith(PATH)) return false;
    if (exchange.method !== 'GET' || exchange.upgrade !== undefined) return false;
    const answer = this.#pending.get(exchange.path.slice(PATH.length));
    if (answer === undefined) return false;
    const body = Buffer.from(answer);
    exchange.onHead(200, [
      'content-type',
      'application/octet-stream',
      'content-length',
      String(body.length),
      'cache-control',
      'no-store',
    ]);
    exchange.onData(body);
    exchange.onEnd(undefined);
    return true;
  }
}
