/** How users write which service is asked about a request. */
import Type from 'typebox';
import { object, Text } from '../../../src/config/shapes.ts';
import { Duration } from '../../../src/config/units.ts';

export interface ForwardAuthOptions {
  pool: string;
  path: string;
  method: string;
  requestHeaders: string[];
  responseHeaders: string[];
  principal?: string;
  groups?: string;
  timeout: number;
  cache?: { ttl: number; by?: string[] };
}

const FieldName = (description: string) =>
  Type.String({ pattern: "^[A-Za-z0-9!#$%&'*+.^`|~-]+$", title: 'field name', examples: ['x-user'], description });

export default object(
  {
    pool: Text('The pool of the service that decides.'),
    path: Type.String({ pattern: '^/', default: '/', title: 'path', examples: ['/verify'], description: 'Its path.' }),
    method: Type.String({
      pattern: '^[A-Z]+$',
      default: 'GET',
      title: 'method',
      examples: ['GET', 'HEAD'],
      description: 'The method it is asked with; it never gets a body.',
    }),
    requestHeaders: Type.Array(FieldName('A field.'), {
      default: ['authorization', 'cookie'],
      description: 'Fields of the request that it sees, besides X-Forwarded-Method, -Proto, -Host, -Uri and -For.',
    }),
    responseHeaders: Type.Array(FieldName('A field.'), {
      default: [],
      description: 'Fields of its 2xx answer that the upstream gets; a client’s own of these names are dropped.',
    }),
    principal: Type.Optional(FieldName('The field of its 2xx answer that says who it is.')),
    groups: Type.Optional(FieldName('The field of its 2xx answer that lists the groups, with commas.')),
    timeout: Duration('Until it has answered; after that the request is refused (503).', '1s'),
    cache: Type.Optional(
      object(
        {
          ttl: Duration('How long a decision holds.', '10s'),
          by: Type.Optional(
            Type.Array(FieldName('A field.'), {
              minItems: 1,
              description:
                'One client’s requests whose fields of these names are equal share a decision, for the same method and URL. Default: requestHeaders.',
            }),
          ),
        },
        'Remembers decisions. Default: it is asked each time.',
      ),
    ),
  },
  'Asks another service: 2xx lets pass, 5xx and silence are 503, any other answer goes to the client.',
);
