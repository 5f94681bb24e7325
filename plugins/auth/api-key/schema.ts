/** How users write where an API key is looked for. The keys themselves are consumers' (gateway.yaml, consumers.d). */
import Type from 'typebox';
import { object, Text } from '../../../src/config/shapes.ts';

export interface ApiKeyOptions {
  /** In lower case or as written. */
  header: string;
  query?: string;
  cookie?: string;
  forward: boolean;
}

export default object(
  {
    header: Type.String({
      default: 'x-api-key',
      pattern: "^[A-Za-z0-9!#$%&'*+.^_`|~-]+$",
      title: 'field name',
      examples: ['x-api-key'],
      description: 'The field that carries the key. Authorization: a key after "ApiKey" or "Bearer".',
    }),
    query: Type.Optional(Text('A parameter that may carry it instead. URLs end up in logs: prefer a header.')),
    cookie: Type.Optional(Text('A cookie that may carry it instead.')),
    forward: Type.Boolean({ default: false, description: 'Whether the upstream gets the key too.' }),
  },
  'API keys of consumers.',
);
