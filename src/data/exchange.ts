/**
 * One request and its answer, from head to last byte: what the client's side knows of it, and the outermost handler of
 * the upstream's side. It begins in the intake and ends once, when the answer is closed, however that
 * came about.
 */
import type { Readable } from 'node:stream';
import type { FastifyReply } from 'fastify';
import { GatewayError } from '../errors.ts';
import { GrpcCall } from '../grpc/call.ts';
import { Deadline } from '../timer-wheel.ts';
import type { PickRequest } from '../upstream/endpoint.ts';
import { Answer, isEventStream } from './answer.ts';
import type { ClientConnection } from './client-connection.ts';
import type { ClientMessage, ClientRequest, ClientResponse, Transport } from './client-message.ts';
import type { DecisionRecord } from './decisions/record.ts';
import type { Control, ResponseHandler, UpstreamRequest } from './dispatch.ts';
import { ExchangeTimes } from './exchange-times.ts';
import type { Generation } from './generation.ts';
import type { RequestHead } from './head.ts';
import { grpcTrailers, renderGrpcProblem } from './grpc-problem.ts';
import type { Destination } from './intake.ts';
import { renderProblem } from './problem.ts';
import type { DataContext } from './context.ts';
import { clientScheme } from './forwarding.ts';
import type { Match } from './match/matcher.ts';
import { matchedPrefix } from './match/path-pattern.ts';
import type { Principal } from './principal.ts';
import { RequestView } from './match/request-view.ts';
import type { HeldBody } from './request-body.ts';
import { editAnswer, editProblem, logBug, tellEnd, type Rule } from './rule.ts';
import { openTunnel, type Tunnel } from './tunnel.ts';
import { awaitTaken } from './untaken.ts';
import type { Upgrade } from './upgrade.ts';

export class Exchange extends Deadline implements PickRequest, ResponseHandler {
  readonly req: ClientRequest;
  readonly res: ClientResponse;
  /** What the client sends behind the head. */
  readonly body: Readable;
  readonly transport: Transport;
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
  /** The request is a call of gRPC. */
  readonly grpc: GrpcCall | undefined;
  /** Behind trusted proxies, the client before them. */
  readonly clientAddress: string;

  /** What decides about it, once it is matched. */
  rule!: Rule;
  /** What the route's path matched: `/orders` for `/orders/*`; the whole path for an exact or regex match. */
  matchedPrefix = '';
  /** The request as it will leave; hooks of the transform phase change it. */
  upstream!: UpstreamRequest;
  /** Its body, where a hook asked for all of it. */
  heldBody: HeldBody | undefined;
  reply: FastifyReply | null = null;
  /** Who the request is, once authenticated. */
  principal: Principal | undefined;
  /** Status sent to the client; 0 while there is none. */
  status = 0;
  error: GatewayError | undefined;
  /** Further tries after the first. */
  retries = 0;
  /** Tries that were made beside another. */
  hedges = 0;
  /** Time to the head of the latest try. */
  upstreamMs = 0;
  /** What the cache made of it; empty where the route has none. */
  cache = '';
  bytesIn = 0;
  bytesOut = 0;
  /** The client asks for another protocol than HTTP. */
  upgrade: Upgrade | undefined;
  /** What it has become, once client and upstream have left HTTP. */
  tunnel: Tunnel | undefined;
  /** The client left before it had the whole answer. Known once the exchange has ended. */
  clientLeft = false;
  record: DecisionRecord | undefined;

  readonly #context: DataContext;
  readonly #bytesReadBefore: number;
  #control: Control | null = null;
  readonly #answer: Answer;
  readonly times = new ExchangeTimes();
  #answered = false;

  constructor(
    context: DataContext,
    { req, res, body, transport }: ClientMessage,
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
    this.body = body;
    this.transport = transport;
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
    const scheme = clientScheme(client, head);
    this.view = new RequestView(this.method, host, routePath, search, head.visible, clientAddress, scheme);
    this.grpc = GrpcCall.of(this.view, req.httpVersion);
    this.clientAddress = clientAddress;
    this.#bytesReadBefore = transport.bytesBefore;
    this.#answer = new Answer(res);
  }

  get scheme(): 'http' | 'https' {
    return this.client.scheme;
  }

  /** The name of the caller; empty while nobody is known. */
  get consumer(): string {
    return this.principal?.consumer?.name ?? '';
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
    return this.times.remainingMs(this, this.#context.clock.now());
  }

  /** Adds an edit of the answer's fields, run just before the head goes to the client. */
  editResponse(edit: (fields: string[]) => void): void {
    this.#answer.addEdit(edit);
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
      body: this.#hasBody ? this.body : null,
      contentLength: this.head.contentLength,
      maxBodyBytes: rule.maxBodyBytes,
      perTryMs: rule.perTryMs,
      // A route without a pool has a plugin that answers or that names one before the pool is asked.
      pool: rule.pool!,
      endpoint: undefined,
      tried: undefined,
      upgrade: this.upgrade === undefined || rule.websocket === false ? undefined : 'websocket',
    };
    this.grpc?.begin(rule, this.upstream.fields);
  }

  /** Whether the answer is an event stream that has begun. */
  get streaming(): boolean {
    return !this.times.bounded;
  }

  // --- onwards: the seam between hooks and layers ---

  /** Sends the request down the route's layers, unless its client has left while hooks decided. */
  forward(): void {
    if (this.#answered) return;
    this.awaitBody();
    this.rule.dispatch(this.upstream, this);
  }

  /** From here on the body is wanted, in its time. */
  awaitBody(): void {
    this.#context.wheel.set(this, this.times.nextDue(this));
    if (!this.transport.expectsContinue) return;
    // RFC 9110 §10.1.1: only now is it known that the body is wanted.
    this.transport.expectsContinue = false;
    this.res.writeContinue();
  }

  onStart(control: Control): void {
    this.#control = control;
  }

  // --- the body on its way up ---

  onUploadBlocked(): void {
    this.times.blocked(this.#context.clock.now());
  }

  onUploadResumed(): void {
    this.times.resumed(this.#context.clock.now());
  }

  onUploadSent(): void {
    this.times.sentAt = this.#context.clock.now();
    this.#context.wheel.set(this, this.times.nextDue(this));
  }

  // --- the answer on its way down ---

  onInformation(status: number, fields: string[]): void {
    if (this.req.httpVersion === '1.0' || this.res.headersSent) return;
    this.res.writeInformation(status, fields);
  }

  onHead(status: number, fields: string[]): void {
    this.status = status;
    if (status === 101) return this.#leaveHttp(fields);
    this.times.lastByteAt = this.#context.clock.now();
    this.times.bounded = !isEventStream(fields);
    // Silence may be over sooner than the time that the head would have had.
    this.#context.wheel.set(this, this.times.nextDue(this));
    this.#answer.hold(status, fields);
    editAnswer(this, fields);
    // Without a known length it is not known either whether anything follows soon: the head must not wait long.
    if (!this.#answer.hasLength) process.nextTick(flushHead, this);
  }

  /** The upstream has agreed to another protocol. The exchange lasts as long as the two speak it. */
  #leaveHttp(fields: string[]): void {
    this.#answer.edit(fields);
    editAnswer(this, fields);
    this.#answered = true;
    this.#context.wheel.clear(this);
    this.reply?.hijack();
    this.tunnel = openTunnel(this, this.#context, fields);
  }

  onData(bytes: Buffer): void {
    this.bytesOut += bytes.length;
    this.times.lastByteAt = this.#context.clock.now();
    if (this.#answer.keepWhole(bytes)) return;
    if (this.#answer.isHeld) this.#sendHead();
    if (this.#answer.write(bytes, this.#control!)) return;
    this.#control?.pause();
    this.#answer.onceDrained(this.#onDrain);
  }

  readonly #onDrain = (): void => {
    this.times.lastByteAt = this.#context.clock.now();
    this.#control?.resume();
  };

  onEnd(trailers: string[] | undefined): void {
    this.#control = null;
    if (this.tunnel !== undefined) return;
    this.#answered = true;
    if (this.#answer.isHeld) this.#sendHead();
    this.#answer.end(trailers);
  }

  onError(error: GatewayError): void {
    this.#control = null;
    if (error.type === 'proxy_internal_error') logBug(error.cause ?? error, this, this.#context.log);
    this.fail(error);
  }

  // --- answers of our own ---

  /** Refuses or gives up: a problem, if nothing was sent yet; else the client must see that the answer is broken. */
  fail(error: GatewayError): void {
    if (this.#answered) return;
    this.#answered = true;
    this.error ??= error;
    this.#abort(error);
    awaitTaken(this.res, this.transport, this.#context, this.rule.idleMs);
    if (this.res.headersSent) {
      if (this.grpc?.endsInTrailers === true) this.#answer.end(grpcTrailers(error));
      else this.transport.reset();
      return;
    }
    const problem = this.grpc === undefined ? renderProblem(error, this.id) : renderGrpcProblem(error, this.id);
    this.status = error.status;
    this.bytesOut = problem.body.length;
    editProblem(this, problem.fields, this.#context.log);
    this.#answer.replace(problem.status, problem.fields);
    this.#sendHead();
    this.res.end(problem.body);
  }

  /** The client has sent something unreadable or has left: nobody waits for the rest. */
  abandon(error: GatewayError): void {
    if (this.res.headersSent || this.res.destroyed) this.#abort(error);
    else this.fail(error);
  }

  // --- the head ---

  flush(): void {
    if (!this.#answer.isHeld || this.#answered) return;
    this.#sendHead();
    this.res.flushHeaders();
  }

  #sendHead(): void {
    this.reply?.hijack();
    // A body that nobody will read stands between this answer and the next request: the connection ends here.
    const isUnread = this.isUploading;
    if (isUnread || this.error?.close === true) this.transport.closing = true;
    this.#answer.sendHead(isUnread || this.#context.draining);
  }

  get #hasBody(): boolean {
    return this.head.chunked || (this.head.contentLength ?? 0) > 0;
  }

  // --- time ---

  get isUploading(): boolean {
    return this.#hasBody && !this.req.complete;
  }

  get bytesReceived(): number {
    return this.transport.bytesRead - this.#bytesReadBefore;
  }

  override onDue(now: number): void {
    this.times.look(now, this.bytesReceived);
    const due = this.times.nextDue(this);
    if (due > now) this.#context.wheel.set(this, due);
    // The client does not take what is ready for it.
    else if (this.#answered) this.transport.reset();
    else this.fail(this.times.overdue(this, now));
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
    this.heldBody?.release();
    if (this.tunnel !== undefined) {
      this.bytesOut = this.tunnel.bytesOut;
    } else if (!this.res.writableFinished) {
      this.#answered = true;
      this.clientLeft = this.error === undefined;
      this.#abort(this.error ?? CLIENT_LEFT);
    }
    // Answers that a hook gave through Fastify.
    if (this.status === 0 && this.res.headersSent) this.status = this.res.statusCode;
    this.bytesIn = this.tunnel?.bytesIn ?? this.bytesReceived;
    tellEnd(this, this.#context.log);
  }
}

const CLIENT_LEFT = new GatewayError('connection_terminated', 'the client left before the answer was complete');

function flushHead(exchange: Exchange): void {
  exchange.flush();
}
