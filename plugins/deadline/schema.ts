/** How users write whose deadlines are believed, and how upstreams are told of them. */
import Type, { type Static } from 'typebox';
import { complete } from '../../src/config/complete.ts';

const DeadlineObject = Type.Object(
  {
    trust: Type.Array(Type.Enum(['proxies', 'consumers', 'everyone'] as ('proxies' | 'consumers' | 'everyone')[]), {
      uniqueItems: true,
      default: ['proxies'],
      description: 'Whose x-request-deadline is believed: trusted proxies, known consumers. Of others it is removed.',
    }),
    send: Type.Enum(['relative', 'absolute', 'none'] as ('relative' | 'absolute' | 'none')[], {
      default: 'relative',
      description:
        'How upstreams are told, with each try, what time is left: 1200ms, the moment (Unix milliseconds), or not at all.',
    }),
  },
  { additionalProperties: false },
);

export type DeadlineConfig = Static<typeof DeadlineObject>;

declare module '../../src/config/schema.ts' {
  interface RouteConcerns {
    deadline: DeadlineConfig | false;
  }
}

const On = Type.Codec(Type.Literal(true))
  .Decode(() => complete(DeadlineObject, {}) as DeadlineConfig)
  .Encode(() => true as const);

export default Type.Union([DeadlineObject, On, Type.Literal(false)], {
  description:
    'Takes deadlines from callers and tells upstreams what is left (x-request-deadline); true for the defaults.',
});
