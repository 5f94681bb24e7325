/**
 * Both ends of a WebSocket, byte by byte: frames to send, frames as they came, and a service that speaks them. A real
 * client, of Node or undici, is what tests use where the bytes are not the point.
 */
import { createHash, randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { RawConnection, request, type RawResponse } from './raw-client.ts';
import { hold, ignore, type Upstream } from './upstream.ts';

export const TEXT = 1;
export const BINARY = 2;
export const CLOSE = 8;
export const PING = 9;
export const PONG = 10;

export interface Frame {
  readonly fin: boolean;
  readonly opcode: number;
  readonly masked: boolean;
  readonly payload: Buffer;
}

export interface FrameOptions {
  readonly fin?: boolean;
  readonly masked?: boolean;
}

export function frame(
  opcode: number,
  content: string | Buffer = '',
  { fin = true, masked = false }: FrameOptions = {},
): Buffer {
  const payload = Buffer.from(content as string);
  const short = payload.length < 126 ? payload.length : payload.length < 65_536 ? 126 : 127;
  const head = Buffer.alloc(short === 126 ? 4 : short === 127 ? 10 : 2);
  head[0] = (fin ? 0x80 : 0) | opcode;
  head[1] = (masked ? 0x80 : 0) | short;
  if (short === 126) head.writeUInt16BE(payload.length, 2);
  if (short === 127) head.writeBigUInt64BE(BigInt(payload.length), 2);
  if (!masked) return Buffer.concat([head, payload]);
  const key = randomBytes(4);
  return Buffer.concat([head, key, mask(payload, key)]);
}

/** Frames that are whole, and what stands behind them. */
export function readFrames(bytes: Buffer): { frames: Frame[]; rest: Buffer } {
  const frames: Frame[] = [];
  let rest = bytes;
  for (;;) {
    if (rest.length < 2) return { frames, rest };
    const short = rest[1]! & 0x7f;
    const masked = (rest[1]! & 0x80) !== 0;
    const lengthEnd = short === 126 ? 4 : short === 127 ? 10 : 2;
    const start = lengthEnd + (masked ? 4 : 0);
    if (rest.length < start) return { frames, rest };
    const length = short === 126 ? rest.readUInt16BE(2) : short === 127 ? Number(rest.readBigUInt64BE(2)) : short;
    if (rest.length < start + length) return { frames, rest };
    const sent = rest.subarray(start, start + length);
    const payload = masked ? mask(sent, rest.subarray(lengthEnd, start)) : Buffer.from(sent);
    frames.push({ fin: (rest[0]! & 0x80) !== 0, opcode: rest[0]! & 0x0f, masked, payload });
    rest = rest.subarray(start + length);
  }
}

function mask(bytes: Buffer, key: Buffer): Buffer {
  return Buffer.from(bytes.map((byte, at) => byte ^ key[at % 4]!));
}

// --- the service ---

export type OnSocket = (socket: Socket, req: IncomingMessage, head: Buffer) => void;

export interface SocketUpstream extends Upstream {
  /** Upgrades that arrived, and the connection of each. */
  readonly upgrades: { readonly req: IncomingMessage; readonly socket: Socket }[];
}

/** Answers upgrades by the last segment of their path; a number there is the status of a refusal. Without one: `echoFrames`. */
export async function startSocketUpstream(
  name: string,
  answers: Readonly<Record<string, OnSocket>> = {},
): Promise<SocketUpstream> {
  const server = createServer((req, res) => void res.end(`plain ${req.url}`));
  const upgrades: SocketUpstream['upgrades'] = [];
  server.on('upgrade', (req, duplex, head) => {
    const socket = duplex as Socket;
    upgrades.push({ req, socket });
    socket.on('error', ignore);
    const segment = (req.url ?? '').split('?')[0]!.split('/').at(-1)!;
    const answer = answers[segment] ?? (/^\d{3}$/.test(segment) ? refuse(Number(segment)) : echoFrames);
    answer(socket, req, head);
  });
  return Object.assign(await hold(name, server), { upgrades });
}

/** The 101, with further lines. */
export function agree(req: IncomingMessage, lines: readonly string[] = []): string {
  return [
    'HTTP/1.1 101 Switching Protocols',
    'Upgrade: websocket',
    'Connection: Upgrade',
    `Sec-WebSocket-Accept: ${acceptOf(req.headers['sec-websocket-key'] ?? '')}`,
    ...lines,
    '\r\n',
  ].join('\r\n');
}

export function acceptOf(key: string): string {
  return createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
}

/** A proper service: repeats messages, answers pings, closes when it is told to. Chooses the first subprotocol. */
export const echoFrames: OnSocket = (socket, req) => {
  const protocol = req.headers['sec-websocket-protocol']?.split(',')[0]?.trim();
  socket.write(agree(req, protocol === undefined ? [] : [`Sec-WebSocket-Protocol: ${protocol}`]));
  let kept: Buffer = Buffer.alloc(0);
  socket.on('data', (chunk: Buffer) => {
    const { frames, rest } = readFrames(Buffer.concat([kept, chunk]));
    kept = rest;
    for (const { opcode, payload, fin } of frames) {
      socket.write(frame(opcode === PING ? PONG : opcode, payload, { fin }));
      if (opcode === CLOSE) socket.end();
    }
  });
  socket.on('end', () => socket.end());
};

/** Sends back every byte as it came. */
export const echoBytes: OnSocket = (socket, req, head) => {
  socket.write(agree(req));
  socket.write(head);
  socket.pipe(socket);
};

export const refuse =
  (status: number): OnSocket =>
  (socket) =>
    void socket.end(`HTTP/1.1 ${status} No\r\nContent-Length: 7\r\nX-Reason: upstream\r\n\r\nrefused`);

// --- the client ---

export const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';

/** A handshake as bytes. @param fields further lines. */
export function handshake(target: string, host = 'any.test', fields: readonly string[] = []): string {
  const own = ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13', `Sec-WebSocket-Key: ${KEY}`];
  return request('GET', target, host, [...own, ...fields]);
}

export interface RawSocket {
  readonly connection: RawConnection;
  readonly answer: RawResponse;
  /** What came behind the 101 so far. */
  frames(): Frame[];
}

/** Opens a tunnel, or returns the refusal. */
export async function openSocket(port: number, target: string, fields: readonly string[] = []): Promise<RawSocket> {
  const connection = await RawConnection.open(port);
  connection.send(handshake(target, 'any.test', fields));
  const answer = await connection.answer();
  return { connection, answer, frames: () => readFrames(connection.received).frames };
}
