/** How users write which sites may send unsafe requests with a browser's own credentials. */
import Type, { type Static } from 'typebox';
import { complete } from '../../src/config/complete.ts';

const CsrfObject = Type.Object(
  {
    allowOrigins: Type.Array(
      Type.String({ minLength: 1, description: 'https://app.example.com, or https://*.example.com.' }),
      { default: [], description: 'Other origins whose pages may send unsafe requests.' },
    ),
    always: Type.Boolean({
      default: false,
      description:
        'Also requests whose credentials did not come by themselves, or that have none. On a route without auth: always.',
    }),
  },
  { additionalProperties: false },
);

export type CsrfConfig = Static<typeof CsrfObject>;

declare module '../../src/config/schema.ts' {
  interface RouteConcerns {
    csrf: CsrfConfig | false;
  }
}

const On = Type.Codec(Type.Literal(true))
  .Decode(() => complete(CsrfObject, {}) as CsrfConfig)
  .Encode(() => true as const);

export default Type.Union([CsrfObject, On, Type.Literal(false)], {
  description: 'Refuses unsafe requests that another site had a browser send (403); true for the defaults.',
});
