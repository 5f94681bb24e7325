/**
 * Real small services for the gateway to stand in front of. `startUpstream` speaks good HTTP through node:http and says
 * what it saw; what misbehaves on the wire is in faulty-upstream.ts. Both can be killed and revived on their port.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Server, Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { cleanup } from './cleanup.ts';

/** A request as the service got it. */
export interface Seen {
  readonly method: string;
  readonly target: string;
  /** Flat, in their order and case. */
  readonly fields: readonly string[];
  readonly body: Buffer;
  readonly trailers: readonly string[];
  /** Which connection it came on, counted from 1. */
  readonly connection: number;
}

export interface Upstream {
  readonly name: string;
  readonly port: number;
  readonly url: string;
  /** Whole requests, in the order of their ends. */
  readonly seen: Seen[];
  /** Requests whose head arrived. */
  requests: number;
  /** Requests whose client left before the answer was complete. */
  aborted: number;
  /** Connections accepted since the start. */
  readonly connections: number;
  /** Connections open now. */
  readonly open: number;
  /** Forgets what was seen and counted, connections aside. */
  clear(): void;
  /** As kill -9: resets every connection and closes the port. */
  kill(): Promise<void>;
  /** Listens again, on the same port. */
  revive(): Promise<void>;
}

export type Answer = (request: IncomingMessage, response: ServerResponse, upstream: Upstream) => void;

/** Where it listens: several instances of one name differ in their addresses. */
export interface Place {
  readonly host: string;
  readonly port: number;
}

const ANYWHERE: Place = { host: '127.0.0.1', port: 0 };

/** Serves until the test, or the hook, that called it is over. */
export async function startUpstream(name: string, answer: Answer = echo, at: Place = ANYWHERE): Promise<Upstream> {
  const server = createServer({ maxHeaderSize: 128 * 1024, requestTimeout: 0, keepAliveTimeout: 30_000 });
  server.maxHeadersCount = 0;
  const upstream = await hold(name, server, at);
  server.on('request', (request, response) => {
    upstream.requests += 1;
    response.once('close', () => {
      if (!response.writableFinished) upstream.aborted += 1;
    });
    answer(request, response, upstream);
  });
  // An unknown Expect is the gateway's to refuse; here it is as good as none.
  server.on('checkExpectation', (request, response) => server.emit('request', request, response));
  return upstream;
}

/** What `echo` answers. */
export interface Echo {
  readonly instance: string;
  readonly method: string;
  readonly target: string;
  readonly fields: readonly string[];
  readonly body: string;
}

/** 200 with JSON that names the instance and repeats the request. */
export const echo: Answer = (request, response, upstream) => {
  void readAll(request).then((body) => {
    record(upstream, request, body);
    const { method = '', url: target = '', rawHeaders: fields } = request;
    const answer: Echo = { instance: upstream.name, method, target, fields, body: body.toString('latin1') };
    const json = JSON.stringify(answer);
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(json) });
    response.end(json);
  }, ignore);
};

/** As `echo`, after a while. */
export const slow =
  (delayMs: number): Answer =>
  (request, response, upstream) => {
    void pause(delayMs).then(() => echo(request, response, upstream));
  };

/** Takes the request and never answers. */
export const hang: Answer = (request, _response, upstream) => {
  void readAll(request).then((body) => record(upstream, request, body), ignore);
};

/** An empty answer with this status. */
export const status =
  (code: number): Answer =>
  (request, response, upstream) => {
    void readAll(request).then((body) => {
      record(upstream, request, body);
      response.writeHead(code, { 'content-length': '0' }).end();
    }, ignore);
  };

/** Chooses by the last segment of the path; `echo` for the others. */
export const byPath =
  (answers: Readonly<Record<string, Answer>>): Answer =>
  (request, response, upstream) => {
    const path = (request.url ?? '').split('?')[0]!;
    const chosen = answers[path.slice(path.lastIndexOf('/') + 1)] ?? echo;
    chosen(request, response, upstream);
  };

/** A port of this machine on which nothing listens. */
export async function closedPort(): Promise<number> {
  const server = createServer();
  const port = await listen(server, ANYWHERE);
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Keeps count of a server's connections, and can kill and revive it. */
export async function hold(name: string, server: Server, at: Place = ANYWHERE): Promise<Upstream> {
  const sockets = new Set<Socket>();
  let connections = 0;
  server.on('connection', (socket: Socket) => {
    connections += 1;
    Object.assign(socket, { number: connections });
    sockets.add(socket);
    socket.on('error', ignore);
    socket.once('close', () => sockets.delete(socket));
  });
  const port = await listen(server, at);
  const kill = async () => {
    if (!server.listening) return;
    const closed = new Promise((resolve) => server.close(resolve));
    for (const socket of sockets) socket.resetAndDestroy();
    await closed;
  };
  cleanup(kill);
  const upstream: Upstream = {
    name,
    port,
    url: `http://${at.host}:${port}`,
    seen: [],
    requests: 0,
    aborted: 0,
    get connections() {
      return connections;
    },
    get open() {
      return sockets.size;
    },
    clear() {
      upstream.seen.length = 0;
      upstream.requests = 0;
      upstream.aborted = 0;
    },
    kill,
    async revive() {
      await listen(server, { host: at.host, port });
    },
  };
  return upstream;
}

export function connectionNumber(socket: Socket): number {
  return (socket as Socket & { number?: number }).number ?? 0;
}

export async function readAll(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

function record(upstream: Upstream, request: IncomingMessage, body: Buffer): void {
  const { method = '', url: target = '', rawHeaders: fields, rawTrailers: trailers, socket } = request;
  upstream.seen.push({ method, target, fields, body, trailers, connection: connectionNumber(socket) });
}

function listen(server: Server, { host, port }: Place): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve((server.address() as AddressInfo).port);
    });
  });
}

/** A client or a gateway that left is part of the test, not an error of the service. */
export function ignore(): void {}
