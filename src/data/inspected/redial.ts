/**
 * Another endpoint for a client whose own is gone: the same handshake again, through the pool, which counts and judges it
 * as any try. Endpoints that were of no use to this client are avoided while there are others.
 */
import { GatewayError } from '../../errors.ts';
import type { Endpoint } from '../../upstream/pool.ts';
import type { Control, Dispatch, ResponseHandler, UpstreamRequest } from '../dispatch.ts';
import type { Exchange } from '../exchange.ts';
import { protocolOf } from './handshake.ts';
import type { UpstreamLeg } from './upstream-leg.ts';

/** For a try's head, where the route says nothing. */
export const REDIAL_MS = 5000;

export class Redial {
  readonly #exchange: Exchange;
  readonly #dispatch: Dispatch;
  #tried: Endpoint[];

  constructor(exchange: Exchange, dispatch: Dispatch) {
    this.#exchange = exchange;
    this.#dispatch = dispatch;
    this.#tried = [exchange.upstream.endpoint!];
  }

  /** The endpoint that was found last is gone as well. */
  begin(): void {
    this.#tried = [this.#exchange.upstream.endpoint!];
  }

  /** @param protocol that the client has been told. @param onFailed it was of no use. */
  start(leg: UpstreamLeg, protocol: string | undefined, onFailed: () => void): void {
    const { upstream } = this.#exchange;
    const perTryMs = Math.min(upstream.perTryMs > 0 ? upstream.perTryMs : REDIAL_MS, REDIAL_MS);
    const request: UpstreamRequest = { ...upstream, perTryMs, tried: this.#tried, endpoint: undefined };
    this.#dispatch(
      request,
      new Handover(
        leg,
        (fields) => {
          if (protocolOf(fields) !== protocol) return false;
          upstream.endpoint = request.endpoint;
          leg.agree(this.#exchange.upgrade!.upstream!, protocol);
          return true;
        },
        () => {
          if (request.endpoint !== undefined) this.#tried.push(request.endpoint);
          onFailed();
        },
      ),
    );
  }
}

/** Waits for the 101 of one try. Anything else is no answer for a client that has left HTTP long ago. */
class Handover implements ResponseHandler {
  readonly #leg: UpstreamLeg;
  readonly #agree: (fields: readonly string[]) => boolean;
  readonly #onFailed: () => void;
  #control: Control | undefined;
  #isSettled = false;

  constructor(leg: UpstreamLeg, agree: (fields: readonly string[]) => boolean, onFailed: () => void) {
    this.#leg = leg;
    this.#agree = agree;
    this.#onFailed = onFailed;
    leg.once('close', () => this.#giveUp(new GatewayError('connection_terminated', 'the WebSocket is closed')));
  }

  onStart(control: Control): void {
    this.#control = control;
    if (this.#leg.destroyed) this.#giveUp(new GatewayError('connection_terminated', 'the WebSocket is closed'));
  }

  onInformation(): void {}

  onHead(status: number, fields: string[]): void {
    if (this.#isSettled) return;
    if (status === 101 && this.#agree(fields)) this.#isSettled = true;
    else this.#control?.abort(new GatewayError('http_protocol_error', `status ${status} to a WebSocket that was open`));
  }

  onData(): void {}

  onEnd(): void {
    this.#fail();
  }

  onError(): void {
    this.#fail();
  }

  #giveUp(reason: GatewayError): void {
    if (!this.#isSettled) this.#control?.abort(reason);
  }

  #fail(): void {
    if (this.#isSettled) return;
    this.#isSettled = true;
    this.#leg.fail(new Error('no endpoint took over'));
    this.#onFailed();
  }
}
