/** How users write which addresses may come. */
import Type, { type Static } from 'typebox';

const Network = Type.String({ minLength: 1, description: '10.0.0.0/8, 2001:db8::/32, or one address.' });

const IpFilterObject = Type.Object(
  {
    allow: Type.Optional(
      Type.Array(Network, { minItems: 1, description: 'Only these may come. Left out: all that are not denied.' }),
    ),
    deny: Type.Optional(Type.Array(Network, { minItems: 1, description: 'These may not, also if they are allowed.' })),
  },
  { additionalProperties: false },
);

export type IpFilterConfig = Static<typeof IpFilterObject>;

declare module '../../src/config/schema.ts' {
  interface RouteConcerns {
    ipFilter: IpFilterConfig | false;
  }
}

export default Type.Union([IpFilterObject, Type.Literal(false)], {
  description: 'Who may come, by address (403); false for no filter, where the defaults have one.',
});
