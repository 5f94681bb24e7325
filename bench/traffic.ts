/** What the clients of a race do: one asks whether a contestant serves, then all of them load it. */
import { fileURLToPath } from 'node:url';
import { askHttp1, askHttp2, type Ask, type Fields } from './ask.ts';
import { CONNECTIONS, lastLineOf, load, type Report } from './load.ts';
import { loadHttp2 } from './load-http2.ts';

export interface Traffic {
  readonly ask: Ask;
  load(url: string, seconds: number): Promise<Report>;
}

export function http1Requests(headers: Fields = {}): Traffic {
  return { ask: askHttp1(headers), load: (url, seconds) => load({ url, seconds, headers }) };
}

export function http2Requests(): Traffic {
  return { ask: askHttp2(), load: (url, seconds) => loadHttp2({ url, seconds }) };
}

/** Calls of gRPC with one message each. h2load does not look at trailers: the first question does. */
export function grpcCalls(message: Buffer): Traffic {
  const headers = { 'content-type': 'application/grpc', te: 'trailers' };
  const isWhole = { 'grpc-status': '0' };
  return {
    ask: askHttp2(headers, message, isWhole),
    load: (url, seconds) => loadHttp2({ url, seconds, headers, body: message }),
  };
}

/** Messages of WebSockets, each sent when the one before has come back. */
export function socketMessages(bytes: number): Traffic {
  const client = fileURLToPath(new URL('peers/socket-client.ts', import.meta.url));
  return {
    ask: askHttp1(),
    load: (url, seconds) =>
      lastLineOf([process.execPath, client, ...[url, CONNECTIONS, seconds, bytes].map(String)], seconds),
  };
}
