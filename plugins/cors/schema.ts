/** How users write which other origins' pages may call a route: the names of the Gateway API's HTTPCORSFilter. */
import Type, { type StaticDecode } from 'typebox';
import { Duration } from '../../src/config/units.ts';

const CorsObject = Type.Object(
  {
    allowOrigins: Type.Array(
      Type.String({ minLength: 1, description: 'https://app.example.com, https://*.example.com, or null.' }),
      {
        minItems: 1,
        description: 'Whose pages may call: origins, https://*.example.com for all below a name, or * for every one.',
      },
    ),
    allowMethods: Type.Optional(
      Type.Array(Type.String({ pattern: '^(\\*|[A-Z][A-Z-]*)$', title: 'method', examples: ['GET', 'PUT'] }), {
        minItems: 1,
        description:
          'Methods beside GET, HEAD and POST, which browsers always allow; * for the one that is asked about.',
      }),
    ),
    allowHeaders: Type.Optional(
      Type.Array(Type.String({ minLength: 1 }), {
        minItems: 1,
        description: 'Request fields beside those that browsers always allow; * for those that are asked about.',
      }),
    ),
    exposeHeaders: Type.Optional(
      Type.Array(Type.String({ minLength: 1 }), {
        minItems: 1,
        description: 'Answer fields that scripts may read beside the usual ones; * for all, without credentials.',
      }),
    ),
    allowCredentials: Type.Boolean({
      default: false,
      description: 'Whether requests may carry cookies, HTTP authentication and client certificates.',
    }),
    maxAge: Duration('How long a browser may remember the answer to a preflight.', '5s'),
  },
  { additionalProperties: false },
);

export type CorsConfig = StaticDecode<typeof CorsObject>;

declare module '../../src/config/schema.ts' {
  interface RouteConcerns {
    cors: CorsConfig | false;
  }
}

export default Type.Union([CorsObject, Type.Literal(false)], {
  description: 'Which pages of other origins may call; false for none, where the defaults allow some.',
});
