/** How users write a redirect. */
import Type, { type Static } from 'typebox';

const Path = (description: string) => Type.Optional(Type.String({ pattern: '^(/[^?#]*)?$', description }));

const RedirectSchema = Type.Object(
  {
    to: Type.Optional(
      Type.String({ pattern: '^https?://', description: 'The whole new URL, used as it is. Excludes the parts.' }),
    ),
    status: Type.Enum([301, 302, 303, 307, 308], {
      default: 302,
      description: '301 and 308 are permanent; 307 and 308 keep the method.',
    }),
    scheme: Type.Optional(Type.Enum(['http', 'https'], { description: 'The new scheme; default: as asked.' })),
    host: Type.Optional(Type.String({ minLength: 1, description: 'The new host, without port; default: as asked.' })),
    port: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 65535,
        description: 'The new port; default: the new scheme’s own, or as asked when the scheme stays.',
      }),
    ),
    path: Path('The whole new path. The query is kept.'),
    prefix: Path('What the prefix of the match stood for becomes this. The query is kept.'),
  },
  {
    additionalProperties: false,
    description: 'Answers with a redirect: to a fixed URL, or to the request’s own with some of its parts replaced.',
  },
);

export type RedirectConfig = Static<typeof RedirectSchema>;

declare module '../../src/config/schema.ts' {
  interface RouteConcerns {
    redirect: RedirectConfig;
  }
}

export default RedirectSchema;
