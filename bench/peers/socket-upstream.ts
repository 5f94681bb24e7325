/** `socket-upstream.ts PORT`: agrees to every upgrade to WebSocket and repeats what it hears. */
import { createHash } from 'node:crypto';
import { createServer } from 'node:http';

const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

const server = createServer((_req, res) => void res.end('ready'));
server.on('upgrade', (req, socket) => {
  const accept = createHash('sha1').update(`${req.headers['sec-websocket-key']}${GUID}`).digest('base64');
  socket.on('error', () => {});
  socket.on('end', () => socket.end());
  socket.on('data', (bytes) => socket.write(bytes));
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
  );
});
server.listen({ port: Number(process.argv[2]), host: '127.0.0.1', backlog: 1024 });
