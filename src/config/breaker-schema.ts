/** The language of circuit breakers. */
import Type, { type StaticDecode } from 'typebox';
import { object } from './shapes.ts';
import { Duration, Percent } from './units.ts';

export const BreakerSchema = object(
  {
    failures: Percent('Opens when this share of the answers in the window failed.', '50%'),
    window: Duration('Over which answers are counted.', '10s'),
    minRequests: Type.Integer({
      minimum: 1,
      default: 20,
      description: 'With fewer answers in the window no share opens it.',
    }),
    consecutive: Type.Optional(
      Type.Integer({ minimum: 1, description: 'Also opens after this many failures in a row, however few answers.' }),
    ),
    slow: Type.Optional(
      object(
        {
          over: Duration('An answer is slow when its head takes longer than this.'),
          share: Percent('Opens when this share of the answers in the window was slow.', '50%'),
        },
        'Slow answers open it too. A probe must then also be in time.',
      ),
    ),
    openFor: Duration(
      'Before it is probed the first time; twice as long after each further opening in a row, and up to a fifth more by chance.',
      '10s',
    ),
    maxOpenFor: Duration('The longest time without a probe.', '2m'),
    probes: Type.Integer({
      minimum: 1,
      maximum: 1000,
      default: 3,
      description:
        'Requests that must do well to close it, one at first and one more at once for each that has. One that fails opens it again.',
    }),
    scope: Type.Enum(['endpoint', 'pool', 'both'], {
      default: 'endpoint',
      description: 'What has a breaker: each endpoint, the pool as a whole, or both.',
    }),
  },
  'Stops asking what fails: answers 503 at once where nobody else can serve, and lets a few requests find out when it is over.',
);

export type BreakerConfig = StaticDecode<typeof BreakerSchema>;
