/**
 * A request and the way back for its answer, as an exchange knows them, whichever HTTP they came by: Node's objects of
 * HTTP/1.1 are such, and `h2/` makes them of streams.
 */
import type { IncomingHttpHeaders } from 'node:http';
import type { Socket } from 'node:net';
import type { Readable } from 'node:stream';

export interface ClientMessage {
  readonly req: ClientRequest;
  readonly res: ClientResponse;
  /** Empty where the head says that there is none. */
  readonly body: Readable;
  readonly transport: Transport;
}

export interface ClientRequest {
  readonly httpVersion: string;
  readonly socket: Socket;
  method?: string | undefined;
  /** The target; what a generation makes of it for Fastify, once the exchange has the client's. */
  url?: string | undefined;
  /** Flat: name, value, name, value … */
  readonly rawHeaders: string[];
  /** By name in lower case, as Node joins them. */
  readonly headers: IncomingHttpHeaders;
  /** All of it is here. */
  readonly complete: boolean;
}

export interface ClientResponse {
  readonly headersSent: boolean;
  readonly statusCode: number;
  readonly destroyed: boolean;
  /** All of it has left. */
  readonly writableFinished: boolean;
  writeContinue(): void;
  writeInformation(status: number, fields: string[]): void;
  writeHead(status: number, fields: string[]): unknown;
  flushHeaders(): void;
  /** @returns whether it takes more; if not, `drain` says when. */
  write(bytes: Buffer, done?: () => void): boolean;
  addTrailers(trailers: [string, string][]): void;
  end(body?: Buffer): unknown;
  end(body: string, encoding: 'latin1'): unknown;
  /** Gives it up, where not even its head has left. */
  destroy(): unknown;
  on(event: 'close' | 'drain', listener: () => void): unknown;
  emit(event: 'close'): boolean;
}

/** What one exchange has of its client's connection: in HTTP/1.1 all of it, for its time; in HTTP/2 a stream. */
export interface Transport {
  /** So far, of this request and perhaps of those before it. */
  readonly bytesRead: number;
  /** Those before it, as it begins. */
  readonly bytesBefore: number;
  /** The client waits for "100 Continue". */
  expectsContinue: boolean;
  /** The answer under way is its last: whatever still comes is not looked at. */
  closing: boolean;
  /** Ends it so that the client cannot take what it has for a whole answer. */
  reset(): void;
}
