/**
 * Services and callers of gRPC by @grpc/grpc-js, which nobody here wrote. Messages are plain bytes: what a gateway passes
 * on it does not read, so a test needs no protobuf.
 */
import http2 from 'node:http2';
import * as grpc from '@grpc/grpc-js';
import { cleanup } from './cleanup.ts';

const bytes = (value: Buffer): Buffer => value;

function method(path: string, requestStream: boolean, responseStream: boolean) {
  return {
    path,
    requestStream,
    responseStream,
    requestSerialize: bytes,
    requestDeserialize: bytes,
    responseSerialize: bytes,
    responseDeserialize: bytes,
  };
}

/** A method of each kind. */
export const ECHO = {
  unary: method('/test.Echo/Unary', false, false),
  download: method('/test.Echo/Download', false, true),
  upload: method('/test.Echo/Upload', true, false),
  both: method('/test.Echo/Both', true, true),
} as const;

const CHECK = { check: method('/grpc.health.v1.Health/Check', false, false) } as const;

export type Unary = grpc.handleUnaryCall<Buffer, Buffer>;

export interface GrpcHandlers {
  readonly unary?: Unary;
  readonly download?: grpc.handleServerStreamingCall<Buffer, Buffer>;
  readonly upload?: grpc.handleClientStreamingCall<Buffer, Buffer>;
  readonly both?: grpc.handleBidiStreamingCall<Buffer, Buffer>;
  /** Of grpc.health.v1; without it the server has no such service. */
  readonly check?: Unary;
}

export interface GrpcServer {
  readonly port: number;
  /** h2c, or https where it has a certificate. */
  readonly url: string;
  /** Tells clients to go, and waits for their calls. */
  stop(): Promise<void>;
  /** As kill -9. */
  kill(): void;
}

export interface GrpcServerOptions {
  readonly port?: number;
  readonly credentials?: grpc.ServerCredentials;
}

/** Serves until the test, or the hook, that called it is over. Methods without a handler repeat what they get. */
export async function startGrpcServer(
  handlers: GrpcHandlers = {},
  { port: wanted = 0, credentials }: GrpcServerOptions = {},
): Promise<GrpcServer> {
  const server = new grpc.Server({ 'grpc.max_receive_message_length': -1, 'grpc.max_send_message_length': -1 });
  const { check, ...own } = handlers;
  server.addService(ECHO, { ...REPEAT, ...own });
  if (check !== undefined) server.addService(CHECK, { check });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync(`127.0.0.1:${wanted}`, credentials ?? grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  const stop = () => new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
  const kill = () => server.forceShutdown();
  cleanup(async () => kill());
  return { port, url: `${credentials === undefined ? 'http' : 'https'}://127.0.0.1:${port}`, stop, kill };
}

const REPEAT = {
  unary: (call: grpc.ServerUnaryCall<Buffer, Buffer>, done: grpc.sendUnaryData<Buffer>) => done(null, call.request),
  download: (call: grpc.ServerWritableStream<Buffer, Buffer>) => {
    for (let at = 0; at < 3; at++) call.write(call.request);
    call.end();
  },
  upload: (call: grpc.ServerReadableStream<Buffer, Buffer>, done: grpc.sendUnaryData<Buffer>) => {
    const got: Buffer[] = [];
    call.on('data', (message: Buffer) => got.push(message)).on('end', () => done(null, Buffer.concat(got)));
  },
  both: (call: grpc.ServerDuplexStream<Buffer, Buffer>) => {
    call.on('data', (message: Buffer) => call.write(message)).on('end', () => call.end());
  },
};

/** What a message of grpc.health.v1 says, without its frame: the server's library adds that. */
export const SERVING = Buffer.from([0x08, 1]);
export const NOT_SERVING = Buffer.from([0x08, 2]);

/** Who calls. Closed when the test, or the hook, is over. */
export class Caller {
  readonly client: grpc.Client;

  constructor(port: number, credentials = grpc.credentials.createInsecure(), options: grpc.ClientOptions = {}) {
    this.client = new grpc.Client(`127.0.0.1:${port}`, credentials, {
      'grpc.max_receive_message_length': -1,
      'grpc.max_send_message_length': -1,
      // Callers of one process would share a connection.
      'grpc.use_local_subchannel_pool': 1,
      'grpc.enable_retries': 0,
      ...options,
    });
    cleanup(async () => this.client.close());
  }

  /** @param path when it is not ECHO's. */
  unary(message: Buffer | string, options: CallOptions = {}): Promise<Answered> {
    return new Promise((resolve) => {
      let head: grpc.Metadata | undefined;
      let status: grpc.StatusObject | undefined;
      let answer: Buffer | undefined;
      const call = this.client.makeUnaryRequest(
        options.path ?? ECHO.unary.path,
        bytes,
        bytes,
        Buffer.from(message),
        options.metadata ?? new grpc.Metadata(),
        options.deadline === undefined ? {} : { deadline: options.deadline },
        (_, value) => (answer = value),
      );
      call.on('metadata', (metadata) => (head = metadata));
      call.on('status', (told) => {
        status = told;
        // The callback with the message comes in the same turn, before or after.
        queueMicrotask(() =>
          resolve({ code: status!.code, details: status!.details, trailers: status!.metadata, head, answer }),
        );
      });
      options.onCall?.(call);
    });
  }

  download(message: Buffer | string, options: CallOptions = {}): grpc.ClientReadableStream<Buffer> {
    const { metadata = new grpc.Metadata(), deadline } = options;
    const more = deadline === undefined ? {} : { deadline };
    const path = options.path ?? ECHO.download.path;
    return this.client.makeServerStreamRequest(path, bytes, bytes, Buffer.from(message), metadata, more);
  }

  upload(done: (error: grpc.ServiceError | null, value?: Buffer) => void): grpc.ClientWritableStream<Buffer> {
    return this.client.makeClientStreamRequest(ECHO.upload.path, bytes, bytes, new grpc.Metadata(), {}, done);
  }

  both(options: CallOptions = {}): grpc.ClientDuplexStream<Buffer, Buffer> {
    const { metadata = new grpc.Metadata(), deadline } = options;
    const more = deadline === undefined ? {} : { deadline };
    return this.client.makeBidiStreamRequest(options.path ?? ECHO.both.path, bytes, bytes, metadata, more);
  }
}

export interface CallOptions {
  readonly path?: string;
  readonly metadata?: grpc.Metadata;
  /** A moment: `Date` or milliseconds since 1970. */
  readonly deadline?: grpc.Deadline;
  readonly onCall?: (call: grpc.ClientUnaryCall) => void;
}

/** How a call ended. */
export interface Answered {
  readonly code: grpc.status;
  readonly details: string;
  readonly trailers: grpc.Metadata;
  readonly head: grpc.Metadata | undefined;
  readonly answer: Buffer | undefined;
}

export interface Streamed {
  readonly messages: readonly Buffer[];
  readonly code: grpc.status;
  readonly details: string;
}

/** All of a stream and how it ended. */
export function streamed(
  call: grpc.ClientReadableStream<Buffer> | grpc.ClientDuplexStream<Buffer, Buffer>,
): Promise<Streamed> {
  return new Promise((resolve) => {
    const messages: Buffer[] = [];
    call.on('data', (message: Buffer) => messages.push(message));
    call.on('error', () => {});
    call.on('status', ({ code, details }: grpc.StatusObject) => resolve({ messages, code, details }));
  });
}

/** A call as it is on the wire, for what a library of gRPC would hide. */
export interface RawAnswer {
  readonly head: http2.IncomingHttpHeaders;
  readonly trailers: http2.IncomingHttpHeaders;
  /** Frames of data. */
  readonly frames: number;
}

export function rawCall(
  port: number,
  path: string,
  fields: http2.OutgoingHttpHeaders,
  message = '',
): Promise<RawAnswer> {
  const session = http2.connect(`http://127.0.0.1:${port}`);
  return new Promise<RawAnswer>((resolve, reject) => {
    session.on('error', reject);
    const call = session.request({
      ':method': 'POST',
      ':path': path,
      'content-type': 'application/grpc',
      te: 'trailers',
      ...fields,
    });
    let head: http2.IncomingHttpHeaders = {};
    let trailers: http2.IncomingHttpHeaders = {};
    let frames = 0;
    call.on('response', (told) => (head = told));
    call.on('trailers', (told) => (trailers = told));
    call.on('data', () => frames++);
    call.on('error', reject);
    call.on('end', () => resolve({ head, trailers, frames }));
    const size = Buffer.alloc(5);
    size.writeUInt32BE(Buffer.byteLength(message), 1);
    call.end(Buffer.concat([size, Buffer.from(message)]));
  }).finally(() => session.destroy());
}
