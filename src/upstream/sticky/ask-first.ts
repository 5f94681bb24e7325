/** A request whose session another gateway may know waits here, for as long as the store may take and no longer. */
import type { Control, Dispatch, ResponseHandler, UpstreamRequest } from '../../data/dispatch.ts';
import type { GatewayError } from '../../errors.ts';
import type { Stickiness } from './stickiness.ts';

export function askFirst(
  stickiness: Stickiness,
  request: UpstreamRequest,
  handler: ResponseHandler,
  goOn: Dispatch,
): void {
  const wait = new Wait(handler);
  handler.onStart(wait);
  if (wait.isOver) return;
  stickiness.ask(request, () => {
    if (wait.isOver) return;
    wait.isOver = true;
    goOn(request, handler);
  });
}

class Wait implements Control {
  isOver = false;
  readonly #handler: ResponseHandler;

  constructor(handler: ResponseHandler) {
    this.#handler = handler;
  }

  /** Nothing flows yet. */
  pause(): void {}
  resume(): void {}
  keepBytes(): () => void {
    return () => {};
  }

  abort(reason: GatewayError): void {
    if (this.isOver) return;
    this.isOver = true;
    this.#handler.onError(reason);
  }
}
