/**
 * One HTTP/2 connection to an endpoint, on Node's client: it opens, carries as many calls at once as the peer takes, and
 * leaves in good order when the peer says so (GOAWAY), when it is worn, or when it has been idle for too long.
 */
import http2 from 'node:http2';
import net from 'node:net';
import tls from 'node:tls';
import { Deadline } from '../../timer-wheel.ts';
import { keepStreamsYoung } from '../../young-streams.ts';
import type { GatewayError } from '../../errors.ts';
import type { Call, ResponseLimits } from '../call.ts';
import { connectFault, connectTimeout, notHttp2, refusedAlpn } from '../faults.ts';
import type { Sessions } from './sessions.ts';
import { Stream } from './stream.ts';

/** What may be on its way to us, of one answer and of all: with 64 KiB, distance would set the speed of a download. */
const STREAM_WINDOW = 256 * 1024;
const SESSION_WINDOW = 1024 * 1024;
/** As much as is read at once: fewer and larger pieces of a download. */
const FRAME_BYTES = 64 * 1024;
/** Above the largest head that a listener takes (limits of the peer are its own to say): one too large for Node ends the session. */
const MOST_SENT_HEAD_BYTES = 1024 * 1024;
/** Node's own bound is 10 MB for all streams together; what they hold is bounded by their windows. */
const MOST_MEMORY_MB = 256;
/**
 * Of a head over this many times its limits, nothing is kept and the stream is reset. Below, the answer is refused by us,
 * who can say why: a reset of Node's own looks like one of the peer's.
 */
const HEADS_BEYOND = 4;
/** Honest peers send one or two. */
const MOST_SETTINGS = 100;
/**
 * Peers that guard against rapid resets (CVE-2023-44487) end a session in which many streams were, with all that it
 * carries. So that no client that comes and goes can do this to the others, a session is replaced before.
 */
const MOST_ABANDONED = 100;

const { NGHTTP2_NO_ERROR, NGHTTP2_ENHANCE_YOUR_CALM } = http2.constants;

/** Node's types know the last of them for servers only. */
type ClientOptions = http2.ClientSessionOptions & { readonly strictSingleValueFields: boolean };

export class Session extends Deadline {
  readonly #owner: Sessions;
  readonly #socket: net.Socket;
  readonly #http2: http2.ClientHttp2Session;
  #state: 'opening' | 'open' | 'leaving' | 'closed' = 'opening';
  /** Streams that the peer takes at once. */
  #takes = 0;
  #active = 0;
  #served = 0;
  #abandoned = 0;
  #settingsSeen = 0;
  /** Whether the peer is still there is being asked. */
  #inDoubt = false;
  /** The last stream that the peer has processed or will; those above it are as good as never sent. */
  #lastProcessed = Infinity;
  #cause: Error | undefined;

  constructor(owner: Sessions) {
    super();
    this.#owner = owner;
    this.#socket = owner.tls === undefined ? this.#connectTcp() : this.#connectTls(owner.tls);
    this.#http2 = http2.connect(owner.url, this.#options(this.#socket));
    keepStreamsYoung(this.#http2);
    this.#http2.on('remoteSettings', this.#onSettings);
    this.#http2.on('goaway', this.#onGoaway);
    this.#http2.on('error', this.#onError);
    this.#http2.on('close', this.#onClose);
    owner.wheel.set(this, owner.clock.now() + owner.settings.connectTimeout);
  }

  /** Whether it takes another call now. */
  get hasRoom(): boolean {
    // Node may have closed it already, and tell later.
    return this.#state === 'open' && this.#active < this.#takes && !this.#inDoubt && !this.#http2.closed;
  }

  /** Open, and carrying nothing. */
  get isIdle(): boolean {
    return this.#state === 'open' && this.#active === 0;
  }

  get url(): string {
    return this.#owner.url;
  }

  get limits(): ResponseLimits {
    return this.#owner.limits;
  }

  /** Why it broke, once it has. */
  get cause(): Error | undefined {
    return this.#cause;
  }

  /** Bytes that the peer has ever sent. */
  get bytesHeard(): number {
    return this.#socket.bytesRead;
  }

  carry(call: Call): void {
    if (this.#active++ === 0) this.#owner.wheel.clear(this);
    this.#served++;
    const { maxRequests } = this.#owner.settings;
    new Stream(this, this.#http2, this.#owner.scheme, call);
    if (maxRequests > 0 && this.#served >= maxRequests) this.#leave();
  }

  /** Nothing to carry: it closes when that has lasted. */
  waitIdle(): void {
    if (!this.#inDoubt) this.#owner.wheel.set(this, this.#owner.clock.now() + this.#owner.settings.idle);
  }

  close(): void {
    if (this.#state === 'closed') return;
    const wasOpening = this.#state === 'opening';
    this.#state = 'closed';
    this.#owner.wheel.clear(this);
    // Says GOAWAY first. Node would then wait for the peer to close its side, too, where it was the first to leave.
    this.#http2.destroy();
    if (wasOpening) return void this.#socket.destroy();
    this.#socket.destroySoon();
    this.#owner.onClosed(this);
  }

  // --- opening ---

  #options(socket: net.Socket): ClientOptions {
    const { limits } = this.#owner;
    return {
      createConnection: () => socket,
      // A client may send a field twice that should stand once: the endpoint judges that, as over HTTP/1.1.
      strictSingleValueFields: false,
      maxHeaderListPairs: limits.fields * HEADS_BEYOND,
      maxSendHeaderBlockLength: MOST_SENT_HEAD_BYTES,
      maxSessionMemory: MOST_MEMORY_MB,
      settings: {
        enablePush: false,
        maxFrameSize: FRAME_BYTES,
        initialWindowSize: STREAM_WINDOW,
        maxHeaderListSize: limits.headBytes * HEADS_BEYOND,
      },
    };
  }

  #connectTcp(): net.Socket {
    return net.connect(this.#owner.address);
  }

  #connectTls(options: tls.ConnectionOptions): net.Socket {
    const owner = this.#owner;
    const socket = tls.connect({
      ...owner.address,
      ALPNProtocols: ['h2'],
      ...options,
      ...(owner.ticket === undefined ? {} : { session: owner.ticket }),
    });
    socket.setNoDelay(true);
    socket.setKeepAlive(true, owner.address.keepAliveInitialDelay);
    socket.on('session', (ticket: Buffer) => {
      owner.ticket = ticket;
    });
    // Before Node's own listener, which would begin to speak HTTP/2 whatever was agreed.
    socket.once('secureConnect', () => {
      if (socket.alpnProtocol !== 'h2') this.#fail(refusedAlpn(this.url));
    });
    return socket;
  }

  /** Only a peer that has sent its SETTINGS is known to speak HTTP/2, and how much it takes: nothing is sent before. */
  readonly #onSettings = ({ maxConcurrentStreams = Infinity }: http2.Settings): void => {
    if (this.#state === 'closed') return;
    if (++this.#settingsSeen > MOST_SETTINGS) {
      this.#http2.destroy(new Error('SETTINGS without end'), NGHTTP2_ENHANCE_YOUR_CALM);
      return;
    }
    this.#takes = maxConcurrentStreams;
    this.#owner.onSettings(maxConcurrentStreams);
    if (this.#state === 'opening') {
      this.#state = 'open';
      this.#owner.wheel.clear(this);
      this.#http2.setLocalWindowSize(SESSION_WINDOW);
      this.#owner.onOpened(this);
    } else if (this.#state === 'open') {
      this.#owner.onRoom(this);
    }
  };

  // --- what its streams tell ---

  onStreamOver(): void {
    this.#active--;
    if (this.#state === 'open') this.#owner.onRoom(this);
    else if (this.#state === 'leaving' && this.#active === 0) this.close();
  }

  /** @param unheard whether the peer has not said anything since the call began. */
  onStreamAbandoned(unheard: boolean): void {
    if (++this.#abandoned >= MOST_ABANDONED) this.#leave();
    else if (unheard) this.#doubt();
    this.onStreamOver();
  }

  /** Whether the peer says that it has not processed this stream. */
  isUnprocessed(id: number | undefined): boolean {
    return id === undefined || id > this.#lastProcessed;
  }

  /** @returns whether another session carries it. */
  move(call: Call): boolean {
    return this.#owner.move(call);
  }

  /**
   * A silent peer may be slow, or gone without a word, and then every call would find that out for itself. It is asked,
   * and until it answers it is given nothing. One that is heard is never asked: gRPC servers take that ill.
   */
  #doubt(): void {
    if (this.#state !== 'open' || this.#inDoubt || this.#http2.closed) return;
    this.#inDoubt = true;
    this.#owner.wheel.set(this, this.#owner.clock.now() + this.#owner.settings.connectTimeout);
    this.#http2.ping(this.#onPong);
  }

  readonly #onPong = (error: Error | null): void => {
    if (error !== null || this.#state === 'closed') return;
    this.#inDoubt = false;
    this.#owner.wheel.clear(this);
    if (this.#state === 'open') this.#owner.onRoom(this);
  };

  // --- ending ---

  /** Takes no more calls, and closes when those it has are over. */
  #leave(): void {
    if (this.#state !== 'open') return;
    this.#state = 'leaving';
    this.#owner.onLeaving(this);
    if (this.#active === 0) this.close();
  }

  /** RFC 9113 §6.8. Told before Node acts on it: it closes gracefully, or, where the peer names an error, at once. */
  readonly #onGoaway = (code: number, lastStreamId: number): void => {
    this.#lastProcessed = lastStreamId;
    if (code !== NGHTTP2_NO_ERROR) this.#cause = new Error(`GOAWAY ${code}`);
    this.#leave();
  };

  /** Not open in time, no answer to the question whether it is there, or idle for too long. */
  override onDue(): void {
    const { url, settings } = this.#owner;
    if (this.#state === 'opening') return this.#fail(connectTimeout(url, settings.connectTimeout));
    if (this.#inDoubt) this.#cause = new Error(`no answer to a PING within ${settings.connectTimeout} ms`);
    this.close();
  }

  readonly #onError = (error: NodeJS.ErrnoException): void => {
    this.#cause ??= error;
    if (this.#state === 'opening') this.#fail(this.#openFault(error));
    else this.close();
  };

  readonly #onClose = (): void => {
    if (this.#state === 'opening') this.#fail(notHttp2(this.url, undefined));
    else this.close();
  };

  #openFault(error: NodeJS.ErrnoException): GatewayError {
    if (error.code === 'ERR_HTTP2_ERROR' || error.code === 'ERR_HTTP2_SESSION_ERROR') return notHttp2(this.url, error);
    if (error.code === 'ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL') return refusedAlpn(this.url, error);
    return connectFault(error, this.url, this.#owner.tls !== undefined);
  }

  /** While opening. */
  #fail(error: GatewayError): void {
    if (this.#state === 'closed') return;
    this.close();
    this.#owner.onNotOpened(this, error);
  }
}
