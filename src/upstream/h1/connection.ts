/**
 * One TCP or TLS connection to an endpoint, carrying one call at a time. It writes the request, feeds the parser and
 * knows at any moment whether something of the request was sent, which is what decides about trying again.
 */
import net from 'node:net';
import tls from 'node:tls';
import type { GatewayError } from '../../errors.ts';
import { Deadline } from '../../timer-wheel.ts';
import type { UpstreamRequest } from '../../data/dispatch.ts';
import { resetSocket } from '../../reset.ts';
import type { Call, Carrier } from '../call.ts';
import { badAnswer, brokenConnection, connectFault, connectTimeout, ResponseFault } from '../faults.ts';
import type { UploadOwner } from '../upload.ts';
import type { Connections } from './connections.ts';
import { ReadBuffer } from './read-buffer.ts';
import { RequestBody } from './request-body.ts';
import { agreesToWebSocket } from './handshake.ts';
import { ResponseParser, type ResponseSink } from './response-parser.ts';

export class Connection extends Deadline implements Carrier, ResponseSink, UploadOwner {
  /** It carries one call, which may leave HTTP, and no other. */
  readonly isForUpgrade: boolean;
  readonly #owner: Connections;
  readonly #socket: net.Socket;
  readonly #parser: ResponseParser;
  #call: Call | null;
  #body: RequestBody | null = null;
  #connected = false;
  #closed = false;
  #served = 0;
  /** Undefined over TLS, where each chunk is its own. */
  #readBuffer: ReadBuffer | undefined;
  /** The answer is whole and allows another call; set until the bytes just read are used up. */
  #released = false;
  #switched = false;

  /** Opens a connection for a call that is carried as soon as it is there. */
  constructor(owner: Connections, first: Call) {
    super();
    this.#owner = owner;
    this.#call = first;
    this.isForUpgrade = first.request.upgrade !== undefined;
    first.carrier = this;
    this.#parser = new ResponseParser(this, owner.limits);
    this.#socket = owner.tls === undefined ? this.#connectTcp() : this.#connectTls(owner.tls);
    this.#socket.on('end', this.#onEnd);
    this.#socket.on('error', this.#onError);
    this.#socket.on('close', this.#onClose);
    owner.wheel.set(this, owner.clock.now() + owner.settings.connectTimeout);
  }

  get connected(): boolean {
    return this.#connected;
  }

  /** Carries a call on a connection that was idle. */
  carry(call: Call): void {
    this.#call = call;
    call.carrier = this;
    this.#owner.wheel.clear(this);
    this.#write(call.request);
  }

  abandon(): void {
    this.#call = null;
    this.close();
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  keepBytes(): () => void {
    const buffer = this.#readBuffer;
    if (buffer === undefined) return ownBytes;
    buffer.keep();
    return buffer.release;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#readBuffer?.disconnect();
    this.#parser.stop();
    this.#body?.stop();
    this.#body = null;
    this.#owner.wheel.clear(this);
    this.#socket.destroy();
    this.#owner.onClosed(this);
  }

  /** Idle for too long, or not connected in time. */
  override onDue(): void {
    if (this.#connected) this.close();
    else this.#fail(connectTimeout(this.#owner.url, this.#owner.settings.connectTimeout));
  }

  // --- opening ---

  #connectTcp(): net.Socket {
    const { host, port } = this.#owner;
    const options = { host, port, noDelay: true, keepAlive: true };
    if (this.isForUpgrade) return this.#readAsStream(net.connect({ ...options, allowHalfOpen: true }), 'connect');
    const socket = net.connect({
      ...options,
      // Straight from the kernel into one buffer: no stream, no allocation per read.
      onread: {
        buffer: this.#nextReadBuffer,
        callback: (length, buffer) => {
          this.#read((buffer as Buffer).subarray(0, length));
          return true;
        },
      },
    });
    socket.on('connect', this.#onConnected);
    return socket;
  }

  /** Asked for before the first read and after each: nothing means the same again. */
  readonly #nextReadBuffer = (): Buffer => {
    const buffer = this.#readBuffer;
    if (buffer !== undefined && !buffer.isKept) return SAME_AGAIN;
    buffer?.disconnect();
    this.#readBuffer = ReadBuffer.take();
    return this.#readBuffer.bytes;
  };

  #connectTls(options: tls.ConnectionOptions): net.Socket {
    const session = this.#owner.session;
    const socket = tls.connect({
      host: this.#owner.host,
      port: this.#owner.port,
      ALPNProtocols: ['http/1.1'],
      ...(this.isForUpgrade && { allowHalfOpen: true }),
      ...options,
      ...(session === undefined ? {} : { session }),
    });
    socket.setNoDelay(true);
    socket.setKeepAlive(true);
    socket.on('session', (ticket: Buffer) => {
      this.#owner.session = ticket;
    });
    return this.#readAsStream(socket, 'secureConnect');
  }

  #readAsStream<Stream extends net.Socket>(socket: Stream, connected: 'connect' | 'secureConnect'): Stream {
    socket.on('data', this.#read);
    socket.on(connected, this.#onConnected);
    return socket;
  }

  readonly #onConnected = (): void => {
    if (this.#closed) return;
    this.#connected = true;
    this.#owner.wheel.clear(this);
    this.#owner.onOpened();
    const call = this.#call;
    if (call === null) this.#becomeIdle();
    else this.#write(call.request);
  };

  // --- one call ---

  #write(request: UpstreamRequest): void {
    this.#released = false;
    this.#served++;
    this.#parser.expect(request.method === 'HEAD', this.isForUpgrade);
    const { body } = request;
    const head = serialiseHead(request);
    if (body === null) {
      this.#socket.write(head, 'latin1');
      this.#call?.onSent();
      return;
    }
    this.#socket.cork();
    this.#socket.write(head, 'latin1');
    if (Buffer.isBuffer(body)) {
      this.#socket.write(body);
      this.#call?.onSent();
    } else {
      this.#body = new RequestBody(body, this.#socket, request, this);
      this.#body.start();
    }
    this.#socket.uncork();
  }

  onBodySent(): void {
    this.#call?.onSent();
  }

  onBodyRefused(error: GatewayError): void {
    this.#fail(error);
  }

  readonly #read = (bytes: Buffer): void => {
    if (this.#closed) return;
    try {
      this.#parser.read(bytes);
    } catch (error) {
      this.#fail(badAnswer(this.#owner.url, error));
      return;
    }
    // Only now: bytes after the answer, in the same read, must not meet the next call.
    if (this.#released && !this.#closed) this.#becomeIdle();
  };

  onInformation(status: number, fields: string[]): void {
    this.#call?.onInformation(status, fields);
  }

  onSwitch(fields: string[], upgrade: string | undefined, rest: Buffer): void {
    const call = this.#call;
    if (call === null) return;
    if (!agreesToWebSocket(call.request.fields, fields, upgrade)) {
      throw new ResponseFault('protocol', '101 that agrees to no WebSocket');
    }
    const socket = this.#socket;
    socket.off('data', this.#read);
    socket.pause();
    const reset = () => void (this.#owner.tls === undefined ? resetSocket(socket) : socket.destroy());
    call.onSwitched(fields, { socket, rest, reset });
    this.#switched = true;
  }

  onHead(status: number, fields: string[]): void {
    this.#call?.onHead(status, fields);
  }

  onBody(bytes: Buffer): void {
    this.#call?.onBody(bytes);
  }

  onComplete(trailers: string[] | undefined, reusable: boolean): void {
    const call = this.#call;
    this.#call = null;
    // An answer that came before the whole request was sent leaves the rest unsent: the connection is spoilt.
    const sent = this.#body === null || this.#body.finished;
    const worn = this.#owner.settings.maxRequests > 0 && this.#served >= this.#owner.settings.maxRequests;
    if (reusable && sent && !worn && !this.isForUpgrade && call !== null) {
      this.#body = null;
      this.#released = true;
    }
    if (call !== null) {
      call.carrier = null;
      call.onComplete(trailers);
    }
    if (!this.#released) this.close();
  }

  #becomeIdle(): void {
    this.#released = false;
    // The last bytes of an answer may have filled the client's side: whoever is carried next must be heard all the same.
    if (this.#socket.isPaused()) this.#socket.resume();
    this.#owner.onIdle(this);
  }

  // --- ending ---

  #fail(error: GatewayError): void {
    const call = this.#call;
    this.#call = null;
    this.close();
    if (call === null) return;
    call.carrier = null;
    if (this.#switched) call.onComplete(undefined);
    else call.onFailure(error);
  }

  readonly #onEnd = (): void => {
    if (this.#closed || this.#switched) return;
    if (this.#parser.finish()) return;
    this.#fail(brokenConnection(this.#owner.url, this.#parser.started));
  };

  readonly #onError = (error: NodeJS.ErrnoException): void => {
    // After close() an error only says what we know; without this listener it would end the process.
    if (this.#closed) return;
    this.#fail(
      this.#connected
        ? brokenConnection(this.#owner.url, this.#parser.started, error)
        : connectFault(error, this.#owner.url, this.#owner.tls !== undefined),
    );
  };

  readonly #onClose = (): void => {
    if (this.#closed) return;
    this.#fail(brokenConnection(this.#owner.url, this.#parser.started));
  };
}

/** What Node takes for "no other buffer"; its types know only buffers. */
const SAME_AGAIN = undefined as unknown as Buffer;

function ownBytes(): void {}

/** The request line and fields. Framing is written here alone, from what the body is. */
function serialiseHead(request: UpstreamRequest): string {
  const { fields } = request;
  let head = `${request.method} ${request.target} HTTP/1.1\r\n`;
  for (let at = 0; at < fields.length; at += 2) head += `${fields[at]}: ${fields[at + 1]}\r\n`;
  if (request.upgrade !== undefined) head += `connection: Upgrade\r\nupgrade: ${request.upgrade}\r\n`;
  return `${head}${framing(request)}\r\n`;
}

/** RFC 9110 §8.6: a length for what has a body or whose method expects one. */
function framing({ body, contentLength, method }: UpstreamRequest): string {
  if (body === null) return method === 'POST' || method === 'PUT' || method === 'PATCH' ? 'content-length: 0\r\n' : '';
  if (Buffer.isBuffer(body)) return `content-length: ${body.length}\r\n`;
  return contentLength === undefined ? 'transfer-encoding: chunked\r\n' : `content-length: ${contentLength}\r\n`;
}
