/**
 * An HTTP/2 client that sends exactly the frames it is told to, well formed or not, and says what came back (RFC 9113). It
 * never hangs: every wait has a deadline. Its HPACK (RFC 7541) is the smallest that can ask anything, and reads no more
 * of an answer's fields than the status: it forbids the other side a dynamic table.
 */
import { connect, type Socket } from 'node:net';
import { within } from './until.ts';

export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');

export const Type = {
  data: 0,
  headers: 1,
  priority: 2,
  rstStream: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;

export const Flag = { none: 0, ack: 0x1, endStream: 0x1, endHeaders: 0x4, padded: 0x8, priority: 0x20 } as const;

export const Setting = {
  headerTableSize: 1,
  enablePush: 2,
  maxConcurrentStreams: 3,
  initialWindowSize: 4,
  maxFrameSize: 5,
  maxHeaderListSize: 6,
} as const;

export const Code = {
  noError: 0,
  protocolError: 1,
  internalError: 2,
  flowControlError: 3,
  streamClosed: 5,
  frameSizeError: 6,
  refusedStream: 7,
  cancel: 8,
  compressionError: 9,
  enhanceYourCalm: 11,
} as const;

/** Name and value, in their order; names may be anything. */
export type Fields = readonly (readonly [name: string, value: string])[];

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
}

/** What became of a request. */
export interface Outcome {
  /** Of the final answer. */
  readonly status: number | undefined;
  readonly body: Buffer;
  /** Whether the answer came to its end. */
  readonly isWhole: boolean;
  /** The code with which the stream was reset. */
  readonly reset: number | undefined;
  /** The code of a GOAWAY. */
  readonly goaway: number | undefined;
  readonly isClosed: boolean;
}

// --- frames ---

/** Unless the other side has allowed more (§4.2). */
export const LARGEST_FRAME = 16_384;

export function frame(type: number, flags: number, stream: number, payload: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** A whole head, in as many frames as it takes; `Flag.endStream` when nothing follows. */
export function headers(stream: number, fields: Fields, flags: number = Flag.endStream): Buffer {
  const bytes = block(fields);
  if (bytes.length <= LARGEST_FRAME) return frame(Type.headers, flags | Flag.endHeaders, stream, bytes);
  const frames = [frame(Type.headers, flags, stream, bytes.subarray(0, LARGEST_FRAME))];
  for (let at = LARGEST_FRAME; at < bytes.length; at += LARGEST_FRAME) {
    const isLast = at + LARGEST_FRAME >= bytes.length;
    const piece = bytes.subarray(at, at + LARGEST_FRAME);
    frames.push(frame(Type.continuation, isLast ? Flag.endHeaders : Flag.none, stream, piece));
  }
  return Buffer.concat(frames);
}

export function data(stream: number, bytes: string | Buffer, flags: number = Flag.none): Buffer {
  return frame(Type.data, flags, stream, typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
}

export function settings(...pairs: readonly (readonly [setting: number, value: number])[]): Buffer {
  const payload = Buffer.alloc(pairs.length * 6);
  for (const [at, [setting, value]] of pairs.entries()) {
    payload.writeUInt16BE(setting, at * 6);
    payload.writeUInt32BE(value, at * 6 + 2);
  }
  return frame(Type.settings, Flag.none, 0, payload);
}

export const rstStream = (stream: number, code: number = Code.cancel) =>
  frame(Type.rstStream, Flag.none, stream, uint32(code));
export const windowUpdate = (stream: number, by: number) => frame(Type.windowUpdate, Flag.none, stream, uint32(by));
export const ping = (flags: number = Flag.none) => frame(Type.ping, flags, 0, Buffer.alloc(8));
export const goaway = (lastStream: number, code: number = Code.noError) =>
  frame(Type.goaway, Flag.none, 0, Buffer.concat([uint32(lastStream), uint32(code)]));

// --- HPACK, as far as it is needed ---

/** Each field as a literal with a literal name that enters no table (§6.2.2), bytes as they are. */
export function block(fields: Fields): Buffer {
  return Buffer.concat(fields.map((field) => literal(field, 0x00)));
}

/** As a literal that enters the dynamic table first (§6.2.1): from then on, it is `indexed(62)`. */
export const remembered = (name: string, value: string) => literal([name, value], 0x40);

/** A field of the table by its number (§6.1). */
export const indexed = (index: number) => Buffer.from([0x80 | index]);

function literal([name, value]: readonly [string, string], kind: number): Buffer {
  return Buffer.concat([Buffer.from([kind]), text(name), text(value)]);
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value, 'latin1');
  return Buffer.concat([integer(bytes.length, 7), bytes]);
}

/** §5.1, with all bits in front of the prefix 0. */
function integer(value: number, prefixBits: number): Buffer {
  const most = 2 ** prefixBits - 1;
  if (value < most) return Buffer.from([value]);
  const bytes = [most];
  for (value -= most; value >= 128; value = Math.floor(value / 128)) bytes.push((value % 128) | 0x80);
  return Buffer.from([...bytes, value]);
}

const STATUSES = [200, 204, 206, 304, 400, 404, 500];

/** The status of an answer's block, which is its first field (RFC 9113 §8.3); undefined for trailers. */
function statusOf(fields: Buffer): number | undefined {
  let at = 0;
  while (fields[at]! >> 5 === 0b001) at++; // A new size of the table (§6.3): 0, as we asked for.
  const first = fields[at]!;
  if (first >= 0x88 && first <= 0x8e) return STATUSES[first - 0x88];
  // A literal whose name is one of the numbers of :status.
  const nameIndex = first >= 0x40 ? first & 0x3f : first & 0x0f;
  if (first >= 0x80 || nameIndex < 8 || nameIndex > 14) return undefined;
  const length = fields[at + 1]!;
  const value = fields.subarray(at + 2, at + 2 + (length & 0x7f));
  return Number(length < 0x80 ? value.toString('latin1') : digits(value));
}

/** Three digits in Huffman’s code (RFC 7541, Appendix B): 0 to 2 have five bits, 3 to 9 have six. */
function digits(bytes: Buffer): string {
  let bits = [...bytes].map((byte) => byte.toString(2).padStart(8, '0')).join('');
  let value = '';
  while (value.length < 3) {
    const five = parseInt(bits.slice(0, 5), 2);
    const isShort = five < 3;
    value += isShort ? five : parseInt(bits.slice(0, 6), 2) - 0b011001 + 3;
    bits = bits.slice(isShort ? 5 : 6);
  }
  return value;
}

// --- a connection ---

export interface OpenOptions {
  /** Sent with the preface, beside a header table of 0. */
  readonly settings?: readonly (readonly [setting: number, value: number])[];
  /** Opens the flow control of the connection by so much. Default 16 MiB; streams get 1 MiB unless `settings` says else. */
  readonly window?: number;
  /** Send nothing by oneself: no preface, no acknowledgements. */
  readonly isSilent?: boolean;
}

export class H2Connection {
  readonly socket: Socket;
  /** All frames that came, in their order. */
  readonly frames: Frame[] = [];
  #rest: Buffer = Buffer.alloc(0);
  #isClosed = false;
  readonly #isSilent: boolean;
  #onChange: () => void = () => {};

  /** With prior knowledge. */
  static async open(port: number, options: OpenOptions = {}): Promise<H2Connection> {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject));
    return new H2Connection(socket, options);
  }

  /** @param socket connected, perhaps by TLS. */
  constructor(socket: Socket, options: OpenOptions = {}) {
    this.socket = socket;
    this.#isSilent = options.isSilent ?? false;
    socket.on('data', (chunk) => this.#read(chunk));
    for (const event of ['error', 'end', 'close']) socket.on(event, () => this.#close());
    if (this.#isSilent) return;
    const windows: OpenOptions['settings'] = [[Setting.initialWindowSize, 2 ** 20]];
    const pairs = [[Setting.headerTableSize, 0] as const, ...(options.settings ?? windows)];
    this.send(PREFACE, settings(...pairs), windowUpdate(0, options.window ?? 2 ** 24));
  }

  /** Whether the other side has closed the connection, in whatever way. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** The code of the last GOAWAY. */
  get goaway(): number | undefined {
    return this.of(Type.goaway).at(-1)?.payload.readUInt32BE(4);
  }

  /** Codes of the streams that were reset. */
  get resets(): ReadonlyMap<number, number> {
    return new Map(this.of(Type.rstStream).map(({ stream, payload }) => [stream, payload.readUInt32BE(0)]));
  }

  of(type: number): Frame[] {
    return this.frames.filter((one) => one.type === type);
  }

  /** In one write. */
  send(...frames: readonly Buffer[]): void {
    if (!this.#isClosed) this.socket.write(Buffer.concat(frames));
  }

  /** Sends in pieces, each when the one before is away, until all is said or the other side has had enough. */
  async flood(count: number, frames: (at: number) => readonly Buffer[], piece = 200): Promise<void> {
    for (let at = 0; at < count && !this.hasEnded; at += piece) {
      const bytes = Array.from({ length: Math.min(piece, count - at) }, (_, more) => frames(at + more)).flat();
      await new Promise((resolve) => this.socket.write(Buffer.concat(bytes), resolve));
    }
  }

  /** Whether the other side wants no more. */
  get hasEnded(): boolean {
    return this.#isClosed || this.goaway !== undefined;
  }

  /** Asks on this stream and waits for what becomes of it. */
  async ask(stream: number, fields: Fields, body?: string): Promise<Outcome> {
    this.send(headers(stream, fields, body === undefined ? Flag.endStream : Flag.none));
    if (body !== undefined) this.send(data(stream, body, Flag.endStream));
    return this.outcome(stream);
  }

  /** Waits for the end of a stream: a whole answer, a reset, or the end of all. */
  async outcome(stream: number, deadlineMs?: number): Promise<Outcome> {
    const isOver = () => {
      const { isWhole, reset } = this.now(stream);
      return isWhole || reset !== undefined || this.hasEnded;
    };
    await this.wait(isOver, `the end of stream ${stream}`, deadlineMs);
    return this.now(stream);
  }

  /** How a stream stands. */
  now(stream: number): Outcome {
    const own = this.frames.filter((one) => one.stream === stream);
    const bodies = own.filter(({ type }) => type === Type.data).map(({ payload }) => payload);
    const statuses = own.filter(({ type }) => type === Type.headers).map(({ payload }) => statusOf(payload) ?? 0);
    return {
      status: statuses.find((status) => status >= 200),
      body: Buffer.concat(bodies),
      isWhole: own.some(({ type, flags }) => type <= Type.headers && (flags & Flag.endStream) !== 0),
      reset: this.resets.get(stream),
      goaway: this.goaway,
      isClosed: this.#isClosed,
    };
  }

  /** Waits until the other side wants no more. @returns the code of its GOAWAY. */
  async end(what: string, deadlineMs?: number): Promise<number | undefined> {
    await this.wait(() => this.hasEnded, `the end of a connection: ${what}`, deadlineMs);
    return this.goaway;
  }

  /** Waits until `enough` holds of what has come, or the connection is closed; rejects at the deadline. */
  async wait(enough: () => boolean, what: string, deadlineMs?: number): Promise<void> {
    const reached = new Promise<void>((resolve) => {
      this.#onChange = () => {
        if (enough() || this.#isClosed) resolve();
      };
      this.#onChange();
    });
    await within(reached, what, deadlineMs);
  }

  close(): void {
    this.socket.destroy();
  }

  #read(chunk: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, chunk]);
    while (this.#rest.length >= 9) {
      const length = this.#rest.readUIntBE(0, 3);
      if (this.#rest.length < 9 + length) break;
      const payload = Buffer.from(this.#rest.subarray(9, 9 + length));
      const [type, flags] = [this.#rest[3]!, this.#rest[4]!];
      const stream = this.#rest.readUInt32BE(5) & 0x7fffffff;
      this.#rest = this.#rest.subarray(9 + length);
      this.frames.push({ type, flags, stream, payload });
      if (type === Type.settings && flags === 0 && !this.#isSilent) this.send(frame(Type.settings, Flag.ack, 0));
    }
    this.#onChange();
  }

  #close(): void {
    this.#isClosed = true;
    this.#onChange();
  }
}

export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
