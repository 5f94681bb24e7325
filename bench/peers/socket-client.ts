/**
 * WebSockets that each send a text message and wait for its echo before the next: `node … URL CONNECTIONS SECONDS BYTES`
 * prints a report as one line of JSON. A message is the same bytes each time, so that the client costs next to nothing.
 */
import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';

const [url = '', connections = '1', seconds = '1', bytes = '1'] = process.argv.slice(2);
const { hostname, port, pathname } = new URL(url);
const HANDSHAKE_MS = 5_000;

/** RFC 6455 §5.2: below 126 bytes the length stands in the second byte; a client's frames are masked. */
const payload = Buffer.alloc(Math.min(Number(bytes), 125), 'm');
const key = randomBytes(4);
const masked = payload.map((byte, index) => byte ^ key[index % 4]!);
const message = Buffer.concat([Buffer.from([0x81, 0x80 | payload.length]), key, masked]);
const echo = Buffer.concat([Buffer.from([0x81, payload.length]), payload]);

const latenciesMs: number[] = [];
let failures = 0;

const sockets = await Promise.all(Array.from({ length: Number(connections) }, open));
const begun = performance.now();
sockets.forEach(converse);
setTimeout(
  () => {
    report((performance.now() - begun) / 1000);
    process.exit();
  },
  Number(seconds) * 1000,
);

function open(): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: hostname, port: Number(port), noDelay: true });
    const nonce = randomBytes(16).toString('base64');
    socket.setTimeout(HANDSHAKE_MS, () => socket.destroy(new Error('no answer')));
    socket.once('error', reject);
    socket.once('data', (answer: Buffer) => {
      const line = answer.toString('latin1').split('\r\n')[0]!;
      if (!line.includes(' 101 ')) reject(new Error(`no WebSocket: ${line}`));
      socket.setTimeout(0).off('error', reject);
      resolve(socket);
    });
    socket.write(
      `GET ${pathname} HTTP/1.1\r\nHost: ${hostname}:${port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${nonce}\r\n\r\n`,
    );
  });
}

function converse(socket: Socket): void {
  let heard: Buffer = Buffer.alloc(0);
  let sent = performance.now();
  socket.on('data', (chunk: Buffer) => {
    heard = heard.length === 0 ? chunk : Buffer.concat([heard, chunk]);
    if (heard.length < echo.length) return;
    if (!heard.equals(echo)) failures++;
    heard = Buffer.alloc(0);
    const now = performance.now();
    latenciesMs.push(now - sent);
    sent = now;
    socket.write(message);
  });
  socket.on('error', () => {}).on('close', () => failures++);
  socket.write(message);
}

function report(lasted: number): void {
  latenciesMs.sort((a, b) => a - b);
  const percentile = (share: number) => latenciesMs[Math.ceil(latenciesMs.length * share) - 1] ?? 0;
  const times = { p50Ms: percentile(0.5), p99Ms: percentile(0.99), maxMs: percentile(1) };
  console.log(JSON.stringify({ requests: latenciesMs.length, failures, seconds: lasted, ...times }));
}
