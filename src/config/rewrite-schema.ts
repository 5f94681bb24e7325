/** How users write rewrites; data/rewrite.ts compiles them. */
import Type, { type Static } from 'typebox';

const Path = (description: string) => Type.Optional(Type.String({ pattern: '^(/[^?#]*)?$', description }));

export const RewriteSchema = Type.Object(
  {
    prefix: Path('What the prefix of the match stood for becomes this: /v1, or / for nothing.'),
    path: Path('The whole path becomes this.'),
    stripPrefix: Type.Optional(
      Type.Union([Type.Literal(true), Type.String({ pattern: '^/[^?#]*$' })], {
        description:
          'Removes these leading segments where the path has them; true: what the prefix of the match stood for.',
      }),
    ),
    addPrefix: Path('Is put before the path, after stripPrefix.'),
    regex: Type.Optional(
      Type.String({ minLength: 1, description: 'Each part of the path that this matches (RE2 syntax) becomes `to`.' }),
    ),
    to: Type.Optional(
      Type.String({
        pattern: '^[^?#]*$',
        description: 'With $1 or \\1 for what the first group matched; $$ is a dollar sign.',
      }),
    ),
    host: Type.Optional(
      Type.String({ minLength: 1, description: 'Host that the upstream is asked for, with its port if it has one.' }),
    ),
  },
  {
    additionalProperties: false,
    minProperties: 1,
    description:
      'Another path or host towards the upstream. The query is kept. One of prefix, path, stripPrefix with addPrefix, regex with to.',
  },
);

export type RewriteConfig = Static<typeof RewriteSchema>;
