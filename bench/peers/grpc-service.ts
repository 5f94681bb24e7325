/** The least that a gRPC service on Node can do: reads a message, answers with one and a status. `node … PORT…` */
import { createServer, type ServerHttp2Stream } from 'node:http2';
import { MESSAGE } from '../answer.ts';

const head = { ':status': 200, 'content-type': 'application/grpc' };
const status = { 'grpc-status': '0', 'grpc-message': '' };

for (const port of process.argv.slice(2)) {
  const server = createServer();
  server.on('stream', (stream: ServerHttp2Stream) => {
    stream.on('error', () => {});
    stream.on('end', () => {
      if (stream.destroyed) return; // whose client has left ends too
      stream.respond(head, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers(status));
      stream.end(MESSAGE);
    });
    stream.resume();
  });
  server.listen(Number(port), '127.0.0.1');
}
