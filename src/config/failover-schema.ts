/** The language of failover: how endpoints start slowly, and what serves when a pool cannot. */
import Type, { type StaticDecode } from 'typebox';
import { object, Text } from './shapes.ts';
import { Duration, Percent } from './units.ts';

const SlowStartObject = object({
  for: Duration('Until an endpoint has all of its weight.'),
  aggression: Type.Number({
    minimum: 0.1,
    maximum: 100,
    default: 1,
    description: '1: the weight grows evenly; more: faster at first; less: slower at first.',
  }),
  min: Percent('What it has from the first moment.', '10%'),
});

export const SlowStartSchema = Type.Union([Duration('Until an endpoint has all of its weight.'), SlowStartObject], {
  description:
    'An endpoint that joins others or comes back has little of its weight at first: weight × max(min, (time / for) ^ (1 / aggression)).',
});

export type SlowStartConfig = StaticDecode<typeof SlowStartObject>;

/**
 * - unavailable: no endpoint can be picked, or the pool's breaker is open. Nothing was sent.
 * - connect: no connection could be made, wherever it was tried. Nothing was sent.
 * - saturated: all places are taken. Nothing was sent.
 * - reset, timeout: a try broke off, or took too long.
 */
export type FallbackWord = 'unavailable' | 'connect' | 'saturated' | 'reset' | 'timeout';

const On = Type.Array(
  Type.Union([
    Type.Enum(['unavailable', 'connect', 'saturated', 'reset', 'timeout'] as FallbackWord[]),
    Type.Integer({ minimum: 400, maximum: 599 }),
  ]),
  {
    minItems: 1,
    uniqueItems: true,
    default: ['unavailable', 'connect'],
    description:
      'After all tries. unavailable: no endpoint may be asked, or the pool’s breaker is open. connect: nowhere a connection. saturated: no place is left. reset: broken off before the answer’s head. timeout: no head in time. Or statuses. What may have been done already goes to another pool only with idempotent methods.',
  },
);

const FallbackPool = object({ pool: Text('The pool that serves instead.'), on: On });

const FallbackAnswer = object({
  status: Type.Integer({ minimum: 200, maximum: 599, description: 'Of the answer that the gateway gives instead.' }),
  body: Type.Optional(
    Type.Union([Type.String({ maxLength: 65_536 }), object({ file: Text('A file of text, at most 64 KiB.') })], {
      description: 'Its body: the text, or { file: … }. JSON is told by its look unless headers say otherwise.',
    }),
  ),
  headers: Type.Record(Type.String(), Type.String(), { default: {}, description: 'Its further fields.' }),
  on: On,
});

export const FallbackSchema = Type.Union([FallbackPool, FallbackAnswer], {
  description:
    'What serves when the pool cannot: another pool, or an answer of the gateway’s own. Only while the client has seen nothing of an answer.',
});

export interface FallbackConfig {
  /** Serves instead; undefined: `answer` is given. */
  pool?: string;
  answer?: FallbackAnswerConfig;
  on: (FallbackWord | number)[];
}

export interface FallbackAnswerConfig {
  status: number;
  /** What the body's file held, where there is one. */
  body: string;
  headers: Record<string, string>;
}

/** As it is written, complete. */
export type WrittenFallback =
  | { pool: string; on: FallbackConfig['on'] }
  | {
      status: number;
      body?: string | { file: string };
      headers: Record<string, string>;
      on: FallbackConfig['on'];
    };
