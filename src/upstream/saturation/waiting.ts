/** One request that waits for a place. Its client may leave at any moment, and then its turn is another's at once. */
import type { Control, Dispatch, ResponseHandler, UpstreamRequest } from '../../data/dispatch.ts';
import type { GatewayError } from '../../errors.ts';

/** As a dispatch, but it may find no endpoint with a place; then nothing has happened. @returns whether one was found. */
export type Start = (...args: Parameters<Dispatch>) => boolean;

export interface Waiting {
  readonly since: number;
  /** Until when it waits. */
  readonly dueAt: number;
  /** By whom it is counted: a consumer, or an address. */
  readonly caller: string;
  /** Of PRIORITIES. */
  readonly priority: number;
  /** It has had its turn, and its try has failed: it goes before those who have not. */
  readonly isFurtherTry: boolean;
}

export class WaitingRequest implements Waiting, Control {
  readonly request: UpstreamRequest;
  readonly handler: ResponseHandler;
  readonly since: number;
  readonly dueAt: number;
  readonly caller: string;
  readonly priority: number;
  readonly isFurtherTry: boolean;
  readonly #leave: (waiting: WaitingRequest) => boolean;

  /** @param leave takes it out of the line. @returns whether it was there. */
  constructor(
    request: UpstreamRequest,
    handler: ResponseHandler,
    turn: Waiting,
    leave: (waiting: WaitingRequest) => boolean,
  ) {
    this.request = request;
    this.handler = handler;
    this.since = turn.since;
    this.dueAt = turn.dueAt;
    this.caller = turn.caller;
    this.priority = turn.priority;
    this.isFurtherTry = turn.isFurtherTry;
    this.#leave = leave;
  }

  abort(reason: GatewayError): void {
    if (this.#leave(this)) this.handler.onError(reason);
  }

  // There is no answer yet.

  pause(): void {}

  resume(): void {}

  keepBytes(): () => void {
    return () => {};
  }
}
