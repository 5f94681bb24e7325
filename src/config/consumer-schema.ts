/**
 * Consumers: people and services that call, each with the credentials that prove it. No secret stands here that would
 * open a door by itself: keys and passwords are kept as hashes, shared secrets come from files or the environment.
 */
import Type, { type StaticDecode } from 'typebox';
import { RateLimitSchema, type RateLimitConfig } from './rate-limit-schema.ts';
import { PrioritySchema } from './saturation-schema.ts';
import { Name, object, Text } from './shapes.ts';
import { Timestamp } from './units.ts';

const Expiry = Type.Optional(Timestamp('From then on it is refused: 2027-01-31, or 2027-01-31T12:00:00Z.'));

const ApiKeySchema = object(
  {
    id: Type.Optional(Name('Tells keys apart, in logs and in aya consumer revoke.')),
    sha256: Type.String({
      pattern: '^[0-9a-f]{64}$',
      title: 'SHA-256 in hex',
      examples: ['2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b'],
      description: 'Hash of the key, in lower-case hex; aya consumer key makes both.',
    }),
    expires: Expiry,
  },
  'A key that the consumer sends; several, so that one can be replaced while the other still works.',
);

const PasswordSchema = object(
  {
    username: Text('The name that the client sends.'),
    password: Type.String({
      pattern: '^scrypt\\$',
      title: 'scrypt hash',
      examples: ['scrypt$16384$8$1$c2FsdA$aGFzaA'],
      description: 'Hash of the password, as aya consumer password makes it.',
    }),
    expires: Expiry,
  },
  'A name and password (HTTP Basic).',
);

const TokenSchema = object(
  {
    issuer: Type.Optional(Text('Only tokens of this issuer. Default: of any issuer that the route accepts.')),
    subject: Type.Optional(Text('The value of the claim sub.')),
    claims: Type.Optional(
      Type.Record(Type.String(), Type.String(), { description: 'Claims that must have these values.' }),
    ),
  },
  'Tokens that are this consumer: all that is given must hold.',
);

const CertificateSchema = object(
  {
    subject: Type.Optional(Text('The whole subject: CN=mobile,O=Example.')),
    san: Type.Optional(Text('One of its alternative names, with its type: DNS:mobile.example.com, URI:spiffe://…')),
    fingerprint: Type.Optional(
      Type.String({
        pattern: '^[0-9a-f]{64}$',
        title: 'SHA-256 in hex',
        examples: ['2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b'],
        description: 'SHA-256 of the certificate, in lower-case hex.',
      }),
    ),
  },
  'A client certificate: all that is given must hold.',
);

const SignatureKeySchema = object(
  {
    id: Text('The keyid that the client sends.'),
    algorithm: Type.Enum(['hmac-sha256', 'ed25519', 'ecdsa-p256-sha256', 'ecdsa-p384-sha384', 'rsa-pss-sha512'], {
      description: 'How it signs; what the client says of it is not believed.',
    }),
    secret: Type.Optional(
      Type.String({ minLength: 32, description: 'Of hmac-sha256: ${file:/run/secrets/mobile-hmac}.' }),
    ),
    publicKey: Type.Optional(
      Type.String({
        pattern: '^-----BEGIN PUBLIC KEY-----',
        title: 'PEM',
        examples: ['${file:keys/mobile.pub.pem}'],
        description: 'Of the others: the public key in PEM.',
      }),
    ),
    expires: Expiry,
  },
  'A key for signed requests (RFC 9421).',
);

export const ConsumerSchema = object(
  {
    name: Name('Who it is: in logs, limits and x-aya-consumer.'),
    groups: Type.Array(Name('A group.'), { default: [], description: 'Groups (tenants, plans) that it belongs to.' }),
    metadata: Type.Record(Type.String(), Type.Unknown({ title: 'value' }), {
      default: {},
      description: 'Whatever expressions should know of it.',
    }),
    apiKeys: Type.Array(ApiKeySchema, { default: [], description: 'Its API keys.' }),
    basic: Type.Array(PasswordSchema, { default: [], description: 'Its names and passwords.' }),
    jwt: Type.Array(TokenSchema, { default: [], description: 'Its tokens.' }),
    certificates: Type.Array(CertificateSchema, { default: [], description: 'Its client certificates.' }),
    signatureKeys: Type.Array(SignatureKeySchema, { default: [], description: 'Its keys for signed requests.' }),
    rateLimit: Type.Optional(RateLimitSchema),
    priority: Type.Optional(PrioritySchema('Of its requests, where they wait for a pool. Default: that of the route.')),
  },
  'A known caller.',
);

export const GroupSchema = object(
  {
    routes: Type.Optional(
      Type.Array(Name('A route.'), { description: 'The only routes that its members may use. Default: all.' }),
    ),
    rateLimit: Type.Optional(RateLimitSchema),
  },
  'What all its members share.',
);

/** One file of consumers.d. */
export const consumerFileSchema = object({
  consumers: Type.Optional(Type.Array(ConsumerSchema, { description: 'Known callers.' })),
});

export type ConsumerConfig = Omit<StaticDecode<typeof ConsumerSchema>, 'rateLimit'> & { rateLimit?: RateLimitConfig };
export type ApiKeyConfig = StaticDecode<typeof ApiKeySchema>;
export type PasswordConfig = StaticDecode<typeof PasswordSchema>;
export type TokenConfig = StaticDecode<typeof TokenSchema>;
export type CertificateConfig = StaticDecode<typeof CertificateSchema>;
export type SignatureKeyConfig = StaticDecode<typeof SignatureKeySchema>;
export type GroupConfig = Omit<StaticDecode<typeof GroupSchema>, 'rateLimit'> & { rateLimit?: RateLimitConfig };
