/** The codes of gRPC, what they are called, and which of them a failure of ours is (docs/decisions/0017). */
import type { GatewayError } from '../errors.ts';

/** By their code. */
export const GRPC_STATUSES = [
  'OK',
  'CANCELLED',
  'UNKNOWN',
  'INVALID_ARGUMENT',
  'DEADLINE_EXCEEDED',
  'NOT_FOUND',
  'ALREADY_EXISTS',
  'PERMISSION_DENIED',
  'RESOURCE_EXHAUSTED',
  'FAILED_PRECONDITION',
  'ABORTED',
  'OUT_OF_RANGE',
  'UNIMPLEMENTED',
  'INTERNAL',
  'UNAVAILABLE',
  'DATA_LOSS',
  'UNAUTHENTICATED',
] as const;

export type GrpcStatus = (typeof GRPC_STATUSES)[number];

const CODES = Object.fromEntries(GRPC_STATUSES.map((name, code) => [name, code])) as Record<GrpcStatus, number>;

export const codeOf = (status: GrpcStatus): number => CODES[status];

/**
 * gRPC's table for HTTP answers, but where it would mislead: a limit asks for less, not for another try at once, so it is
 * RESOURCE_EXHAUSTED and not UNAVAILABLE, which clients repeat by themselves.
 */
const OF_HTTP: Readonly<Record<number, GrpcStatus>> = {
  400: 'INTERNAL',
  401: 'UNAUTHENTICATED',
  403: 'PERMISSION_DENIED',
  404: 'UNIMPLEMENTED',
  405: 'UNIMPLEMENTED',
  408: 'DEADLINE_EXCEEDED',
  413: 'RESOURCE_EXHAUSTED',
  414: 'UNIMPLEMENTED',
  429: 'RESOURCE_EXHAUSTED',
  431: 'RESOURCE_EXHAUSTED',
  499: 'CANCELLED',
  500: 'INTERNAL',
  502: 'UNAVAILABLE',
  503: 'UNAVAILABLE',
  504: 'DEADLINE_EXCEEDED',
};

/** The code that a client of gRPC gets for an error of the gateway. */
export function grpcCodeOf({ type, status }: GatewayError): number {
  // Nothing was sent: whoever may repeat the call should.
  if (type === 'connection_timeout') return CODES.UNAVAILABLE;
  return CODES[OF_HTTP[status] ?? 'UNKNOWN'];
}

/** What an HTTP service would have said with a 5xx: it counts against its endpoint. */
export function isServerFault(code: number): boolean {
  return code === CODES.UNKNOWN || code === CODES.INTERNAL || code === CODES.UNAVAILABLE || code === CODES.DATA_LOSS;
}

/** @param fields flat: of a head or of trailers. @returns undefined when no status, or none that exists, is in it. */
export function readGrpcStatus(fields: readonly string[]): number | undefined {
  for (let at = 0; at < fields.length; at += 2) {
    if (fields[at]!.length !== 11 || fields[at]!.toLowerCase() !== 'grpc-status') continue;
    const value = fields[at + 1]!;
    const code = /^\d{1,2}$/.test(value) ? Number(value) : -1;
    return code >= 0 && code < GRPC_STATUSES.length ? code : CODES.UNKNOWN;
  }
  return undefined;
}

/** gRPC's percent-encoding of `grpc-message`: printable ASCII but `%` stays, of all else each byte of UTF-8 is encoded. */
export function encodeGrpcMessage(message: string): string {
  if (/^[ -$&-~]*$/.test(message)) return message;
  let encoded = '';
  for (const byte of Buffer.from(message, 'utf8')) {
    const isPlain = byte >= 0x20 && byte <= 0x7e && byte !== 0x25;
    encoded += isPlain ? String.fromCharCode(byte) : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return encoded;
}
