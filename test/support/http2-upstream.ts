/**
 * Real small services that speak HTTP/2 through node:http2, as upstream.ts has them for HTTP/1.1. What misbehaves on the
 * wire is in h2-frame-upstream.ts.
 */
import http2, { type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2';
import { cleanup } from './cleanup.ts';
import { hold, ignore, type Upstream } from './upstream.ts';

export interface Http2Request {
  readonly method: string;
  readonly target: string;
  /** Flat, with pseudo-fields. */
  readonly fields: readonly string[];
  /** Whole. */
  readonly body: Buffer;
  readonly trailers: readonly string[];
  /** Which session it came on, counted from 1. */
  readonly session: number;
}

export interface Http2Upstream extends Upstream {
  readonly server: http2.Http2Server;
  readonly sessions: ServerHttp2Session[];
  /** Whole requests, in the order of their ends. */
  readonly received: Http2Request[];
  /** Streams that were reset by the gateway, with the code. */
  readonly resets: number[];
}

/** @param stream nothing of its body has been read. */
export type Http2Answer = (stream: ServerHttp2Stream, target: string, upstream: Http2Upstream) => void;

export interface Http2Options {
  readonly settings?: http2.Settings;
  /** Speaks TLS, with ALPN. */
  readonly tls?: http2.SecureServerOptions;
}

/** Serves until the test, or the hook, that called it is over. */
export async function startHttp2Upstream(
  name: string,
  answer: Http2Answer = echo,
  { settings = {}, tls }: Http2Options = {},
): Promise<Http2Upstream> {
  const server: http2.Http2Server =
    tls === undefined
      ? http2.createServer({ settings, maxHeaderListPairs: 1000, maxSessionMemory: 1000 })
      : (http2.createSecureServer({ settings, ...tls }) as unknown as http2.Http2Server);
  const held = await hold(name, server);
  const sessions: ServerHttp2Session[] = [];
  const upstream: Http2Upstream = Object.assign(held, { server, sessions, received: [], resets: [] });
  Object.defineProperty(upstream, 'url', {
    value: tls === undefined ? held.url : `https://localhost:${held.port}`,
  });
  server.on('session', (session) => {
    sessions.push(session);
    session.on('error', ignore);
  });
  server.on('sessionError', ignore);
  server.on('stream', (stream, headers, _, raw: string[]) => {
    upstream.requests += 1;
    Object.assign(stream, { fields: raw, number: sessions.indexOf(stream.session as ServerHttp2Session) + 1 });
    stream.on('error', ignore);
    stream.on('trailers', (_, __, trailers: string[]) => Object.assign(stream, { trailers }));
    stream.on('close', () => {
      if (stream.rstCode !== 0) upstream.resets.push(stream.rstCode);
    });
    answer(stream, headers[':path']!, upstream);
  });
  cleanup(async () => {
    for (const session of sessions) session.destroy();
  });
  return upstream;
}

/** 200 with JSON that repeats the request. */
export const echo: Http2Answer = (stream, _, upstream) => {
  void receive(stream, upstream).then((request) => {
    if (stream.destroyed) return;
    const json = JSON.stringify({ instance: upstream.name, ...request, body: request.body.toString('latin1') });
    stream.respond({ ':status': 200, 'content-type': 'application/json', 'content-length': Buffer.byteLength(json) });
    stream.end(json);
  }, ignore);
};

/** Reads the whole request. */
export async function receive(stream: ServerHttp2Stream, upstream: Http2Upstream): Promise<Http2Request> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  const { fields, number, trailers } = stream as ServerHttp2Stream & {
    fields: string[];
    number: number;
    trailers?: string[];
  };
  const request: Http2Request = {
    method: fields[fields.indexOf(':method') + 1]!,
    target: fields[fields.indexOf(':path') + 1]!,
    fields,
    body: Buffer.concat(chunks),
    trailers: trailers ?? [],
    session: number,
  };
  upstream.received.push(request);
  return request;
}

/** Chooses by the last segment of the path; `echo` for the others. */
export const byPath =
  (answers: Readonly<Record<string, Http2Answer>>): Http2Answer =>
  (stream, target, upstream) => {
    const path = target.split('?')[0]!;
    (answers[path.slice(path.lastIndexOf('/') + 1)] ?? echo)(stream, target, upstream);
  };
