/**
 * A client that says exactly the bytes it is told to, and reads strictly. It never hangs: every wait has a deadline,
 * and what did not come in time is part of the result.
 */
import { connect, type Socket } from 'node:net';
import { MalformedMessage, readResponse, statusOf, valuesOf, type Message } from './http1.ts';
import { within } from './until.ts';

export interface RawResponse extends Message {
  readonly status: number;
  /** The first value of the field, or undefined. @param name in lower case. */
  field(name: string): string | undefined;
  text(): string;
}

export interface RawResult {
  /** Final answers, in their order. */
  readonly responses: readonly RawResponse[];
  /** Interim answers (1xx), in their order. */
  readonly interim: readonly RawResponse[];
  /** How the connection stood at the end. */
  readonly closed: 'open' | 'fin' | 'reset';
  /** What stood behind the last whole answer; not empty means cut short or out of step. */
  readonly leftover: Buffer;
  /** Why the bytes are no HTTP, when they are not. */
  readonly malformed: string | undefined;
}

export interface AskOptions {
  /** Of each request in turn; the last one repeats. Needed for HEAD only. */
  readonly methods?: readonly string[];
  /** Return when this many final answers are there; 0 waits for the close. Default 1. */
  readonly answers?: number;
  /** After the answers, also wait for the other side to close. */
  readonly toClose?: boolean;
  /** Send a FIN behind the bytes. */
  readonly halfClose?: boolean;
  readonly deadlineMs?: number;
}

export class RawConnection {
  readonly socket: Socket;
  /** Has room for what is still to come: a large answer is not copied again for each of its pieces. */
  #room = Buffer.alloc(4096);
  #from = 0;
  #to = 0;
  #closed: 'open' | 'fin' | 'reset' = 'open';
  #onChange: () => void = () => {};

  static async open(port: number, host = '127.0.0.1'): Promise<RawConnection> {
    const socket = connect({ port, host, noDelay: true, allowHalfOpen: true });
    await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject));
    return new RawConnection(socket);
  }

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (chunk) => {
      this.#keep(chunk);
      this.#onChange();
    });
    socket.on('end', () => this.#close('fin'));
    socket.on('error', () => this.#close('reset'));
    socket.on('close', () => this.#close('fin'));
  }

  /** How the other side stands. */
  get closed(): 'open' | 'fin' | 'reset' {
    return this.#closed;
  }

  get received(): Buffer {
    return this.#room.subarray(this.#from, this.#to);
  }

  send(bytes: string | Buffer): void {
    this.socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
  }

  /** Resolves when `enough` holds of this connection, or it closed; rejects at the deadline. */
  async wait(enough: () => boolean, what: string, deadlineMs?: number): Promise<void> {
    const reached = new Promise<void>((resolve, reject) => {
      this.#onChange = () => {
        try {
          if (enough() || this.#closed !== 'open') resolve();
        } catch (malformed) {
          reject(malformed as Error);
        }
      };
      this.#onChange();
    });
    await within(reached, what, deadlineMs);
  }

  /** Everything received so far, read as answers to requests of these methods. */
  read(methods: readonly string[] = ['GET']): RawResult {
    const responses: RawResponse[] = [];
    const interim: RawResponse[] = [];
    let leftover = this.received;
    let malformed: string | undefined;
    try {
      while (leftover.length > 0) {
        const method = methods[Math.min(responses.length, methods.length - 1)]!;
        const read = readResponse(leftover, method, this.#closed === 'fin');
        if (read === undefined) break;
        const response = toResponse(read.message);
        (response.status < 200 && response.status !== 101 ? interim : responses).push(response);
        leftover = read.rest;
        if (response.status === 101) break;
      }
    } catch (error) {
      if (!(error instanceof MalformedMessage)) throw error;
      malformed = error.message;
    }
    return { responses, interim, closed: this.#closed, leftover, malformed };
  }

  /** The next final answer to what was sent, taken off the connection. */
  async answer(method = 'GET', deadlineMs?: number): Promise<RawResponse> {
    let response: RawResponse | undefined;
    await this.wait(() => (response ??= this.#take(method)) !== undefined, `an answer to ${method}`, deadlineMs);
    if (response !== undefined) return response;
    throw new Error(`no answer but ${this.#closed} behind ${JSON.stringify(this.received.toString('latin1', 0, 300))}`);
  }

  #take(method: string): RawResponse | undefined {
    for (;;) {
      const read = readResponse(this.received, method, this.#closed === 'fin');
      if (read === undefined) return undefined;
      this.#from = this.#to - read.rest.length;
      const response = toResponse(read.message);
      if (response.status >= 200 || response.status === 101) return response;
    }
  }

  #keep(chunk: Buffer): void {
    if (this.#to + chunk.length > this.#room.length) {
      const kept = this.received;
      this.#room = Buffer.alloc(2 * (kept.length + chunk.length));
      this.#room.set(kept);
      [this.#from, this.#to] = [0, kept.length];
    }
    this.#room.set(chunk, this.#to);
    this.#to += chunk.length;
  }

  /** Sends a FIN: nothing more will be asked, answers are still read. */
  halfClose(): void {
    this.socket.end();
  }

  /** Sends a RST, as a client that vanished. */
  reset(): void {
    this.socket.resetAndDestroy();
  }

  close(): void {
    this.socket.destroy();
  }

  #close(how: 'fin' | 'reset'): void {
    if (this.#closed === 'open') this.#closed = how;
    this.#onChange();
  }
}

/** Opens a connection, sends the bytes, and reads until the options are met, the close, or the deadline. */
export async function ask(port: number, bytes: string | Buffer, options: AskOptions = {}): Promise<RawResult> {
  const { methods = ['GET'], answers = 1, toClose = answers === 0, halfClose = false, deadlineMs } = options;
  const connection = await RawConnection.open(port);
  try {
    connection.send(bytes);
    if (halfClose) connection.halfClose();
    const enough = () => !toClose && connection.read(methods).responses.length >= answers;
    await connection.wait(enough, 'an answer', deadlineMs).catch(() => undefined);
    return connection.read(methods);
  } finally {
    connection.close();
  }
}

/** A plain request as bytes. @param fields lines without line end. */
export function request(
  method: string,
  target: string,
  host: string,
  fields: readonly string[] = [],
  body = '',
): string {
  const length = body === '' ? [] : [`Content-Length: ${Buffer.byteLength(body)}`];
  return [`${method} ${target} HTTP/1.1`, `Host: ${host}`, ...length, ...fields, '', body].join('\r\n');
}

function toResponse(message: Message): RawResponse {
  return {
    ...message,
    status: statusOf(message.startLine),
    field: (name) => valuesOf(message.fields, name)[0],
    text: () => message.body.toString(),
  };
}
