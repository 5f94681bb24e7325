/** How users write that a late answer is asked for a second time. */
import Type, { type StaticDecode } from 'typebox';
import { Duration } from '../../src/config/units.ts';

const HedgeObject = Type.Object(
  {
    after: Type.Union(
      [
        Type.Literal('p95', {
          description: 'The time within which 95 % of the pool’s answers begin, as it is learnt.',
        }),
        Duration('A time.'),
      ],
      {
        default: 'p95',
        description: 'How long the head of an answer is waited for before another endpoint is asked as well.',
      },
    ),
    max: Type.Integer({
      minimum: 1,
      maximum: 4,
      default: 1,
      description: 'Most further tries that may be beside the first; each comes after the same time again.',
    }),
  },
  { additionalProperties: false },
);

export type HedgeConfig = StaticDecode<typeof HedgeObject>;

declare module '../../src/config/schema.ts' {
  interface RouteConcerns {
    hedge: HedgeConfig | false;
  }
}

export default Type.Union([HedgeObject, Type.Literal(false)], {
  description:
    'Asks another endpoint as well when the answer is late; the first good one wins. Idempotent methods only.',
});
