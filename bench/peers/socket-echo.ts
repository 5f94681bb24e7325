/** Repeats each message of a WebSocket, by the library that most services use: `node socket-echo.ts PORT…`. */
import { createServer, type Server } from 'node:http';
import { createRequire } from 'node:module';

/** What is used of it; it has no types of its own. */
interface EchoSocket {
  on(event: 'error', listener: () => void): this;
  on(event: 'message', listener: (data: Buffer, isBinary: boolean) => void): this;
  send(data: Buffer, options: { readonly binary: boolean }): void;
}
interface Sockets {
  on(event: 'connection', listener: (socket: EchoSocket) => void): this;
}
const { WebSocketServer } = createRequire(import.meta.url)('ws') as {
  WebSocketServer: new (options: { readonly server: Server; readonly perMessageDeflate: boolean }) => Sockets;
};

for (const port of process.argv.slice(2)) {
  const server = createServer((_req, res) => void res.end('ready'));
  new WebSocketServer({ server, perMessageDeflate: false }).on('connection', (socket) => {
    socket.on('error', () => {});
    socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
  });
  server.listen({ port: Number(port), host: '127.0.0.1', backlog: 1024 });
}
