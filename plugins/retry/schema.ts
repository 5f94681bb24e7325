/** How users write retries. Every route has them; `retry: false` turns them off. */
import Type, { type StaticDecode } from 'typebox';
import { Duration, Percent, Size } from '../../src/config/units.ts';

export type RetryWord =
  | 'connect'
  | 'reset'
  | 'timeout'
  | 'grpc-cancelled'
  | 'grpc-deadline-exceeded'
  | 'grpc-internal'
  | 'grpc-resource-exhausted'
  | 'grpc-unavailable';

const RetryObject = Type.Object(
  {
    attempts: Type.Integer({ minimum: 0, maximum: 10, default: 2, description: 'Further tries after the first.' }),
    on: Type.Array(
      Type.Union([
        Type.Enum([
          ...['connect', 'reset', 'timeout'],
          ...['grpc-cancelled', 'grpc-deadline-exceeded', 'grpc-internal'],
          ...['grpc-resource-exhausted', 'grpc-unavailable'],
        ] as RetryWord[]),
        Type.Integer({ minimum: 400, maximum: 599 }),
      ]),
      {
        minItems: 1,
        uniqueItems: true,
        default: ['connect', 'reset'],
        description:
          'connect: no connection, so nothing was sent; any method is tried again. reset: the connection broke before the answer’s head. timeout: no head in time. Or statuses. All but connect for idempotent methods only. grpc-…: calls of gRPC that end with this status before any message.',
      },
    ),
    budget: Percent(
      'Retries and hedges may be at most this share of the pool’s requests, of the last 10 seconds and of those open now; 100% = no limit.',
      '20%',
    ),
    backoff: Type.Object(
      {
        base: Duration('Before the first retry; doubles with each. The wait is a random part of it.', '25ms'),
        max: Duration('The longest.', '250ms'),
      },
      {
        additionalProperties: false,
        default: {},
        description: 'How long to wait, unless nothing was sent and another endpoint is left.',
      },
    ),
    retryAfter: Duration(
      'The longest Retry-After of an answer that is waited for; an answer that asks for more is passed on.',
      '2s',
    ),
    maxBody: Size(
      'Bodies of idempotent requests up to this size are read first, so that they can be sent again.',
      '64KiB',
    ),
  },
  { additionalProperties: false },
);

export type RetryConfig = StaticDecode<typeof RetryObject>;

declare module '../../src/config/schema.ts' {
  interface RouteConcerns {
    retry: RetryConfig | false;
  }
}

export default Type.Union([RetryObject, Type.Literal(false)], {
  default: {},
  description: 'Further tries when one fails; false for none.',
});
