/**
 * What the gateway knows of one call of gRPC: how long its caller waits, how long it may be silent, and how it ended. The
 * messages are never looked at.
 */
import { GatewayError } from '../errors.ts';
import { isGrpc } from './content-type.ts';
import { codeOf, grpcCodeOf, isServerFault, readGrpcStatus } from './status.ts';
import { formatGrpcTimeout, parseGrpcTimeout } from './timeout.ts';

interface CallRequest {
  readonly method: string;
  header(name: string): string | undefined;
}

interface CallRoute {
  readonly name: string;
  /** All of its requests are calls. */
  readonly grpc: boolean;
  /** 0: unbounded. */
  readonly totalMs: number;
}

export class GrpcCall {
  /** From the start of the call; Infinity when the caller sets no deadline. */
  timeoutMs = Infinity;
  /**
   * A call may last: silence in both directions ends it, slowness does not. That is so where the route says that it carries
   * gRPC, or once the upstream has answered as gRPC: a client that only says so gets no longer time than any other.
   */
  lasting = false;
  /** Of the latest try's answer. */
  status: number | undefined;
  /** The latest try is answered as gRPC. */
  #isAnswered = false;
  readonly #timeout: string | undefined;
  readonly #isHttp2: boolean;

  /** @returns undefined when the request is none. */
  static of(request: CallRequest, httpVersion: string): GrpcCall | undefined {
    if (request.method !== 'POST' || !isGrpc(request.header('content-type'))) return undefined;
    return new GrpcCall(request.header('grpc-timeout'), httpVersion === '2.0');
  }

  private constructor(timeout: string | undefined, isHttp2: boolean) {
    this.#timeout = timeout;
    this.#isHttp2 = isHttp2;
  }

  /** Its route is known. @param fields that go to the upstream: it learns of a shorter time than the caller's. @throws GatewayError */
  begin(route: CallRoute, fields: string[]): void {
    this.lasting = route.grpc;
    if (this.#timeout === undefined) return;
    this.timeoutMs = parseGrpcTimeout(this.#timeout);
    if (Number.isNaN(this.timeoutMs)) {
      throw new GatewayError('http_request_error', 'malformed grpc-timeout', { detail: 'grpc-timeout is malformed.' });
    }
    if (route.totalMs === 0 || route.totalMs >= this.timeoutMs) return;
    const at = fields.findIndex((name, index) => index % 2 === 0 && name.toLowerCase() === 'grpc-timeout');
    if (at !== -1) fields[at + 1] = formatGrpcTimeout(route.totalMs);
  }

  // --- the upstream's answer ---

  onHead(fields: readonly string[]): void {
    this.status = readGrpcStatus(fields);
    this.#isAnswered = isGrpc(contentType(fields));
    this.lasting ||= this.#isAnswered;
  }

  onTrailers(trailers: readonly string[] | undefined): void {
    if (trailers !== undefined) this.status = readGrpcStatus(trailers) ?? this.status;
  }

  /** The endpoint answered, and what it said is a failure of its own. */
  get isServerFault(): boolean {
    return this.status !== undefined && isServerFault(this.status);
  }

  // --- its end ---

  /** What has begun can still end with a status. Any other answer, and what HTTP/1.1 has announced, can only be cut. */
  get endsInTrailers(): boolean {
    return this.#isAnswered && this.#isHttp2;
  }

  /** How the caller sees the end. Without a status in the answer it makes one of its own from what HTTP says. */
  outcome(error: GatewayError | undefined, clientLeft: boolean): number {
    if (error !== undefined) return grpcCodeOf(error);
    return this.status ?? codeOf(clientLeft ? 'CANCELLED' : 'UNKNOWN');
  }
}

function contentType(fields: readonly string[]): string | undefined {
  for (let at = 0; at < fields.length; at += 2) {
    if (fields[at]!.length === 12 && fields[at]!.toLowerCase() === 'content-type') return fields[at + 1];
  }
  return undefined;
}
