/** A service that answers HTTP/2 frame by frame, well formed or not: what is sent goes out exactly as it was written. */
import { createServer, type Socket } from 'node:net';
import { data, Flag, frame, headers, settings, Type, type Frame } from './h2-frames.ts';
import { hold, ignore, type Upstream } from './upstream.ts';

/** The head of an answer. @param fields flat. */
export const head = (stream: number, flags: number, ...fields: string[]): Buffer =>
  headers(stream, pairs(fields), flags);

export const pairs = (flat: readonly string[]): (readonly [string, string])[] =>
  flat.flatMap((name, at) => (at % 2 === 0 ? [[name, flat[at + 1]!] as const] : []));

/** A whole answer. */
export const ok = ({ send }: FrameConnection, stream: number, body = 'ok'): void =>
  send(
    head(stream, Flag.none, ':status', '200', 'content-length', String(body.length)),
    data(stream, body, Flag.endStream),
  );

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
  if (type === Type.settings && (flags & Flag.ack) === 0) connection.send(frame(Type.settings, Flag.ack, 0));
  if (type === Type.ping && (flags & Flag.ack) === 0) {
    if (answers.onPing === undefined) connection.send(frame(Type.ping, Flag.ack, 0, payload));
    else answers.onPing(connection, payload);
  }
  if (type === Type.headers) {
    upstream.requests += 1;
    answers.onRequest(connection, stream);
  }
}
