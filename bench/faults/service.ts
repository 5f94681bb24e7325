/**
 * One endpoint with a capacity: `node service.ts PORT WORKERS SERVICE_MS` works on so many requests at a time, each for so
 * long, and lets the others wait in line, as a service with a pool of workers does. SIGUSR2 makes it ten times slower, or as
 * fast as before; SIGHUP makes it answer 503 at once, which its health does not show; SIGTERM ends it as a deploy does:
 * nothing new, what is under way is finished, and how often it was asked (since it was lost) is said. /healthz is never in line.
 * A path that ends in /drip is answered byte by byte, one in /reset breaks off in the middle.
 */
import { createServer, type ServerResponse } from 'node:http';
import { ANSWER } from '../answer.ts';

const SLOWER = 10;
const [port = 0, workers = 1, serviceMs = 0] = process.argv.slice(2).map(Number);

let slowdown = 1;
let isLost = false;
let asked = 0;
let busy = 0;
const line: ServerResponse[] = [];

const server = createServer({ keepAliveTimeout: 600_000, requestTimeout: 0 }, (request, response) => {
  request.resume();
  if (request.url === '/healthz') return void response.end('ok');
  asked += 1;
  if (isLost) return void response.writeHead(503, { 'content-length': 0 }).end();
  if (request.url?.endsWith('/drip') === true) return drip(response);
  if (request.url?.endsWith('/reset') === true) return breakOff(response);
  line.push(response);
  work();
}).listen(port, '127.0.0.1');

process.on('SIGUSR2', () => (slowdown = slowdown === 1 ? SLOWER : 1));
process.on('SIGHUP', () => {
  isLost = true;
  asked = 0;
});
process.on('SIGTERM', () => {
  console.log(JSON.stringify({ asked }));
  server.close(() => process.exit());
  server.closeIdleConnections();
});

function drip(response: ServerResponse): void {
  const timer = setInterval(() => response.write('.'), 1_000);
  response.on('close', () => clearInterval(timer)).writeHead(200, { 'content-length': ANSWER.length });
  response.flushHeaders();
}

function breakOff(response: ServerResponse): void {
  response.writeHead(200, { 'content-length': ANSWER.length });
  response.write(ANSWER.slice(0, ANSWER.length / 2), () => response.socket?.resetAndDestroy());
}

function work(): void {
  while (busy < workers && line.length > 0) {
    const response = line.shift()!;
    // Whoever has given up is not worked for.
    if (response.destroyed) continue;
    busy += 1;
    setTimeout(() => {
      busy -= 1;
      response.setHeader('content-type', 'application/json').end(ANSWER);
      if (!server.listening) server.closeIdleConnections();
      work();
    }, serviceMs * slowdown);
  }
}
