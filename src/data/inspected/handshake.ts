/**
 * What a WebSocket has to be so that its messages can be looked at: version 13, and no extension. The upstream is not
 * offered one, so it can agree to none; what it agrees to all the same is none that the client and we have a word for.
 */
import type { IncomingHttpHeaders } from 'node:http';
import { GatewayError } from '../../errors.ts';
import type { Control, Dispatch, ResponseHandler, UpstreamRequest } from '../dispatch.ts';

const KEY = /^[+/0-9A-Za-z]{22}==$/;
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/** The innermost layer of a route that inspects: each try of a handshake goes through it. */
export function plainFrames(next: Dispatch): Dispatch {
  return (request, handler) => {
    if (request.upgrade === undefined) return next(request, handler);
    const { req } = request.exchange;
    const refusal = refusalOf(req.headers);
    if (refusal !== undefined) return handler.onError(refusal);
    request.fields = without('sec-websocket-extensions', request.fields);
    next(request, new PlainAnswer(request, handler));
  };
}

/** RFC 6455 §4.2.1. The tunnel leaves it to the upstream; here it is we who answer the client. */
function refusalOf(headers: IncomingHttpHeaders): GatewayError | undefined {
  if (headers['sec-websocket-version'] !== '13') {
    const detail = 'This route speaks version 13 of the WebSocket protocol (RFC 6455).';
    const fields = ['sec-websocket-version', '13'];
    return new GatewayError('http_request_error', detail, { status: 426, detail, fields });
  }
  const offer = offeredProtocols(headers);
  const isClear = new Set(offer).size === offer.length && offer.every((protocol) => TOKEN.test(protocol));
  if (isClear && KEY.test(headers['sec-websocket-key'] ?? '')) return undefined;
  const detail = 'Sec-WebSocket-Key or Sec-WebSocket-Protocol is not well-formed (RFC 6455 §4.1).';
  return new GatewayError('http_request_error', detail, { status: 400, detail });
}

/** As the client wrote them, in its order of preference. */
function offeredProtocols(headers: IncomingHttpHeaders): readonly string[] {
  const field = headers['sec-websocket-protocol'];
  return field === undefined ? [] : field.split(',').map((protocol) => protocol.trim());
}

/** The subprotocol that a 101 names; undefined: none. */
export function protocolOf(fields: readonly string[]): string | undefined {
  return valuesOf('sec-websocket-protocol', fields)[0];
}

/** Passes everything on but a 101 that agrees to more than was asked for (§4.1: then the connection must fail). */
class PlainAnswer implements ResponseHandler {
  readonly #request: UpstreamRequest;
  readonly #handler: ResponseHandler;
  #control: Control | undefined;

  constructor(request: UpstreamRequest, handler: ResponseHandler) {
    this.#request = request;
    this.#handler = handler;
  }

  onStart(control: Control): void {
    this.#control = control;
    this.#handler.onStart(control);
  }

  onInformation(status: number, fields: string[]): void {
    this.#handler.onInformation(status, fields);
  }

  onHead(status: number, fields: string[]): void {
    const fault = status === 101 ? this.#faultOf(fields) : undefined;
    if (fault === undefined) return this.#handler.onHead(status, fields);
    const { url } = this.#request.endpoint!;
    this.#control!.abort(new GatewayError('http_protocol_error', `${url}: ${fault}`));
  }

  #faultOf(fields: readonly string[]): string | undefined {
    if (valuesOf('sec-websocket-extensions', fields).length > 0) return '101 with an extension that was not asked for';
    const chosen = valuesOf('sec-websocket-protocol', fields);
    const offer = offeredProtocols(this.#request.exchange.req.headers);
    if (chosen.length > 1 || chosen.some((protocol) => !offer.includes(protocol))) {
      return '101 with a subprotocol that was not asked for';
    }
    return undefined;
  }

  onData(chunk: Buffer): void {
    this.#handler.onData(chunk);
  }

  onEnd(trailers: string[] | undefined): void {
    this.#handler.onEnd(trailers);
  }

  onError(error: GatewayError): void {
    this.#handler.onError(error);
  }
}

function without(name: string, fields: readonly string[]): string[] {
  return fields.filter((_, at) => fields[at & ~1]!.toLowerCase() !== name);
}

function valuesOf(name: string, fields: readonly string[]): string[] {
  return fields.filter((_, at) => at % 2 === 1 && fields[at - 1]!.toLowerCase() === name);
}
