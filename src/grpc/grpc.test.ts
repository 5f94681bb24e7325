import { describe, expect, test } from 'vitest';
import { GatewayError } from '../errors.ts';
import { GrpcCall } from './call.ts';
import { isGrpc } from './content-type.ts';
import { codeOf, encodeGrpcMessage, GRPC_STATUSES, grpcCodeOf, readGrpcStatus } from './status.ts';
import { formatGrpcTimeout, parseGrpcTimeout } from './timeout.ts';

test.each([
  ['application/grpc', true],
  ['application/grpc+proto', true],
  ['application/grpc;charset=utf-8', true],
  ['Application/GRPC+json', true],
  ['application/grpc-web', false],
  ['application/grpc-web+proto', false],
  ['application/grpcx', false],
  ['application/json', false],
  ['', false],
  [undefined, false],
])('the content type %s is gRPC: %s', (type, expected) => expect(isGrpc(type)).toBe(expected));

describe('grpc-timeout', () => {
  test.each([
    ['1H', 3_600_000],
    ['2M', 120_000],
    ['3S', 3000],
    ['100m', 100],
    ['5000u', 5],
    ['99999999n', 99.999999],
    ['0m', 0],
  ])('%s is %d ms', (text, ms) => expect(parseGrpcTimeout(text)).toBeCloseTo(ms, 9));

  test.each(['', 'm', '100', '100 m', '-1m', '1.5S', '123456789m', '1s', '1h', '1m1m', ' 1m'])(
    '%j is malformed',
    (text) => expect(parseGrpcTimeout(text)).toBeNaN(),
  );

  test('is written so that it can be read', () => {
    for (const ms of [0, 0.2, 1, 99.5, 15_000, 99_999_999, 1e8, 9e10]) {
      const back = parseGrpcTimeout(formatGrpcTimeout(ms));
      expect(back).toBeGreaterThanOrEqual(ms);
      expect(back).toBeLessThanOrEqual(Math.max(1, ms * 1.001 + 1));
    }
  });
});

describe('statuses', () => {
  test('have the numbers of gRPC', () => {
    expect(GRPC_STATUSES.map(codeOf)).toEqual(GRPC_STATUSES.map((_, code) => code));
    expect([codeOf('OK'), codeOf('UNIMPLEMENTED'), codeOf('UNAUTHENTICATED')]).toEqual([0, 12, 16]);
  });

  test.each([
    [401, 'UNAUTHENTICATED'],
    [403, 'PERMISSION_DENIED'],
    [413, 'RESOURCE_EXHAUSTED'],
    [429, 'RESOURCE_EXHAUSTED'],
    [418, 'UNKNOWN'],
  ] as const)('a refusal with %i is %s', (status, name) => {
    expect(GRPC_STATUSES[grpcCodeOf(new GatewayError('http_request_denied', 'no', { status }))]).toBe(name);
  });

  test.each([
    ['connection_refused', 'UNAVAILABLE'],
    ['connection_timeout', 'UNAVAILABLE'],
    ['destination_unavailable', 'UNAVAILABLE'],
    ['destination_not_found', 'UNIMPLEMENTED'],
    ['http_response_timeout', 'DEADLINE_EXCEEDED'],
    ['proxy_internal_error', 'INTERNAL'],
  ] as const)('%s is %s', (type, name) => expect(GRPC_STATUSES[grpcCodeOf(new GatewayError(type, 'no'))]).toBe(name));

  test.each([
    [['grpc-status', '14'], 14],
    [['Grpc-Status', '0'], 0],
    [['x', 'y', 'grpc-status', '5'], 5],
    [['grpc-status', '17'], 2],
    [['grpc-status', 'OK'], 2],
    [['grpc-message', '14'], undefined],
  ] as const)('%j says %s', (fields, code) => expect(readGrpcStatus(fields)).toBe(code));

  test.each([
    ['plain text', 'plain text'],
    ['100 %', '100 %25'],
    ['zurück\n', 'zur%C3%BCck%0A'],
    ['☃', '%E2%98%83'],
  ])('the message %j is sent as %s', (message, sent) => expect(encodeGrpcMessage(message)).toBe(sent));
});

describe('a call', () => {
  const request = (fields: Record<string, string>, method = 'POST') =>
    GrpcCall.of({ method, header: (name) => fields[name] }, '2.0');
  const call = (timeout?: string) =>
    request({ 'content-type': 'application/grpc', ...(timeout === undefined ? {} : { 'grpc-timeout': timeout }) })!;
  const route = { name: 'orders', grpc: false, totalMs: 0 };

  test('is a POST of that type', () => {
    expect(request({ 'content-type': 'application/grpc' }, 'GET')).toBeUndefined();
    expect(request({ 'content-type': 'application/json' })).toBeUndefined();
    expect(request({})).toBeUndefined();
    expect(call()).toBeDefined();
  });

  test('waits as long as its caller does', () => {
    const waiting = call('250m');
    waiting.begin(route, []);
    expect(waiting.timeoutMs).toBe(250);
  });

  test('with a malformed timeout is refused', () => {
    expect(() => call('soon').begin(route, [])).toThrow(GatewayError);
  });

  test('tells the upstream of a shorter time of the route, and of no longer one', () => {
    const fields = ['host', 'a', 'Grpc-Timeout', '2S'];
    call('2S').begin({ ...route, totalMs: 3000 }, fields);
    expect(fields[3]).toBe('2S');
    call('2S').begin({ ...route, totalMs: 1500 }, fields);
    expect(fields[3]).toBe('1500m');
  });

  test('lasts where the route carries gRPC or the upstream answers as such, not because its client says so', () => {
    const plain = call();
    plain.begin(route, []);
    expect(plain.lasting).toBe(false);
    plain.onHead(['content-type', 'text/html']);
    expect(plain.lasting).toBe(false);
    plain.onHead(['content-type', 'application/grpc+proto']);
    expect(plain.lasting).toBe(true);
    const routed = call();
    routed.begin({ ...route, grpc: true }, []);
    expect(routed.lasting).toBe(true);
  });

  test('that has begun can end with a status only where the answer is gRPC', () => {
    const one = call();
    one.onHead(['Content-Type', 'text/html']);
    expect(one.endsInTrailers).toBe(false);
    one.onHead(['Content-Type', 'application/grpc']);
    expect(one.endsInTrailers).toBe(true);
    const old = GrpcCall.of({ method: 'POST', header: () => 'application/grpc' }, '1.1')!;
    old.onHead(['content-type', 'application/grpc', 'content-length', '9']);
    expect(old.endsInTrailers).toBe(false);
  });

  test('ends as the trailers say, or the head of an answer without a body', () => {
    const one = call();
    one.onHead(['content-type', 'application/grpc', 'grpc-status', '5']);
    one.onTrailers(undefined);
    expect(one.outcome(undefined, false)).toBe(codeOf('NOT_FOUND'));
    one.onTrailers(['grpc-status', '14']);
    expect(one.outcome(undefined, false)).toBe(codeOf('UNAVAILABLE'));
    expect(one.isServerFault).toBe(true);
  });

  test('that says nothing is cancelled by a client that left, and unknown otherwise', () => {
    expect(call().outcome(undefined, true)).toBe(codeOf('CANCELLED'));
    expect(call().outcome(undefined, false)).toBe(codeOf('UNKNOWN'));
  });
});
