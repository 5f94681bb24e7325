/**
 * One inspected WebSocket: a client's socket and the upstream's, both held by @fastify/http-proxy, which passes messages
 * between them. The link says which may pass, keeps each side no faster than the other, has the endpoints chosen that the
 * library connects to, and ends it all.
 */
import type { Server } from 'node:http';
import type { Duplex } from 'node:stream';
import type { InspectConfig } from '../../config/schema.ts';
import { Deadline } from '../../timer-wheel.ts';
import type { DataContext } from '../context.ts';
import type { Dispatch } from '../dispatch.ts';
import type { Exchange } from '../exchange.ts';
import { FAREWELL_MS, type Tunnel, type TunnelEnd, type WebsocketLimits } from '../tunnel.ts';
import { protocolOf } from './handshake.ts';
import { Heartbeat } from './heartbeat.ts';
import type { Charge } from './message-rate.ts';
import { Redial } from './redial.ts';
import { UpstreamLeg, type LegOwner } from './upstream-leg.ts';

/** How long a side may take to answer a close frame, where nobody waits for it. */
export const CLOSING_MS = 5000;
/** An endpoint that lasts as long is no failure any more. */
const STEADY_MS = 10_000;

const NO_STATUS = 1005;
const ABNORMAL = 1006;
const GOING_AWAY = 1001;
const UNSUPPORTED = 1003;
const POLICY = 1008;
const TRY_AGAIN = 1013;
/** IANA: the gateway got nothing, or nothing valid, from its upstream. */
const BAD_GATEWAY = 1014;
/** The endpoint is gone, not the service: broken off, going away, restarting, overloaded. */
const ELSEWHERE: ReadonlySet<number> = new Set([GOING_AWAY, ABNORMAL, 1012, TRY_AGAIN]);

const OPEN = 1;

/** Of `ws`, what is used here. */
export interface PeerSocket {
  readonly url: string;
  readonly readyState: number;
  /** The library's: whether it may reconnect for this client. */
  isAlive?: boolean;
  send(data: Buffer, options: { binary: boolean }): void;
  ping(): void;
  pause(): void;
  resume(): void;
  close(code?: number, reason?: Buffer): void;
  terminate(): void;
  on(event: 'ping', listener: () => void): void;
  prependListener(event: 'close', listener: (code: number, reason: Buffer) => void): void;
  prependListener(event: 'error', listener: (error: NodeJS.ErrnoException) => void): void;
}

export interface Message {
  readonly data: Buffer;
  readonly binary: boolean;
}

interface LinkParts {
  readonly exchange: Exchange;
  readonly inspect: InspectConfig;
  /** Of the upstream's 101. */
  readonly fields: readonly string[];
  readonly charges: readonly Charge[];
  readonly context: DataContext;
  readonly dispatch: Dispatch;
  /** Both sides are closed. */
  readonly onClosed: () => void;
}

export class Link extends Deadline implements Tunnel, LegOwner {
  readonly openedAt: number;
  bytesIn = 0;
  bytesOut = 0;
  endedBy: TunnelEnd | undefined;
  /** The subprotocol that both sides speak. */
  readonly protocol: string | undefined;

  readonly #parts: LinkParts;
  readonly #limits: WebsocketLimits;
  readonly #client: Duplex;
  #source: PeerSocket | undefined;
  #target: PeerSocket | undefined;
  #leg: UpstreamLeg | undefined;
  #redial: Redial | undefined;
  /** Nothing passes any more; what is left is to close. */
  #isOver = false;
  #isClientClosed = false;
  /** Why the client is not read: its messages have nowhere to go. */
  #isUpstreamFull = false;
  #isApart = true;
  /** What came while the endpoint was leaving, for the next one. No more than one read of the socket. */
  #missed: Message[] = [];
  /** Since an endpoint lasted. */
  #failures = 0;
  #joinedAt = 0;
  #lastMessageAt: number;
  #pingedAt: number;
  readonly #clientBeat: Heartbeat;
  readonly #upstreamBeat = new Heartbeat(() => this.bytesOut);

  constructor(parts: LinkParts) {
    super();
    const { exchange, context, fields } = parts;
    this.#parts = parts;
    this.#limits = exchange.rule.websocket as WebsocketLimits;
    this.#client = exchange.upgrade!.releaseAsHttp1();
    this.#clientBeat = new Heartbeat(() => exchange.transport.bytesRead);
    this.protocol = protocolOf(fields);
    this.openedAt = context.clock.now();
    this.#lastMessageAt = this.openedAt;
    this.#pingedAt = this.openedAt;
  }

  get row(): number {
    return this.#parts.exchange.upstream.endpoint!.row;
  }

  /** Hands the client's connection to the library. @param url finds the link again. */
  open(url: string, carrier: Server): void {
    const { exchange, context } = this.#parts;
    const client = this.#client;
    // Fastify's part is over: it need not stay for as long as the link does.
    exchange.reply = null;
    client.on('drain', this.#onDrain);
    client.on('close', this.#onClientClosed);
    context.tunnels.opened(this);
    context.wheel.set(this, this.#due);
    exchange.req.url = url;
    carrier.emit('upgrade', exchange.req, client, Buffer.alloc(0));
  }

  /** Of the 101 to the client, what the library does not write itself. */
  addFields(lines: string[]): void {
    const { fields } = this.#parts;
    for (let at = 0; at < fields.length; at += 2) {
      if (!fields[at]!.toLowerCase().startsWith('sec-websocket-')) lines.push(`${fields[at]}: ${fields[at + 1]}`);
    }
  }

  /** Ends it: the client is told, and has a moment to answer. */
  leave(endedBy: TunnelEnd): void {
    this.#end(endedBy, GOING_AWAY, FAREWELL_MS);
  }

  // --- the upstream's side ---

  /** The library connects: at first to the endpoint that has agreed, later to another. @throws when it is too late. */
  dial(key: string): UpstreamLeg {
    if (this.#isOver) throw new Error('the WebSocket is closed');
    const { exchange, dispatch } = this.#parts;
    const agreed = this.#leg === undefined ? exchange.upgrade!.upstream! : undefined;
    const leg = new UpstreamLeg(this, key);
    this.#leg = leg;
    if (agreed !== undefined) leg.agree(agreed, this.protocol);
    else (this.#redial ??= new Redial(exchange, dispatch)).start(leg, this.protocol, () => this.#fail());
    return leg;
  }

  /** The library has both sides and listens to them. */
  join(source: PeerSocket, target: PeerSocket): void {
    const { clock } = this.#parts.context;
    if (this.#source === undefined) this.#watchClient(source);
    this.#target = target;
    if (this.#isOver) return target.terminate();
    target.prependListener('close', this.#onTargetClose);
    target.prependListener('error', () => this.#end('upstream', BAD_GATEWAY, CLOSING_MS));
    target.on('ping', this.#onSign);
    this.#joinedAt = clock.now();
    for (const { data, binary } of this.#missed.splice(0)) target.send(data, { binary });
    this.#isApart = false;
    this.#leg!.flow();
    this.#readClient();
  }

  /** The library has found the other side gone, and does what it was told: reconnect, unless the client is not alive. */
  readonly #onTargetClose = (code: number, reason: Buffer): void => {
    if (this.#isOver) return;
    this.#leg!.destroy();
    const isElsewhere = this.#parts.inspect.reconnect !== undefined && ELSEWHERE.has(code);
    if (!isElsewhere) return this.#end('upstream', code === ABNORMAL ? BAD_GATEWAY : code, CLOSING_MS, reason);
    if (this.#parts.context.clock.now() - this.#joinedAt > STEADY_MS) this.#failures = 0;
    this.#setApart();
    this.#redial?.begin();
    this.#fail();
  };

  /** One more endpoint that was of no use. */
  #fail(): void {
    const { reconnect } = this.#parts.inspect;
    if (this.#failures++ >= (reconnect?.attempts ?? 0)) this.#end('upstream', TRY_AGAIN, CLOSING_MS);
  }

  #setApart(): void {
    this.#isApart = true;
    this.#source?.pause();
  }

  // --- LegOwner ---

  get isClientFull(): boolean {
    return this.#client.writableNeedDrain;
  }

  onBytes(toUpstream: number, toClient: number): void {
    this.bytesIn += toUpstream;
    this.bytesOut += toClient;
  }

  onUpstreamFull(isFull: boolean): void {
    this.#isUpstreamFull = isFull;
    if (isFull) this.#source?.pause();
    else this.#readClient();
  }

  onUpstreamGone(leg: UpstreamLeg): void {
    if (leg === this.#leg && !this.#isOver && this.#parts.inspect.reconnect !== undefined) this.#setApart();
  }

  onLegClosed(leg: UpstreamLeg): void {
    if (leg !== this.#leg) return;
    // Its wait is over as well.
    this.#isUpstreamFull = false;
    // Gone before the library had it: the client's answer to its close frame has to be read.
    if (this.#source === undefined && this.#parts.inspect.reconnect === undefined) this.#client.resume();
    this.#checkClosed();
  }

  readonly #onDrain = (): void => {
    this.#onSign();
    this.#leg?.resumeUpstream();
  };

  #readClient(): void {
    if (this.#isOver || (!this.#isApart && !this.#isUpstreamFull)) this.#source?.resume();
  }

  // --- messages ---

  #watchClient(source: PeerSocket): void {
    this.#source = source;
    source.prependListener('close', this.#onSourceClose);
    source.prependListener('error', this.#onSourceError);
    source.on('ping', () => {
      this.#onSign();
      this.#charge();
    });
  }

  /** Before the library sends it on, which comes to nothing where the endpoint is leaving: the next one gets it. */
  onClientMessage(message: Message): void {
    if (this.#isOver) return;
    this.#onSign();
    const { messages, reconnect } = this.#parts.inspect;
    if (messages !== 'any' && (messages === 'binary') !== message.binary) {
      return this.#end('message', UNSUPPORTED, CLOSING_MS);
    }
    this.#charge();
    if (this.#isOver || reconnect === undefined) return;
    if (this.#target!.readyState === OPEN && this.#leg!.isHeard) return;
    this.#missed.push(message);
    this.#setApart();
  }

  onUpstreamMessage(): void {
    this.#onSign();
  }

  #charge(): void {
    for (const charge of this.#parts.charges) charge(this.#onRefused);
  }

  readonly #onRefused = (): void => this.#end('rate', POLICY, CLOSING_MS);

  readonly #onSign = (): void => {
    this.#lastMessageAt = this.#parts.context.clock.now();
  };

  // --- the end ---

  /** What the library refuses by itself, it has told the client already. */
  readonly #onSourceError = ({ code }: NodeJS.ErrnoException): void => {
    this.#end(code === 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH' ? 'message' : 'client', undefined, CLOSING_MS);
  };

  /** The upstream hears what the client said, and not the library's own numbers for "nothing". */
  readonly #onSourceClose = (code: number, reason: Buffer): void => {
    this.endedBy ??= 'client';
    this.#isOver = true;
    if (code === ABNORMAL) this.#target?.terminate();
    else if (code === NO_STATUS) this.#target?.close();
    else this.#target?.close(code, reason);
  };

  /** Both sides are told; whoever does not answer is cut. @param code for the client. */
  #end(endedBy: TunnelEnd, code: number | undefined, graceMs: number, reason?: Buffer): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.endedBy ??= endedBy;
    const { clock, wheel } = this.#parts.context;
    this.#missed = [];
    if (this.#source === undefined) return this.#parts.exchange.transport.reset();
    this.#source.isAlive = false;
    if (code === NO_STATUS) this.#source.close();
    else if (code !== undefined) this.#source.close(code, reason);
    this.#target?.close(GOING_AWAY);
    // Its answer has to be read.
    this.#source.resume();
    wheel.set(this, clock.now() + graceMs);
  }

  readonly #onClientClosed = (): void => {
    this.endedBy ??= 'client';
    this.#isOver = true;
    this.#isClientClosed = true;
    if (this.#source !== undefined) this.#source.isAlive = false;
    const { clock, wheel } = this.#parts.context;
    // Where the library has said goodbye, the upstream may still answer.
    if (this.#isApart) this.#leg?.destroy();
    else wheel.set(this, clock.now() + CLOSING_MS);
    this.#checkClosed();
  };

  #checkClosed(): void {
    if (!this.#isClientClosed || this.#leg?.closed === false) return;
    const { context, exchange, onClosed } = this.#parts;
    if (this.#leg === undefined) exchange.upgrade!.upstream!.socket.destroy();
    context.wheel.clear(this);
    context.tunnels.closed(this);
    onClosed();
    // As Node would, had the answer been in HTTP.
    exchange.res.emit('close');
  }

  // --- time ---

  get #due(): number {
    const { idle, max = Infinity } = this.#limits;
    const { ping } = this.#parts.inspect;
    const pingAt = ping === false ? Infinity : this.#pingedAt + ping;
    return Math.min(this.#lastMessageAt + idle, this.openedAt + max, pingAt);
  }

  override onDue(now: number): void {
    if (this.#isOver) return this.#cut();
    const { idle, max = Infinity } = this.#limits;
    if (this.#lastMessageAt + idle <= now) return this.leave('idle');
    if (this.openedAt + max <= now) return this.leave('max');
    if (this.#due <= now) this.#ping(now);
    if (!this.#isOver) this.#parts.context.wheel.set(this, this.#due);
  }

  #ping(now: number): void {
    this.#pingedAt = now;
    if (this.#isApart) return;
    const takesAll = !this.isClientFull && !this.#isUpstreamFull;
    const hasClient = this.#clientBeat.beat(takesAll, () => this.#source!.ping());
    if (!hasClient) return this.#end('ping', GOING_AWAY, 0);
    const hasUpstream = this.#upstreamBeat.beat(takesAll, () => this.#target!.ping());
    // As any other end of it.
    if (!hasUpstream) this.#leg!.destroy();
  }

  #cut(): void {
    if (!this.#isClientClosed) this.#parts.exchange.transport.reset();
    this.#leg?.destroy();
  }
}
