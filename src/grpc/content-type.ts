/** `application/grpc`, `application/grpc+proto`, `application/grpc;…`; gRPC-Web is another protocol. */

const GRPC = 'application/grpc';

export function isGrpc(contentType: string | undefined): boolean {
  if (contentType === undefined || contentType.length < GRPC.length) return false;
  // RFC 9110 §8.3.1: types have no case. What clients send is in lower case, so that is looked at first.
  const isNamed = contentType.startsWith(GRPC) || contentType.slice(0, GRPC.length).toLowerCase() === GRPC;
  if (!isNamed) return false;
  const next = contentType.charAt(GRPC.length);
  return next === '' || next === '+' || next === ';' || next === ' ';
}
