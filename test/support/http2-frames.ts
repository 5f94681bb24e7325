/**
 * HTTP/2 frame by frame (RFC 9113 §4, RFC 7541), for services that misbehave: what is sent goes out exactly as it was
 * written here.
 */
import { createServer, type Socket } from 'node:net';
import { hold, ignore, type Upstream } from './upstream.ts';

export const FRAME = {
  data: 0,
  headers: 1,
  rstStream: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goaway: 7,
  continuation: 9,
} as const;
export const END_STREAM = 1;
export const ACK = 1;
export const END_HEADERS = 4;

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
}

export function frame(type: number, flags: number, stream: number, payload: Buffer | string = ''): Buffer {
  const body = Buffer.from(payload as string);
  const head = Buffer.alloc(9);
  head.writeUIntBE(body.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, body]);
}

/** As literals that nobody remembers (RFC 7541 §6.2.2). @param fields flat. */
export function block(...fields: string[]): Buffer {
  return Buffer.concat(fields.map((text, at) => Buffer.concat([Buffer.from(at % 2 === 0 ? [0] : []), literal(text)])));
}

function literal(text: string): Buffer {
  const bytes = Buffer.from(text, 'latin1');
  const length: number[] = [];
  if (bytes.length < 127) length.push(bytes.length);
  else {
    length.push(127);
    let left = bytes.length - 127;
    for (; left >= 128; left >>= 7) length.push((left & 127) | 128);
    length.push(left);
  }
  return Buffer.concat([Buffer.from(length), bytes]);
}

export const settings = (...pairs: readonly (readonly [id: number, value: number])[]): Buffer =>
  frame(
    FRAME.settings,
    0,
    0,
    Buffer.concat(
      pairs.map(([id, value]) => {
        const bytes = Buffer.alloc(6);
        bytes.writeUInt16BE(id, 0);
        bytes.writeUInt32BE(value, 2);
        return bytes;
      }),
    ),
  );

export const headers = (stream: number, flags: number, ...fields: string[]): Buffer =>
  frame(FRAME.headers, flags | END_HEADERS, stream, block(...fields));

/** A whole answer. */
export const ok = ({ send }: FrameConnection, stream: number, body = 'ok'): void =>
  send(
    headers(stream, 0, ':status', '200', 'content-length', String(body.length)),
    frame(FRAME.data, END_STREAM, stream, body),
  );

export const reset = (stream: number, code: number): Buffer => frame(FRAME.rstStream, 0, stream, word(code));

export const goaway = (lastStream: number, code: number): Buffer =>
  frame(FRAME.goaway, 0, 0, Buffer.concat([word(lastStream), word(code)]));

export function word(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

export interface FrameConnection {
  readonly socket: Socket;
  /** Counted from 1. */
  readonly number: number;
  send(...frames: Buffer[]): void;
}

export interface FrameUpstream extends Upstream {
  /** All frames that came, in their order. */
  readonly frames: Frame[];
}

export interface FrameAnswers {
  /** The first word; default: SETTINGS with nothing in them. */
  readonly greet?: (connection: FrameConnection) => void;
  /** A request has begun. */
  readonly onRequest: (connection: FrameConnection, stream: number) => void;
  /** A PING has come; default: it is answered. */
  readonly onPing?: (connection: FrameConnection, payload: Buffer) => void;
}

/** Serves until the test, or the hook, that called it is over. SETTINGS are acknowledged. */
export async function startFrameUpstream(name: string, answers: FrameAnswers): Promise<FrameUpstream> {
  const server = createServer({ noDelay: true });
  const upstream: FrameUpstream = Object.assign(await hold(name, server), { frames: [] as Frame[] });
  server.on('connection', (socket: Socket) => serve(socket, upstream, answers));
  return upstream;
}

const PREFACE_BYTES = 24;

function serve(socket: Socket, upstream: FrameUpstream, answers: FrameAnswers): void {
  const connection: FrameConnection = {
    socket,
    number: upstream.connections,
    send: (...frames) => void socket.write(Buffer.concat(frames)),
  };
  let bytes = Buffer.alloc(0);
  let prefaced = false;
  socket.on('error', ignore);
  (answers.greet ?? (({ send }) => send(settings())))(connection);
  socket.on('data', (chunk: Buffer) => {
    bytes = Buffer.concat([bytes, chunk]);
    if (!prefaced && bytes.length >= PREFACE_BYTES) {
      prefaced = true;
      bytes = bytes.subarray(PREFACE_BYTES);
    }
    while (prefaced && bytes.length >= 9 && bytes.length >= 9 + bytes.readUIntBE(0, 3)) {
      const length = bytes.readUIntBE(0, 3);
      const payload = Buffer.from(bytes.subarray(9, 9 + length));
      const received = { type: bytes[3]!, flags: bytes[4]!, stream: bytes.readUInt32BE(5), payload };
      bytes = bytes.subarray(9 + length);
      upstream.frames.push(received);
      react(connection, received, upstream, answers);
    }
  });
}

function react(
  connection: FrameConnection,
  { type, flags, stream, payload }: Frame,
  upstream: Upstream,
  answers: FrameAnswers,
): void {
  if (type === FRAME.settings && (flags & ACK) === 0) connection.send(frame(FRAME.settings, ACK, 0));
  if (type === FRAME.ping && (flags & ACK) === 0) {
    if (answers.onPing === undefined) connection.send(frame(FRAME.ping, ACK, 0, payload));
    else answers.onPing(connection, payload);
  }
  if (type === FRAME.headers) {
    upstream.requests += 1;
    answers.onRequest(connection, stream);
  }
}
