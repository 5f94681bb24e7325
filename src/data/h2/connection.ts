/**
 * One connection that speaks HTTP/2: how long it may serve and be idle, and how often its requests may end badly. It is
 * left in two steps (RFC 9113 §6.8): the client hears that it should go elsewhere, and only a round trip later which of its
 * requests were the last, so that none is lost on the way.
 */
import type { Http2Config, ListenerLimitsConfig } from '../../config/schema.ts';
import { ErrorCode } from '../../http2/constants.ts';
import { ServerSession, type SessionOwner } from '../../http2/session.ts';
import type { ServerStream } from '../../http2/stream.ts';
import { Deadline } from '../../timer-wheel.ts';
import type { ClientConnection } from '../client-connection.ts';
import { connectionAge } from '../connection-lifetime.ts';
import type { DataContext } from '../context.ts';

/** What a client that is told to go may take to hear of it. */
const ROUND_TRIP_MS = 1_000;
/** What is still read of a client that was told of its error: unread bytes would cost it our last words. */
const LAST_WORD_MS = 500;
/** In which resets are counted. */
const RESET_WINDOW_MS = 30_000;

export interface Http2Host {
  onStream(stream: ServerStream, client: ClientConnection, now: number): void;
  /** What came was no request, or no HTTP/2. */
  onRefused(): void;
  onClosed(connection: Http2Connection): void;
}

export class Http2Connection extends Deadline implements SessionOwner {
  readonly #client: ClientConnection;
  readonly #session: ServerSession;
  readonly #limits: ListenerLimitsConfig;
  readonly #context: DataContext;
  readonly #host: Http2Host;
  readonly #mostResets: number;
  /** On the clock's scale. */
  readonly #oldAt: number;
  #greeted = false;
  #quietSince: number;
  #requests = 0;
  /** What has happened in the latest RESET_WINDOW_MS. */
  #window: { since: number; requests: number; resets: number };
  #leaving: 'no' | 'told' | 'gone' | 'failed' = 'no';

  constructor(
    client: ClientConnection,
    limits: ListenerLimitsConfig,
    { connectionWindow, maxResets, maxStreams, streamWindow }: Http2Config,
    context: DataContext,
    host: Http2Host,
  ) {
    super();
    this.#client = client;
    this.#limits = limits;
    this.#context = context;
    this.#host = host;
    this.#mostResets = maxResets;
    const { clock } = context;
    const now = clock.now();
    this.#quietSince = now;
    this.#window = { since: now, requests: 0, resets: 0 };
    this.#oldAt = now + connectionAge(limits, context.random);
    const headerListBytes = 2 * limits.headers;
    const options = { maxStreams, streamWindow, connectionWindow, headerListBytes, clock };
    this.#session = new ServerSession(client.socket, options, this);
    this.#watch();
  }

  onGreeted(): void {
    this.#greeted = true;
  }

  onStream(stream: ServerStream): void {
    const now = this.#context.clock.now();
    this.#requests++;
    if (now - this.#window.since > RESET_WINDOW_MS) this.#window = { since: now, requests: 0, resets: 0 };
    this.#window.requests++;
    const { maxRequestsPerConnection: most } = this.#limits;
    if (this.#context.draining || (most > 0 && this.#requests >= most)) this.leave();
    this.#host.onStream(stream, this.#client, now);
  }

  /** Takes no further requests; those under way end first. */
  leave(): void {
    if (this.#leaving !== 'no' || this.#session.isOver) return;
    this.#leaving = 'told';
    this.#session.announceGoodbye();
    // Its answer comes behind all that the client sent before it knew.
    this.#session.ping(() => this.#close());
    this.#context.wheel.set(this, this.#context.clock.now() + ROUND_TRIP_MS);
  }

  #close(): void {
    if (this.#leaving !== 'told') return;
    this.#leaving = 'gone';
    this.#context.wheel.clear(this);
    this.#quietSince = this.#context.clock.now();
    this.#session.close();
    this.#watch();
  }

  onStreamClosed(): void {
    this.#quietSince = this.#context.clock.now();
    if (this.#session.open === 0 && this.#leaving !== 'told') this.#watch();
  }

  /** A request costs the client nothing that it takes back at once, or that we have to (CVE-2023-44487, CVE-2025-8671). */
  onReset(): void {
    const { requests, resets } = this.#window;
    this.#window.resets = resets + 1;
    // Callers with short deadlines give up a few of many.
    if (resets >= this.#mostResets && 2 * resets >= requests) this.#session.fail(ErrorCode.enhanceYourCalm);
  }

  onRefused(): void {
    this.#host.onRefused();
    this.onReset();
  }

  onFailed(): void {
    this.#host.onRefused();
    this.#leaving = 'failed';
    this.#context.wheel.set(this, this.#context.clock.now() + LAST_WORD_MS);
  }

  onClosed(): void {
    this.#context.wheel.clear(this);
    this.#host.onClosed(this);
  }

  // --- time ---

  get #due(): number {
    const { keepAlive, headersTimeout } = this.#limits;
    // Closed on our side. A client that keeps its own open, or takes nothing more, would hold the connection for ever.
    const { open } = this.#session;
    if (this.#leaving === 'gone') return open > 0 ? Infinity : this.#quietSince + keepAlive;
    if (open > 0) return this.#oldAt;
    return Math.min(this.#oldAt, this.#quietSince + (this.#greeted ? keepAlive : headersTimeout));
  }

  #watch(): void {
    const due = this.#due;
    if (due < Infinity) this.#context.wheel.set(this, due);
  }

  override onDue(now: number): void {
    if (this.#leaving === 'told') return this.#close();
    if (this.#leaving === 'failed') return void this.#client.socket.destroy();
    const isPatient = this.#greeted && this.#leaving === 'no' && !this.#session.isOver;
    if (!isPatient && this.#due <= now) return void this.#client.socket.destroy();
    if (this.#due <= now) this.leave();
    else this.#watch();
  }
}
