/**
 * One request and its answer, from head to last byte: what the client's side knows of it, and the outermost handler of
 * the upstream's side. It begins in the listener and ends once, when Node says that the answer is closed, however that
 * came about.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { FastifyReply } from 'fastify';
import { GatewayError } from '../errors.ts';
import { Deadline } from '../timer-wheel.ts';
import type { PickRequest } from '../upstream/endpoint.ts';
import type { ClientConnection } from './client-connection.ts';
import type { Control, ResponseHandler, UpstreamRequest } from './dispatch.ts';
import type { Generation } from './generation.ts';
import type { RequestHead } from './head.ts';
import { renderProblem } from './problem.ts';
import type { DataContext } from './context.ts';
import type { Match } from './match/matcher.ts';
import { matchedPrefix } from './match/path-pattern.ts';
import { RequestView } from './match/request-view.ts';
import type { Rule } from './rule.ts';

/** A complete answer up to this size leaves in one write, head and body as one string. */
const ONE_WRITE_BYTES = 16 * 1024;

/** A slow body is cut when it falls behind this: its first ten seconds are free. */
const BODY_GRACE_MS = 10_000;

const EVENT_STREAM = 'text/event-stream';

/** Where a request was found to belong, by the listener. */
export interface Destination {
  readonly host: string;
  readonly authority: string;
  readonly port: number;
  readonly path: string;
  readonly routePath: string;
  readonly search: string;
}

export class Exchange extends Deadline implements PickRequest, ResponseHandler {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  readonly id: string;
  readonly startedAt: number;
  readonly client: ClientConnection;
  readonly method: string;
  readonly head: RequestHead;
  readonly generation: Generation;
  /** As the client means it: without port, in lower case. */
  readonly host: string;
  /** host[:port] as the client wrote it. */
  readonly authority: string;
  /** The port that the client asked. */
  readonly port: number;
  /** The normalised path, without query. */
  readonly path: string;
  /** Without `?`; empty when there is none. */
  readonly search: string;
  /** What conditions and balancers look at. */
  readonly view: RequestView;
  /** Behind trusted proxies, the client before them. */
  readonly clientAddress: string;

  /** What decides about it, once it is matched. */
  rule!: Rule;
  /** What the route's path matched: `/orders` for `/orders/*`; the whole path for an exact or regex match. */
  matchedPrefix = '';
  /** The request as it will leave; hooks of the transform phase change it. */
  upstream!: UpstreamRequest;
  reply: FastifyReply | null = null;
  /** Who the request is, once authenticated. */
  consumer = '';
  /** Status sent to the client; 0 while there is none. */
  status = 0;
  error: GatewayError | undefined;
  /** Further tries after the first. */
  retries = 0;
  /** Time to the head of the latest try. */
  upstreamMs = 0;
  bytesIn = 0;
  bytesOut = 0;

  readonly #context: DataContext;
  readonly #bytesReadBefore: number;
  #control: Control | null = null;
  #edits: ((fields: string[]) => void)[] | null = null;
  /** A head that waits for the first bytes of its body, to leave with them. */
  #waitingHead: string[] | null = null;
  #heldBody: string | null = null;
  /** Announced length of the answer's body; -1 when unknown. */
  #expected = -1;
  #lastByteAt = 0;
  #idleMs = 0;
  /** Whether `total` applies: not to event streams. */
  #bounded = true;
  #draining = false;
  #answered = false;

  constructor(
    context: DataContext,
    req: IncomingMessage,
    res: ServerResponse,
    client: ClientConnection,
    head: RequestHead,
    destination: Destination,
    generation: Generation,
    startedAt: number,
    id: string,
    clientAddress: string,
  ) {
    super();
    this.#context = context;
    this.req = req;
    this.res = res;
    this.client = client;
    this.head = head;
    this.method = req.method!;
    this.generation = generation;
    this.startedAt = startedAt;
    this.id = id;
    this.host = destination.host;
    this.authority = destination.authority;
    this.port = destination.port;
    this.path = destination.path;
    this.search = destination.search;
    const { host, routePath, search } = destination;
    this.view = new RequestView(this.method, host, routePath, search, req.rawHeaders, clientAddress);
    this.clientAddress = clientAddress;
    this.#bytesReadBefore = client.bytesRead;
  }

  get scheme(): 'http' | 'https' {
    return this.client.scheme;
  }

  get routeName(): string {
    return this.rule.name;
  }

  get target(): string {
    return this.search === '' ? this.path : `${this.path}?${this.search}`;
  }

  header(name: string): string | undefined {
    return this.view.header(name);
  }

  cookie(name: string): string | undefined {
    return this.view.cookie(name);
  }

  query(name: string): string | undefined {
    return this.view.query(name);
  }

  /** Milliseconds left for the head, over all tries. */
  remainingMs(): number {
    return this.startedAt + this.rule.headMs - this.#context.clock.now();
  }

  /** Adds an edit of the answer's fields, run just before the head goes to the client. */
  editResponse(edit: (fields: string[]) => void): void {
    (this.#edits ??= []).push(edit);
  }

  /** A rule was found for it: from here on it can be forwarded. */
  matched({ rule, path }: Match<Rule>): void {
    this.rule = rule;
    this.matchedPrefix = matchedPrefix(path, this.path);
    this.upstream = {
      exchange: this,
      method: this.method,
      target: this.target,
      fields: this.head.fields,
      body: this.#hasBody ? this.req : null,
      contentLength: this.head.contentLength,
      maxBodyBytes: rule.maxBodyBytes,
      perTryMs: rule.perTryMs,
      // A route without a pool has a plugin that answers or that names one before the pool is asked.
      pool: rule.pool!,
      endpoint: undefined,
      tried: undefined,
    };
  }

  /** Whether the answer is an event stream that has begun. */
  get streaming(): boolean {
    return !this.#bounded;
  }

  // --- onwards: the seam between hooks and layers ---

  /** Sends the request down the route's layers. */
  forward(): void {
    const { wheel } = this.#context;
    wheel.set(this, this.#nextDue());
    if (this.client.expectsContinue) {
      // RFC 9110 §10.1.1: only now is it known that the body is wanted.
      this.client.expectsContinue = false;
      this.res.writeContinue();
    }
    this.rule.dispatch(this.upstream, this);
  }

  onStart(control: Control): void {
    this.#control = control;
  }

  onInformation(status: number, fields: string[]): void {
    if (this.req.httpVersion === '1.0' || this.res.headersSent) return;
    const headers: Record<string, string | string[]> = {};
    for (let at = 0; at < fields.length; at += 2) {
      const name = fields[at]!.toLowerCase();
      const before = headers[name];
      headers[name] = before === undefined ? fields[at + 1]! : [before, fields[at + 1]!].flat();
    }
    this.res.writeInformation(status, headers);
  }

  onHead(status: number, fields: string[]): void {
    this.status = status;
    this.#lastByteAt = this.#context.clock.now();
    this.#expected = -1;
    this.#idleMs = this.rule.idleMs;
    for (let at = 0; at < fields.length; at += 2) {
      const name = fields[at]!;
      if (name.length === 14 && name.toLowerCase() === 'content-length') this.#expected = Number(fields[at + 1]);
      else if (name.length === 12 && isEventStream(name, fields[at + 1]!)) this.#becomeStream();
    }
    if (this.#edits !== null) for (const edit of this.#edits) edit(fields);
    this.#waitingHead = fields;
    // Without a known length it is not known either whether anything follows soon: the head must not wait long.
    if (this.#expected <= 0) process.nextTick(flushHead, this);
  }

  onData(bytes: Buffer): void {
    this.bytesOut += bytes.length;
    this.#lastByteAt = this.#context.clock.now();
    if (this.#waitingHead !== null) {
      if (bytes.length === this.#expected && bytes.length <= ONE_WRITE_BYTES) {
        // Whole: `onEnd` follows at once.
        this.#heldBody = bytes.toString('latin1');
        return;
      }
      this.#sendHead();
    }
    // The connection reuses its bytes, and the client's side may keep them for a while.
    if (!this.res.write(Buffer.from(bytes))) this.#pause();
  }

  onEnd(trailers: string[] | undefined): void {
    this.#control = null;
    this.#answered = true;
    if (this.#waitingHead !== null) this.#sendHead();
    if (trailers !== undefined) this.res.addTrailers(pairs(trailers));
    if (this.#heldBody === null) this.res.end();
    else this.res.end(this.#heldBody, 'latin1');
  }

  onError(error: GatewayError): void {
    this.#control = null;
    this.fail(error);
  }

  // --- answers of our own ---

  /** Refuses or gives up: a problem, if nothing was sent yet; else the client must see that the answer is broken. */
  fail(error: GatewayError): void {
    if (this.#answered) return;
    this.#answered = true;
    this.error ??= error;
    this.#abort(error);
    this.reply?.hijack();
    if (this.res.headersSent) {
      this.client.reset();
      return;
    }
    this.#waitingHead = null;
    this.#heldBody = null;
    const problem = renderProblem(error, this.id);
    this.status = problem.status;
    this.bytesOut = problem.body.length;
    this.#writeHead(problem.fields);
    this.res.end(problem.body);
  }

  /** The client has sent something unreadable or has left: nobody waits for the rest. */
  abandon(error: GatewayError): void {
    if (this.res.headersSent || this.res.destroyed) this.#abort(error);
    else this.fail(error);
  }

  // --- the head ---

  flush(): void {
    if (this.#waitingHead !== null && !this.#answered) {
      this.#sendHead();
      this.res.flushHeaders();
    }
  }

  #sendHead(): void {
    const fields = this.#waitingHead!;
    this.#waitingHead = null;
    this.reply!.hijack();
    this.#writeHead(fields);
  }

  #writeHead(fields: string[]): void {
    // A body that nobody will read stands between this answer and the next request: the connection ends here.
    const unread = this.#hasBody && !this.req.complete;
    if (unread || this.#context.draining) fields.push('connection', 'close');
    if (unread || this.error?.close === true) this.client.closing = true;
    this.res.writeHead(this.status, fields);
  }

  get #hasBody(): boolean {
    return this.head.chunked || (this.head.contentLength ?? 0) > 0;
  }

  // --- back-pressure ---

  #pause(): void {
    this.#control?.pause();
    if (this.#draining) return;
    this.#draining = true;
    this.res.on('drain', this.#onDrain);
  }

  readonly #onDrain = (): void => {
    this.#lastByteAt = this.#context.clock.now();
    this.#control?.resume();
  };

  // --- time ---

  #becomeStream(): void {
    this.#idleMs = this.rule.streamIdleMs;
    this.#bounded = false;
  }

  /** The nearest moment at which something may be overdue. The wheel asks again then. */
  #nextDue(): number {
    const total = this.#bounded && this.rule.totalMs > 0 ? this.startedAt + this.rule.totalMs : Infinity;
    const own = this.#lastByteAt === 0 ? this.startedAt + this.rule.headMs : this.#lastByteAt + this.#idleMs;
    return Math.min(total, own, this.#bodyDue());
  }

  /** A body may take ten seconds, and one more for each `minRate` bytes that came. */
  #bodyDue(): number {
    if (!this.#hasBody || this.req.complete) return Infinity;
    const received = this.client.bytesRead - this.#bytesReadBefore;
    return this.startedAt + BODY_GRACE_MS + (received / this.client.minRate) * 1000;
  }

  override onDue(now: number): void {
    const due = this.#nextDue();
    if (due > now) this.#context.wheel.set(this, due);
    // The client does not take what is ready for it.
    else if (this.#answered) this.client.reset();
    else this.fail(this.#bodyDue() <= now ? slowBody(this.client.minRate) : this.#timeout());
  }

  #timeout(): GatewayError {
    const { rule } = this;
    const what = this.#lastByteAt === 0 ? `no answer within ${rule.headMs} ms` : 'the answer came to a halt or took too long';
    return new GatewayError('http_response_timeout', `route '${rule.name}': ${what}`);
  }

  // --- the end ---

  #abort(reason: GatewayError): void {
    const control = this.#control;
    this.#control = null;
    control?.abort(reason);
  }

  /** Called by the listener when the answer is closed: exactly once. */
  end(): void {
    this.#context.wheel.clear(this);
    const left = !this.res.writableFinished;
    if (left) {
      this.#answered = true;
      this.error ??= new GatewayError('connection_terminated', 'the client left before the answer was complete');
      this.#abort(this.error);
    }
    this.bytesIn = this.client.bytesRead - this.#bytesReadBefore;
    for (const concern of this.rule.endings) concern.onEnd!(this);
  }

  /** Whether the client left before it had the whole answer. Known once the exchange has ended. */
  get clientLeft(): boolean {
    return !this.res.writableFinished;
  }
}

function flushHead(exchange: Exchange): void {
  exchange.flush();
}

function isEventStream(name: string, value: string): boolean {
  return value.startsWith(EVENT_STREAM) && name.toLowerCase() === 'content-type';
}

function pairs(flat: readonly string[]): [string, string][] {
  const result: [string, string][] = [];
  for (let at = 0; at < flat.length; at += 2) result.push([flat[at]!, flat[at + 1]!]);
  return result;
}

function slowBody(minRate: number): GatewayError {
  return new GatewayError('http_request_error', 'request body came too slowly', {
    status: 408,
    detail: `The body came more slowly than ${minRate} bytes per second (limits.minRate).`,
    close: true,
  });
}
