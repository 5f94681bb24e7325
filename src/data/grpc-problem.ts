/**
 * A problem as a client of gRPC reads it: HTTP 200 and the status in the head, with nothing behind it ("trailers-only"). The
 * log and the metrics keep the status that HTTP would have had.
 */
import { CATALOGUE, type GatewayError } from '../errors.ts';
import { encodeGrpcMessage, grpcCodeOf } from '../grpc/status.ts';
import { problemFields, type Problem } from './problem.ts';

const NOTHING = Buffer.alloc(0);

export function renderGrpcProblem(error: GatewayError, requestId: string): Problem {
  const fields = ['content-type', 'application/grpc', ...grpcTrailers(error), ...problemFields(error, requestId)];
  return { status: 200, fields, body: NOTHING };
}

/** The same behind an answer that has begun. */
export function grpcTrailers(error: GatewayError): string[] {
  const message = error.detail ?? CATALOGUE[error.type].title;
  return ['grpc-status', String(grpcCodeOf(error)), 'grpc-message', encodeGrpcMessage(message)];
}
