/** The language of saturation: how much a pool takes at once, who waits beyond that, and for how long. */
import Type, { type StaticDecode } from 'typebox';
import { PRIORITIES } from '../priority.ts';
import { object, settings } from './shapes.ts';
import { Duration } from './units.ts';

const MOST = 1_000_000;

export const InFlight = (description: string) => Type.Integer({ minimum: 1, maximum: MOST, description });

const QueueSchema = settings(
  {
    max: Type.Integer({
      minimum: 1,
      maximum: MOST,
      default: 500,
      description: 'Requests that may wait, over all threads; queue: false lets none.',
    }),
    timeout: Duration('The longest that a request waits, over all its tries; 503 after that.', '1s'),
    target: Duration(
      'What waiting may take while it lasts, or half of what an answer takes, whichever is longer: see interval.',
      '20ms',
    ),
    interval: Duration(
      'When some have waited longer than target for all of this time, the pool is overloaded: those who wait twice as long as target are refused early, and of each caller the newest goes first.',
      '100ms',
    ),
  },
  'Requests beyond the limit: they wait, fair between consumers (or addresses), the highest priority first.',
);

const AdaptiveSchema = object(
  {
    min: Type.Integer({ minimum: 1, maximum: MOST, default: 10, description: 'It never goes below this.' }),
    max: Type.Integer({ minimum: 1, maximum: MOST, default: 1000, description: 'It never goes beyond this.' }),
    tolerance: Type.Number({
      minimum: 1.1,
      maximum: 10,
      default: 1.5,
      description: 'How many times its unhurried latency a pool may take before the limit goes down.',
    }),
    remeasure: Duration(
      'A pool that is always busy is measured anew this often, a tenth below what it can take for a moment.',
      '30s',
    ),
  },
  'Finds the limit of the pool by its latency, in place of max.',
);

const MaxInFlightObject = object({
  max: Type.Optional(InFlight('Requests that the pool may have at once, over all threads.')),
  perEndpoint: Type.Optional(
    InFlight(
      'Requests that each endpoint may have at once; its own maxInFlight overrides it. A full one is passed over.',
    ),
  ),
  adaptive: Type.Optional(AdaptiveSchema),
  queue: Type.Union([QueueSchema, Type.Literal(false)], {
    default: {},
    description: 'Who waits beyond the limit, and how long; false refuses at once.',
  }),
});

export const MaxInFlightSchema = Type.Union([InFlight('The same as max alone.'), MaxInFlightObject], {
  description: 'How many requests the pool takes at once, from first byte to last: a number, or an object.',
});

export const PrioritySchema = (description: string) => Type.Enum([...PRIORITIES], { description });

/** A number is the object with it as `max`. */
export type MaxInFlightConfig = StaticDecode<typeof MaxInFlightObject>;
export type QueueConfig = StaticDecode<typeof QueueSchema>;
export type AdaptiveLimitConfig = StaticDecode<typeof AdaptiveSchema>;
