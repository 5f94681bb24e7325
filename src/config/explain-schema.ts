/** `explain:` of gateway.yaml and of a route: whose decisions are recorded. */
import Type, { type StaticDecode } from 'typebox';
import { object, settings, Text } from './shapes.ts';
import { Percent } from './units.ts';

export const ExplainSchema = settings(
  {
    sample: Percent('Share of requests whose decisions are logged, a line each (event: decision).', '0%'),
    failures: Type.Integer({
      minimum: 0,
      maximum: 1000,
      default: 200,
      description:
        'How many requests that failed are kept for GET /decisions: answers of the gateway with 5xx, and 5xx after retries. As many that asked are kept beside them. 0: none.',
    }),
    token: Type.Optional(
      Type.String({
        pattern: '^[!-~]{16,}$',
        title: 'token of at least 16 visible characters',
        examples: ['${EXPLAIN_TOKEN}'],
        description:
          'What a request says in x-aya-explain to be explained in its answer. Without token and from nobody is answered; with both, both must hold.',
      }),
    ),
    from: Type.Array(Text('A network, such as 10.0.0.0/8.'), {
      default: [],
      description: 'Clients whose x-aya-explain is answered; without a token its value says nothing.',
    }),
  },
  'Decision records: which endpoints were considered for a request, which were passed over and why, and how each try went.',
);

export const RouteExplainSchema = object(
  { sample: Percent('Share of its requests whose decisions are logged. Default: as explain.sample of gateway.yaml.') },
  'What is recorded of how requests are decided.',
);

export type ExplainConfig = StaticDecode<typeof ExplainSchema>;
export type RouteExplainConfig = StaticDecode<typeof RouteExplainSchema>;
