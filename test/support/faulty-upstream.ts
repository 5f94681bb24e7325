/**
 * A service that misbehaves on the wire. The last segment of a request's path names the fault, so that one gateway in
 * front of one such service shows them all; every other path is answered well. Bytes go out exactly as written here.
 */
import { createServer, type Socket } from 'node:net';
import { MalformedMessage, readRequest, type Message } from './http1.ts';
import { connectionNumber, hold, type Seen, type Upstream } from './upstream.ts';

type Fault = (socket: Socket, request: Seen) => void;

const say =
  (...lines: string[]): Fault =>
  (socket) =>
    socket.write(lines.join('\r\n'), 'latin1');
const ok = (body: string, ...fields: string[]) =>
  ['HTTP/1.1 200 OK', ...fields, `Content-Length: ${body.length}`, '', body].join('\r\n');

/** Bytes that a response splitter would like the next client to read. */
export const SMUGGLED = 'HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nsmuggled';

export const FAULTS = {
  // --- no answer, or a part of one ---
  hang: () => {},
  'reset-before-head': (socket) => socket.resetAndDestroy(),
  'close-before-head': (socket) => socket.end(),
  'reset-mid-head': (socket) => socket.write('HTTP/1.1 200 OK\r\nContent-Le', () => socket.resetAndDestroy()),
  'close-mid-head': (socket) => socket.end('HTTP/1.1 200 OK\r\nContent-Le'),
  'reset-mid-body': (socket) =>
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf', () => socket.resetAndDestroy()),
  'close-mid-body': (socket) => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf'),
  'close-mid-chunk': (socket) =>
    socket.end('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n20\r\nthe rest'),
  'close-before-last-chunk': (socket) =>
    socket.end('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n'),
  'hang-mid-body': say('HTTP/1.1 200 OK', 'Content-Length: 100', '', 'half'),
  'drip-head': (socket) => drip(socket, ok('slow')),
  'drip-body': (socket) => {
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n');
    drip(socket, 'x'.repeat(1000));
  },

  // --- what is no HTTP/1.1 ---
  garbage: say('SSH-2.0-OpenSSH_9.2p1', ''),
  'http-0.9': (socket) => socket.end('<html>no head at all</html>'),
  'http-2.0': say('HTTP/2.0 200 OK', 'Content-Length: 2', '', 'ok'),
  'status-99': say('HTTP/1.1 99 Low', 'Content-Length: 2', '', 'ok'),
  'status-text': say('HTTP/1.1 abc OK', 'Content-Length: 2', '', 'ok'),
  'bare-lf': say('HTTP/1.1 200 OK\nContent-Length: 2\n\nok'),
  'folded-field': say('HTTP/1.1 200 OK', 'X-Folded: a', ' b', 'Content-Length: 2', '', 'ok'),
  'nul-in-field': say('HTTP/1.1 200 OK', 'X-Nul: a\0b', 'Content-Length: 2', '', 'ok'),
  'space-before-colon': say('HTTP/1.1 200 OK', 'Content-Length : 2', '', 'ok'),
  'huge-field': say('HTTP/1.1 200 OK', `X-Huge: ${'x'.repeat(64 * 1024)}`, 'Content-Length: 2', '', 'ok'),
  'many-fields': say(
    'HTTP/1.1 200 OK',
    ...Array.from({ length: 500 }, (_, at) => `X-${at}: x`),
    'Content-Length: 2',
    '',
    'ok',
  ),

  // --- framing that two readers read in two ways ---
  'both-framings': say(
    'HTTP/1.1 200 OK',
    'Content-Length: 5',
    'Transfer-Encoding: chunked',
    '',
    '2',
    'ok',
    '0',
    '',
    '',
  ),
  'bad-length': say('HTTP/1.1 200 OK', 'Content-Length: 2x', '', 'ok'),
  'signed-length': say('HTTP/1.1 200 OK', 'Content-Length: +2', '', 'ok'),
  'two-lengths': say('HTTP/1.1 200 OK', 'Content-Length: 2', 'Content-Length: 40', '', 'ok'),
  'length-list': say('HTTP/1.1 200 OK', 'Content-Length: 2, 40', '', 'ok'),
  'unknown-coding': (socket) => socket.end('HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\nok'),
  'length-beyond-numbers': say('HTTP/1.1 200 OK', 'Content-Length: 9007199254740993', '', 'ok'),
  'empty-length': say('HTTP/1.1 200 OK', 'Content-Length:', '', 'ok'),
  'chunked-in-1.0': say('HTTP/1.0 200 OK', 'Transfer-Encoding: chunked', '', '2', 'ok', '0', '', ''),
  'folded-coding': say('HTTP/1.1 200 OK', 'Transfer-Encoding:', ' chunked', '', '2', 'ok', '0', '', ''),
  'cr-in-field': say('HTTP/1.1 200 OK', 'X-Cr: a\rSet-Cookie: b', 'Content-Length: 2', '', 'ok'),
  'empty-name': say('HTTP/1.1 200 OK', ': x', 'Content-Length: 2', '', 'ok'),
  'status-600': say('HTTP/1.1 600 High', 'Content-Length: 2', '', 'ok'),
  'two-codings': (socket) =>
    socket.end(
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n2\r\nok\r\n0\r\n\r\n',
    ),
  'bad-chunk-size': say('HTTP/1.1 200 OK', 'Transfer-Encoding: chunked', '', '4', 'half', '0x2', 'ok', '0', '', ''),

  // --- bytes where none belong ---
  'extra-bytes': say(ok('ok') + SMUGGLED),
  'body-on-204': say('HTTP/1.1 204 No Content', 'Content-Length: 8', '', SMUGGLED.slice(-8)),
  'answer-on-204': say('HTTP/1.1 204 No Content', '', SMUGGLED),
  'answer-on-304': say('HTTP/1.1 304 Not Modified', 'ETag: "1"', '', SMUGGLED),
  'body-on-head': say(ok(SMUGGLED)),

  // --- good manners that are seldom tried ---
  'early-hints': say('HTTP/1.1 103 Early Hints', 'Link: </style.css>; rel=preload', '', ok('hinted')),
  'early-prototype': say('HTTP/1.1 103 Early Hints', '__proto__: a', 'constructor: b', 'toString: c', '', ok('hinted')),
  'interim-flood': say('HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n'.repeat(1_000) + ok('at last')),
  'continue-flood': say('HTTP/1.1 100 Continue\r\n\r\n'.repeat(1_000) + ok('at last')),
  'one-byte-chunks': say(
    'HTTP/1.1 200 OK',
    'Transfer-Encoding: chunked',
    '',
    `${'1\r\nx\r\n'.repeat(20_000)}0\r\n\r\n`,
  ),
  'length-on-interim': say('HTTP/1.1 103 Early Hints', 'Content-Length: 5', '', ok('ok')),
  'named-length': say(ok('ok', 'Connection: content-length, x-a', 'X-A: 1')),
  'injecting-location': say(
    'HTTP/1.1 302 Found',
    'Location: http://evil.test/%0d%0aSet-Cookie:%20a=b',
    'Content-Length: 0',
    '',
    '',
  ),
  'unasked-continue': say('HTTP/1.1 100 Continue', '', ok('continued')),
  'unasked-upgrade': say(
    'HTTP/1.1 101 Switching Protocols',
    'Connection: upgrade',
    'Upgrade: nonsense',
    '',
    'raw bytes',
  ),
  trailers: say(
    'HTTP/1.1 200 OK',
    'Trailer: X-Checksum',
    'Transfer-Encoding: chunked',
    '',
    '2',
    'ok',
    '0',
    'X-Checksum: 42',
    '',
    '',
  ),
  'until-close': (socket) => socket.end('HTTP/1.1 200 OK\r\n\r\nall until the close'),
  'http-1.0': (socket) => socket.end('HTTP/1.0 200 OK\r\n\r\nold'),
  'no-content': say('HTTP/1.1 204 No Content', '', ''),
  'not-modified': say('HTTP/1.1 304 Not Modified', 'ETag: "1"', 'Content-Length: 2', '', ''),
  'hop-by-hop': say(
    ok(
      'ok',
      'Connection: keep-alive, X-Secret-Hop',
      'Keep-Alive: timeout=5',
      'X-Secret-Hop: 1',
      'Proxy-Authenticate: Basic',
      'X-Kept: 1',
    ),
  ),
  'http2-settings': say(
    'HTTP/1.1 103 Early Hints',
    'HTTP2-Settings: AAMAAABk',
    '',
    'HTTP/1.1 200 OK',
    'HTTP2-Settings: AAMAAABk',
    'Transfer-Encoding: chunked',
    '',
    '2',
    'ok',
    '0',
    'HTTP2-Settings: AAMAAABk',
    'X-Checksum: 42',
    '',
    '',
  ),
} satisfies Record<string, Fault>;

export type FaultName = keyof typeof FAULTS;

/** Faults that show before the whole request was read. */
const AT_HEAD: Readonly<Record<string, Fault>> = {
  'early-answer': (socket) => socket.write('HTTP/1.1 403 Forbidden\r\nContent-Length: 3\r\n\r\nno!'),
  'early-close': (socket) => socket.end('HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: 3\r\n\r\nno!'),
  'reset-upload': (socket) => socket.resetAndDestroy(),
};

/** Serves until the test, or the hook, that called it is over. */
export async function startFaultyUpstream(name = 'faulty'): Promise<FaultyUpstream> {
  const server = createServer({ noDelay: true, allowHalfOpen: true });
  const upstream = await hold(name, server);
  const faulty: FaultyUpstream = Object.assign(upstream, { malformed: [], heads: [] });
  server.on('connection', (socket) => serve(faulty, socket));
  return faulty;
}

export interface FaultyUpstream extends Upstream {
  /** Bytes that arrived and were no request, each with the reason. */
  readonly malformed: string[];
  /** Request lines, as soon as their head was there. */
  readonly heads: string[];
}

function serve(upstream: FaultyUpstream, socket: Socket): void {
  let bytes = Buffer.alloc(0);
  let headSeen = false;
  socket.on('end', () => socket.end());
  socket.on('data', (chunk) => {
    bytes = Buffer.concat([bytes, chunk]);
    if (!headSeen && bytes.includes('\r\n\r\n')) {
      headSeen = true;
      upstream.requests += 1;
      const line = bytes.toString('latin1', 0, bytes.indexOf('\r\n'));
      upstream.heads.push(line);
      AT_HEAD[faultOf(line.split(' ')[1] ?? '')]?.(socket, {} as Seen);
    }
    const message = take();
    if (message === undefined) return;
    headSeen = false;
    const seen = toSeen(message, socket);
    upstream.seen.push(seen);
    answer(upstream, socket, seen);
  });

  function take(): Message | undefined {
    try {
      const read = readRequest(bytes);
      if (read !== undefined) bytes = Buffer.from(read.rest);
      return read?.message;
    } catch (error) {
      if (!(error instanceof MalformedMessage)) throw error;
      upstream.malformed.push(error.message);
      socket.destroy();
      return undefined;
    }
  }
}

function answer(upstream: Upstream, socket: Socket, seen: Seen): void {
  const name = faultOf(seen.target);
  if (name in AT_HEAD) return;
  const fault = (FAULTS as Record<string, Fault>)[name];
  if (fault !== undefined) return fault(socket, seen);
  const { method, target, fields } = seen;
  const body = JSON.stringify({ instance: upstream.name, method, target, fields, body: seen.body.toString('latin1') });
  const head = `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n`;
  socket.write(method === 'HEAD' ? head : head + body);
}

function faultOf(target: string): string {
  const path = target.split('?')[0]!;
  return path.slice(path.lastIndexOf('/') + 1);
}

function toSeen(message: Message, socket: Socket): Seen {
  const [method = '', target = ''] = message.startLine.split(' ');
  const { fields, body, trailers } = message;
  return { method, target, fields, body, trailers, connection: connectionNumber(socket) };
}

/** A byte each 20 ms, for as long as the other side listens. */
function drip(socket: Socket, bytes: string): void {
  let at = 0;
  const timer = setInterval(() => {
    if (at === bytes.length || socket.destroyed || socket.writableEnded) return clearInterval(timer);
    socket.write(bytes[at++]!, 'latin1');
  }, 20);
}
