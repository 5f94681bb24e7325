/** How users write a cache. */
import Type, { type StaticDecode } from 'typebox';
import { Duration, Percent } from '../../src/config/units.ts';

const FieldName = Type.String({
  pattern: '^[A-Za-z0-9-]+$',
  title: 'field name',
  examples: ['x-tenant'],
  description: 'A request field.',
});

const Names = (description: string) =>
  Type.Array(Type.String({ minLength: 1, description: 'A query parameter.' }), { description });

const QuerySchema = Type.Union(
  [
    Type.Literal('all', { description: 'Every parameter.' }),
    Type.Literal('none', { description: 'No parameter.' }),
    Type.Object(
      { only: Names('Only these: all others make no difference to the answer.') },
      { additionalProperties: false },
    ),
    Type.Object(
      { except: Names('All but these: they make no difference to the answer.') },
      { additionalProperties: false },
    ),
  ],
  { default: 'all', description: 'Parameters of the query that choose an answer.' },
);

const KeySchema = Type.Object(
  {
    query: QuerySchema,
    headers: Type.Array(FieldName, {
      default: [],
      description: 'Request fields that choose an answer though its Vary does not name them.',
    }),
  },
  {
    additionalProperties: false,
    default: {},
    description: 'What makes two requests the same, beside scheme, host, path and what Vary names.',
  },
);

const CacheSchema = Type.Union(
  [
    Type.Literal(false, { description: 'No cache.' }),
    Type.Object(
      {
        ttl: Type.Optional(
          Duration('How long answers are fresh (200, 203, 204, 300, 301, 308) that say nothing about it themselves.'),
        ),
        negativeTtl: Type.Optional(Duration('The same for 404, 405, 410 and 501. Default: they are not stored.')),
        heuristic: Type.Optional(
          Percent(
            'Share of its age (Last-Modified) that an answer without lifetime is fresh, a day at most; before ttl.',
          ),
        ),
        staleWhileRevalidate: Duration(
          'How long a stale answer is given while a fresh one is fetched, where the answer does not say.',
          '0ms',
        ),
        staleIfError: Duration(
          'How long a stale answer is given when the upstream fails (no answer, 500, 502, 503, 504), where the answer does not say.',
          '0ms',
        ),
        key: KeySchema,
        partition: Type.Enum(['principal', 'none'], {
          default: 'principal',
          description:
            'principal: callers who proved who they are have answers of their own. none: what one was told, all may hear.',
        }),
        cookies: Type.Enum(['respect', 'ignore'], {
          default: 'respect',
          description:
            'respect: a request with cookies only shares answers that say public or s-maxage. ignore: cookies choose no answer.',
        }),
        clients: Type.Enum(['ignore', 'obey'], {
          default: 'ignore',
          description: 'Whether Cache-Control of a request (no-cache, max-age, min-fresh) forces a trip.',
        }),
        collapse: Duration(
          'How long requests for what is being fetched wait for it; 0ms: each fetches for itself.',
          '5s',
        ),
        variants: Type.Integer({
          minimum: 1,
          maximum: 64,
          default: 16,
          description: 'Most answers to one URL that differ by Vary; the oldest goes.',
        }),
      },
      { additionalProperties: false },
    ),
  ],
  { description: 'Stores answers and gives them again (RFC 9111).' },
);

export type CacheConfig = StaticDecode<typeof CacheSchema>;
export type CacheOptions = Exclude<CacheConfig, false>;

declare module '../../src/config/schema.ts' {
  interface RouteConcerns {
    cache: CacheConfig;
  }
}

export default CacheSchema;
