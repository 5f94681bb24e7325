/** The package `ws`, as a client and a service that nobody here wrote. It has no types of its own. */
import { createRequire } from 'node:module';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import { Server as TlsServer } from 'node:tls';
import { cleanup } from './cleanup.ts';
import { until } from './until.ts';

export interface WsSocket extends EventEmitter {
  readonly protocol: string;
  readonly extensions: string;
  readonly readyState: number;
  readonly _socket: Socket;
  send(data: string | Buffer, options?: { binary?: boolean; fin?: boolean }): void;
  ping(data?: string): void;
  pause(): void;
  close(code?: number, reason?: string): void;
  terminate(): void;
}

interface WsModule {
  new (url: string, protocols?: readonly string[], options?: object): WsSocket;
  readonly Server: new (options: object) => EventEmitter & {
    handleUpgrade(req: IncomingMessage, socket: Socket, head: Buffer, done: (socket: WsSocket) => void): void;
  };
}

const Ws = createRequire(import.meta.url)('ws') as WsModule;

export interface WsClient {
  readonly socket: WsSocket;
  /** Text as text, anything else as bytes. */
  readonly messages: (string | Buffer)[];
  readonly pongs: string[];
  /** Undefined while it is open. */
  closed: { readonly code: number; readonly reason: string } | undefined;
  /** Of an answer that was no 101. */
  refused: number | undefined;
  fields: IncomingMessage['headers'];
}

/** Resolves when it is open, or refused. */
export async function openWs(url: string, protocols: readonly string[] = [], options: object = {}): Promise<WsClient> {
  const socket = new Ws(url, protocols, options);
  cleanup(async () => socket.terminate());
  const client: WsClient = { socket, messages: [], pongs: [], closed: undefined, refused: undefined, fields: {} };
  socket.on('error', () => {});
  socket.on('upgrade', (res: IncomingMessage) => (client.fields = res.headers));
  socket.on('message', (data: Buffer, binary: boolean) => client.messages.push(binary ? data : data.toString()));
  socket.on('pong', (data: Buffer) => client.pongs.push(data.toString()));
  socket.on('close', (code: number, reason: Buffer) => (client.closed = { code, reason: reason.toString() }));
  socket.on('unexpected-response', (_req: unknown, res: IncomingMessage) => (client.refused = res.statusCode));
  await until(
    () => socket.readyState === 1 || client.refused !== undefined || client.closed !== undefined,
    'an answer',
  );
  return client;
}

export interface WsService {
  readonly url: string;
  readonly name: string;
  readonly sockets: { readonly socket: WsSocket; readonly req: IncomingMessage; closed: number | undefined }[];
  /** As a process that dies: no close frame, no new connections. */
  die(): Promise<void>;
}

export type OnWs = (socket: WsSocket, req: IncomingMessage) => void;

/** Repeats messages behind its name, unless told otherwise. */
export async function startWsService(
  name: string,
  onSocket?: OnWs,
  server: Server = createServer((_req, res) => void res.end('plain')),
): Promise<WsService> {
  const wss = new Ws.Server({ noServer: true });
  const sockets: WsService['sockets'] = [];
  const connections = new Set<Socket>();
  server.on('connection', (socket) => connections.add(socket));
  server.on('upgrade', (req, socket, head) =>
    wss.handleUpgrade(req, socket as Socket, head, (ws) => {
      const seen: WsService['sockets'][number] = { socket: ws, req, closed: undefined };
      sockets.push(seen);
      ws.on('error', () => {});
      ws.on('close', (code: number) => (seen.closed = code));
      if (onSocket !== undefined) return onSocket(ws, req);
      ws.on('message', (data: Buffer, binary: boolean) =>
        ws.send(binary ? data : `${name}:${data.toString()}`, { binary }),
      );
    }),
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  const die = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve());
      for (const socket of connections) socket.resetAndDestroy();
    });
  cleanup(async () => {
    if (server.listening) await die();
  });
  const scheme = server instanceof TlsServer ? 'https' : 'http';
  return { url: `${scheme}://127.0.0.1:${port}`, name, sockets, die };
}
