/**
 * The least that a server on Node can do: `node answer.ts PORT…` answers and asks nobody. On the proxy's processor it is
 * the floor; on the load's, the origin where nginx is not installed.
 */
import { createServer, type RequestListener } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { ANSWER, SIZES } from '../answer.ts';
import { tlsFiles } from './tls-files.ts';

const small = Buffer.from(ANSWER);
const bodies = new Map(Object.entries(SIZES).map(([path, bytes]) => [path, Buffer.alloc(bytes, '.')]));

const options = { keepAliveTimeout: 600_000 };

const answer: RequestListener = (request, response) => {
  const body = bodies.get(request.url ?? '') ?? small;
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length });
  response.end(body);
};

for (const port of process.argv.slice(2)) {
  const server =
    tlsFiles === undefined ? createServer(options, answer) : createTlsServer({ ...options, ...tlsFiles }, answer);
  server.listen(Number(port), '127.0.0.1');
}
