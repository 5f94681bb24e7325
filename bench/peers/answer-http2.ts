/** The least that a server on Node can do over HTTP/2, by its streams: `node answer-http2.ts PORT…`. */
import { createSecureServer, createServer, type ServerHttp2Stream } from 'node:http2';
import { ANSWER } from '../answer.ts';
import { tlsFiles } from './tls-files.ts';

const small = Buffer.from(ANSWER);
const head = { ':status': 200, 'content-type': 'application/json', 'content-length': small.length };

for (const port of process.argv.slice(2)) {
  const server = tlsFiles === undefined ? createServer() : createSecureServer(tlsFiles);
  server.on('stream', (stream: ServerHttp2Stream) => {
    stream.respond(head);
    stream.end(small);
  });
  server.listen(Number(port), '127.0.0.1');
}
