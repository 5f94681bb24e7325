/**
 * One connection that speaks HTTP/2: how long it may serve and be idle, and how often its requests may end badly. It is
 * left in two steps (RFC 9113 §6.8): the client hears that it should go elsewhere, and only a round trip later which of its
 * requests were the last, so that none is lost on the way.
 */
import { constants, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2';
import type { Http2Config, ListenerLimitsConfig } from '../../config/schema.ts';
import { Deadline } from '../../timer-wheel.ts';
import { keepStreamsYoung } from '../../young-streams.ts';
import type { ClientConnection } from '../client-connection.ts';
import { connectionAge } from '../connection-lifetime.ts';
import type { DataContext } from '../context.ts';
import { Http2Response } from './response.ts';

const { NGHTTP2_NO_ERROR, NGHTTP2_ENHANCE_YOUR_CALM } = constants;

/** "No stream is the last yet." */
const ANY_STREAM = 2 ** 31 - 1;
/** What a client that is told to go may take to hear of it. */
const ROUND_TRIP_MS = 1_000;
/** In which resets are counted. */
const RESET_WINDOW_MS = 30_000;

export class Http2Connection extends Deadline {
  readonly client: ClientConnection;
  readonly #session: ServerHttp2Session;
  readonly #limits: ListenerLimitsConfig;
  readonly #context: DataContext;
  readonly #mostResets: number;
  /** On the clock's scale. */
  readonly #oldAt: number;
  /** The client has begun to speak. */
  #greeted = false;
  #quietSince: number;
  #requests = 0;
  #open = 0;
  /** What has happened in the latest RESET_WINDOW_MS. */
  #window: { since: number; requests: number; resets: number };
  #leaving: 'no' | 'told' | 'gone' = 'no';

  constructor(
    client: ClientConnection,
    session: ServerHttp2Session,
    limits: ListenerLimitsConfig,
    { connectionWindow, maxResets }: Http2Config,
    context: DataContext,
  ) {
    super();
    this.client = client;
    this.#session = session;
    this.#limits = limits;
    this.#context = context;
    this.#mostResets = maxResets;
    const now = context.clock.now();
    this.#quietSince = now;
    this.#window = { since: now, requests: 0, resets: 0 };
    this.#oldAt = now + connectionAge(limits, context.random);
    keepStreamsYoung(session);
    session.setLocalWindowSize(connectionWindow);
    session.on('error', ignore);
    session.once('remoteSettings', () => {
      this.#greeted = true;
    });
    session.once('close', () => context.wheel.clear(this));
    this.#watch();
  }

  /** @returns the way back of a request; undefined where it is not wanted any more. */
  begin(stream: ServerHttp2Stream, now: number): Http2Response | undefined {
    this.#requests++;
    if (now - this.#window.since > RESET_WINDOW_MS) this.#window = { since: now, requests: 0, resets: 0 };
    this.#window.requests++;
    if (stream.destroyed || stream.closed) {
      // What was wrong with it is still to be told, and with nobody listening would end the thread.
      stream.on('error', ignore);
      this.#countReset();
      return undefined;
    }
    this.#open++;
    const { maxRequestsPerConnection: most } = this.#limits;
    if (this.#context.draining || (most > 0 && this.#requests >= most)) this.leave();
    return new Http2Response(stream, this.#onClose);
  }

  /** Takes no further requests; those under way end first. */
  leave(): void {
    if (this.#leaving !== 'no') return;
    // The client has said goodbye itself.
    if (this.#session.closed || this.#session.destroyed) return this.#close();
    this.#leaving = 'told';
    this.#session.goaway(NGHTTP2_NO_ERROR, ANY_STREAM);
    // Its answer comes behind all that the client sent before it knew.
    this.#session.ping(() => this.#close());
    this.#context.wheel.set(this, this.#context.clock.now() + ROUND_TRIP_MS);
  }

  #close(): void {
    if (this.#leaving === 'gone' || this.client.socket.destroyed) return;
    this.#leaving = 'gone';
    this.#context.wheel.clear(this);
    this.#quietSince = this.#context.clock.now();
    if (!this.#session.destroyed) this.#session.close();
    this.#watch();
  }

  readonly #onClose = (stream: ServerHttp2Stream, res: Http2Response): void => {
    const now = this.#context.clock.now();
    this.#open--;
    this.#quietSince = now;
    if (this.#open === 0 && this.#leaving !== 'told') this.#watch();
    const isByClient = stream.rstCode !== NGHTTP2_NO_ERROR && !res.isReset;
    // A WebSocket may end so: that it was opened has cost the client an answer.
    if (isByClient && !res.isReleased) this.#countReset();
  };

  /** A request costs the client nothing that it takes back at once, or that we have to (CVE-2023-44487, CVE-2025-8671). */
  #countReset(): void {
    const { requests, resets } = this.#window;
    this.#window.resets = resets + 1;
    // Callers with short deadlines give up a few of many.
    if (resets < this.#mostResets || 2 * resets < requests || this.#session.destroyed) return;
    // With an error, or Node says NO_ERROR behind it.
    this.#session.destroy(new Error('too many requests were reset'), NGHTTP2_ENHANCE_YOUR_CALM);
  }

  // --- time ---

  get #due(): number {
    const { keepAlive, headersTimeout } = this.#limits;
    // Closed on our side. A client that keeps its own open, or takes nothing more, would hold the connection for ever.
    if (this.#leaving === 'gone') return this.#open > 0 ? Infinity : this.#quietSince + keepAlive;
    if (this.#open > 0) return this.#oldAt;
    return Math.min(this.#oldAt, this.#quietSince + (this.#greeted ? keepAlive : headersTimeout));
  }

  #watch(): void {
    const due = this.#due;
    if (due < Infinity) this.#context.wheel.set(this, due);
  }

  override onDue(now: number): void {
    if (this.#leaving === 'told') return this.#close();
    if (this.#leaving === 'gone' && this.#due <= now) return void this.client.socket.destroy();
    if (!this.#greeted && this.#due <= now) return this.#session.destroy();
    if (this.#due <= now) this.leave();
    else this.#watch();
  }
}

function ignore(): void {}
