/** How users write what upstreams are told of the caller: a token that the gateway signs, which they can verify. */
import Type, { type StaticDecode } from 'typebox';
import { object, Text } from './shapes.ts';
import { ALGORITHMS } from './signature-algorithms.ts';
import { Duration } from './units.ts';

const IdentityTokenSchema = object(
  {
    key: Type.Optional(Text('Signs it: a PEM file with a private key.')),
    secret: Type.Optional(Text('Signs it instead, with HS256 to HS512: ${file:/run/secrets/identity}.')),
    algorithm: Type.Enum([...ALGORITHMS], { default: 'ES256', description: 'How it signs; the key must fit.' }),
    issuer: Type.String({ default: 'aya', minLength: 1, description: 'The claim iss.' }),
    audience: Type.Optional(Text('The claim aud. Default: none.')),
    ttl: Duration('How long a token is valid; it is used for half of that.', '60s'),
    header: Type.String({
      default: 'x-aya-identity',
      pattern: '^x-aya-(?!(?:consumer|principal|groups)$)[a-z0-9-]+$',
      title: 'field name that begins with x-aya- and has no other meaning',
      examples: ['x-aya-identity'],
      description: 'The field that carries it; of clients, fields of such names are dropped.',
    }),
  },
  'A token about the caller (sub, consumer, groups, scope, route), beside the x-aya-* fields.',
);

export const IdentitySchema = object({ jwt: IdentityTokenSchema }, 'What upstreams can verify of the caller.');

/** `key` is what its file holds. */
export type IdentityConfig = StaticDecode<typeof IdentitySchema>;
export type IdentityTokenConfig = IdentityConfig['jwt'];
