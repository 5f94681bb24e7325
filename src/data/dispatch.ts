/**
 * The seam between the client's side and the upstream's: one function type and one combinator, as in undici, but with
 * fields as flat arrays that were cleaned once, so that a layer that does not look at them costs nothing.
 *
 * `Layer = (next: Dispatch) => Dispatch`; below the last layer a pool picks an endpoint and its connection carries the
 * message. A handler hears `onStart`, then any number of `onInformation`, `onHead`, any number of `onData`, then exactly
 * one of `onEnd` and `onError`. `onError` may come at any time, also first. Nothing is heard after either.
 */
import type { Readable } from 'node:stream';
import type { GatewayError } from '../errors.ts';
import type { Endpoint, Pool } from '../upstream/pool.ts';
import type { Bond } from '../upstream/sticky/bond.ts';
import type { Exchange } from './exchange.ts';

/** A body as it comes from the client. */
export interface BodyStream extends Readable {
  /** Flat: name, value … as they were sent. Known once it has ended. */
  readonly rawTrailers?: readonly string[];
}

/** The request as it goes to the upstream. Layers may change it before they pass it on. */
export interface UpstreamRequest {
  readonly exchange: Exchange;
  method: string;
  /** Path and query, as sent. */
  target: string;
  /** Flat: name, value, name, value … without hop-by-hop fields. `host` is first. */
  fields: string[];
  /** null: no body. A Buffer can be sent again, a stream only while nothing of it was read. */
  body: BodyStream | Buffer | null;
  /** Of a streamed body, when the client announced it; undefined: it goes in chunks. */
  contentLength: number | undefined;
  /** A streamed body that grows larger is refused with 413. */
  maxBodyBytes: number;
  /** Until one try's head must be there; 0: no limit of its own. */
  perTryMs: number;
  /** How `x-request-deadline` tells the upstream what time is left; undefined where the route has no `deadline`. */
  tellsDeadline?: 'relative' | 'absolute' | 'none' | undefined;
  pool: Pool;
  /** The endpoint of the latest try; set by the pool before `onStart`. */
  endpoint: Endpoint | undefined;
  /** Endpoints that this exchange has tried, the latest last; undefined before the second try. */
  tried: Endpoint[] | undefined;
  /** How long it has waited for a place in its pool, over all tries. */
  queuedMs?: number;
  /** Its session, where its pool is sticky; the pool's own. */
  bond?: Bond | undefined;
  /**
   * The pool that should have served, and why `pool`, or an answer of the gateway's own, stands in for it. What comes then
   * is not to be stored in its place.
   */
  fallback?: { readonly from: string; readonly because: string } | undefined;
  /**
   * The protocol that the client wants to go on with. `onHead` may then bring a 101, and `onEnd` comes when the tunnel is
   * closed. A layer that answers by itself or sends copies leaves such a request alone.
   */
  readonly upgrade?: 'websocket' | undefined;
}

/** What a handler may do to the upstream's side. */
export interface Control {
  pause(): void;
  resume(): void;
  /** Within `onData`: its bytes may be used until what this returns is called. */
  keepBytes(): () => void;
  /** Ends the attempt and closes its connection. The handler then hears `onError(reason)`, unless it has heard its end. */
  abort(reason: GatewayError): void;
}

export interface ResponseHandler {
  /** A try has begun: `control` works from here on, also while the request waits for a connection. */
  onStart(control: Control): void;
  /** An interim answer, 102 to 199 except 101. */
  onInformation(status: number, fields: string[]): void;
  /** The head. `fields` is flat, ours to change, without hop-by-hop fields. */
  onHead(status: number, fields: string[]): void;
  /** The bytes are the connection's own: copy what outlives the call, or keep them (`Control.keepBytes`). */
  onData(chunk: Buffer): void;
  /** @param trailers flat; undefined when there are none. */
  onEnd(trailers: string[] | undefined): void;
  onError(error: GatewayError): void;
}

export type Dispatch = (request: UpstreamRequest, handler: ResponseHandler) => void;
export type Layer = (next: Dispatch) => Dispatch;

/** Composes layers so that the first is the outermost. */
export function compose(layers: readonly Layer[], innermost: Dispatch): Dispatch {
  return layers.reduceRight((next, layer) => layer(next), innermost);
}
