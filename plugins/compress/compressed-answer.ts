/**
 * One answer on its way back. Downwards it is the upstream's handler; upwards it is the Control of the client's side, which
 * sees the coded answer and nothing of how it came about.
 */
import type { Control, ResponseHandler, UpstreamRequest } from '../../src/data/dispatch.ts';
import { GatewayError } from '../../src/errors.ts';
import { restate, restateTrailers } from './answer-fields.ts';
import { Compression, type CompressionSink } from './compression.ts';
import { MOST_WHOLE_BYTES, type Encoder } from './encoders.ts';
import type { Policy } from './policy.ts';

/**
 * - passing: before the head, and all the way when the answer goes as it is.
 * - gathering: the head is kept until the turn of the loop is over, because most answers are whole then.
 * - compressing: the body goes through a stream.
 */
type State = 'passing' | 'gathering' | 'compressing' | 'over';

export class CompressedAnswer implements ResponseHandler, Control, CompressionSink {
  readonly #policy: Policy;
  readonly #request: UpstreamRequest;
  readonly #handler: ResponseHandler;
  /** Undefined once it has said all. */
  #upstream: Control | undefined;
  #state: State = 'passing';
  #encoder: Encoder | undefined;
  #status = 0;
  #fields: string[] = [];
  #trailers: string[] | undefined;
  #gathered: Buffer[] = [];
  #gatheredBytes = 0;
  #compression: Compression | undefined;

  constructor(policy: Policy, request: UpstreamRequest, handler: ResponseHandler) {
    this.#policy = policy;
    this.#request = request;
    this.#handler = handler;
  }

  // --- handler of the upstream's side ---

  onStart(control: Control): void {
    this.#upstream = control;
    this.#handler.onStart(this);
  }

  onInformation(status: number, fields: string[]): void {
    this.#handler.onInformation(status, fields);
  }

  onHead(status: number, fields: string[]): void {
    const fit = this.#policy.judge(this.#request, status, fields);
    if (fit === undefined) return this.#handler.onHead(status, fields);
    this.#status = status;
    this.#fields = fields;
    this.#encoder = fit.encoder;
    // RFC 9110 §9.3.2: the fields that a GET would get, as far as they can be known.
    if (this.#request.method === 'HEAD') return this.#passHead();
    this.#state = 'gathering';
    if (fit.length !== undefined && fit.length > MOST_WHOLE_BYTES) this.#stream();
    else setImmediate(settle, this);
  }

  onData(bytes: Buffer): void {
    if (this.#state === 'gathering') this.#gather(bytes);
    else if (this.#state === 'compressing') this.#compress(bytes, this.#keep);
    else if (this.#state === 'passing') this.#handler.onData(bytes);
  }

  onEnd(trailers: string[] | undefined): void {
    this.#upstream = undefined;
    if (this.#state === 'gathering') return this.#sendWhole(trailers);
    if (this.#state === 'compressing') {
      this.#trailers = trailers;
      this.#compression!.finish();
      return;
    }
    if (this.#state === 'over') return;
    this.#state = 'over';
    this.#handler.onEnd(trailers);
  }

  onError(error: GatewayError): void {
    this.#upstream = undefined;
    if (this.#state === 'over') return;
    this.#stop();
    this.#handler.onError(error);
  }

  // --- until it is known whether the body is whole ---

  #gather(bytes: Buffer): void {
    if (this.#gatheredBytes + bytes.length > MOST_WHOLE_BYTES) {
      this.#stream();
      this.onData(bytes);
      return;
    }
    // The connection reads over its bytes.
    this.#gathered.push(Buffer.from(bytes));
    this.#gatheredBytes += bytes.length;
  }

  /** The turn of the loop is over: the client waits no longer. */
  settle(): void {
    if (this.#state === 'gathering') this.#stream();
  }

  #sendWhole(trailers: string[] | undefined): void {
    const { outcomes, bytesIn, bytesOut } = this.#policy.counters;
    const body = this.#takeGathered();
    const encoder = this.#encoder!;
    this.#state = 'over';
    const coded = body.length < this.#policy.minSize ? undefined : encoder.compress(body);
    if (coded === undefined || coded.length >= body.length) {
      outcomes[coded === undefined ? 'small' : 'incompressible'].increment();
      this.#handler.onHead(this.#status, this.#fields);
      if (body.length > 0) this.#handler.onData(body);
      this.#handler.onEnd(trailers);
      return;
    }
    outcomes[encoder.coding].increment();
    bytesIn.add(body.length);
    bytesOut.add(coded.length);
    const kept = restateTrailers(trailers);
    restate(this.#fields, encoder.coding);
    // RFC 9112 §7.1.2: trailers travel in chunks only.
    if (kept === undefined) this.#fields.push('content-length', String(coded.length));
    this.#handler.onHead(this.#status, this.#fields);
    this.#handler.onData(coded);
    this.#handler.onEnd(kept);
  }

  #takeGathered(): Buffer {
    const [first = EMPTY] = this.#gathered;
    const body = this.#gathered.length <= 1 ? first : Buffer.concat(this.#gathered, this.#gatheredBytes);
    this.#gathered = [];
    return body;
  }

  // --- in pieces ---

  #stream(): void {
    const body = this.#takeGathered();
    if (!this.#policy.slots.take()) {
      this.#policy.counters.outcomes.busy.increment();
      this.#state = 'passing';
      this.#handler.onHead(this.#status, this.#fields);
      if (body.length > 0) this.onData(body);
      return;
    }
    this.#state = 'compressing';
    this.#compression = new Compression(this.#encoder!, this);
    this.#passHead();
    if (body.length > 0) this.#compress(body, keepOwn);
  }

  #passHead(): void {
    const { coding } = this.#encoder!;
    this.#policy.counters.outcomes[coding].increment();
    restate(this.#fields, coding);
    this.#handler.onHead(this.#status, this.#fields);
  }

  #compress(bytes: Buffer, keep: () => () => void): void {
    this.#policy.counters.bytesIn.add(bytes.length);
    if (!this.#compression!.add(bytes, keep)) this.#upstream!.pause();
  }

  readonly #keep = (): (() => void) => this.#upstream!.keepBytes();

  onCompressed(bytes: Buffer): void {
    if (this.#state !== 'compressing') return;
    this.#policy.counters.bytesOut.add(bytes.length);
    this.#handler.onData(bytes);
  }

  onRoom(): void {
    this.#upstream?.resume();
  }

  onFinished(): void {
    if (this.#state !== 'compressing') return;
    this.#stop();
    this.#handler.onEnd(restateTrailers(this.#trailers));
  }

  onFailed(cause: Error): void {
    const { coding } = this.#encoder!;
    this.abort(new GatewayError('proxy_internal_error', `${coding} failed inside the gateway`, { cause }));
  }

  // --- Control of the client's side ---

  pause(): void {
    if (this.#state === 'compressing') this.#compression!.pause();
    else this.#upstream?.pause();
  }

  resume(): void {
    if (this.#state === 'compressing') this.#compression!.resume();
    else this.#upstream?.resume();
  }

  keepBytes(): () => void {
    return this.#state === 'passing' && this.#upstream !== undefined ? this.#upstream.keepBytes() : nothing;
  }

  abort(reason: GatewayError): void {
    if (this.#upstream === undefined) this.onError(reason);
    else this.#upstream.abort(reason);
  }

  #stop(): void {
    if (this.#compression !== undefined) {
      this.#compression.destroy();
      this.#compression = undefined;
      this.#policy.slots.giveBack();
    }
    this.#gathered = [];
    this.#state = 'over';
  }
}

const EMPTY = Buffer.alloc(0);

/** Bytes that are read over by nobody. */
function keepOwn(): () => void {
  return nothing;
}

function nothing(): void {}

function settle(answer: CompressedAnswer): void {
  answer.settle();
}
