/** How users write whose tokens a route accepts, where they are carried, and what they must say. */
import Type, { type StaticDecode } from 'typebox';
import { object, oneOrMany, Text } from '../../../src/config/shapes.ts';
import { Duration } from '../../../src/config/units.ts';
import { ALGORITHMS, type Algorithm } from '../../../src/config/signature-algorithms.ts';

const ClaimValue = Type.Union([Type.String(), Type.Number(), Type.Boolean()]);

const Claim = (description: string) => Type.Optional(Text(description));

/** Of one issuer. What has a default says so in words: `providers` take what they leave out from what stands beside them. */
const provider = {
  issuer: Type.Optional(Text('The claim iss, exactly. Tells providers apart, where there are several.')),
  audience: Type.Optional(
    oneOrMany(
      Text('A name of this service.'),
      'One of them must be in the claim aud. Left out, tokens for any service of the issuer are accepted.',
    ),
  ),
  algorithms: Type.Optional(
    Type.Array(Type.Enum([...ALGORITHMS]), {
      minItems: 1,
      description: 'The only ones that are accepted. Default: HS256 with a secret, else RS256, PS256, ES256, EdDSA.',
    }),
  ),
  jwksUri: Type.Optional(Text('Where the issuer publishes its keys (a JWK set).')),
  discovery: Type.Optional(
    Type.Boolean({ description: 'Finds that place in the issuer’s /.well-known/openid-configuration.' }),
  ),
  publicKey: Type.Optional(
    Text('Its only key instead: a PEM file with a public key or certificate, or the PEM itself.'),
  ),
  secret: Type.Optional(Text('Or a secret shared with it: ${file:/run/secrets/jwt}. At least as long as the hash.')),
  clockTolerance: Type.Optional(Duration('How far clocks may differ, at most 60s. Default: 30s.')),
  requiredClaims: Type.Optional(
    Type.Array(Text('A claim.'), { description: 'Claims that must be there. Default: [exp].' }),
  ),
  maxAge: Type.Optional(Duration('How long after iat a token is accepted at most. Default: as long as exp says.')),
  typ: Type.Optional(Text('The header typ must be this (at+jwt for RFC 9068). Default: JWT, at+jwt or none.')),
  scopes: Type.Optional(
    Type.Array(
      Type.String({ pattern: '^[!#-[\\]-~]+$', title: 'scope', examples: ['orders:read'], description: 'A scope.' }),
      { description: 'All are needed (403). Default: none.' },
    ),
  ),
  claims: Type.Optional(
    Type.Record(Type.String(), oneOrMany(ClaimValue, 'The value; of a list any.'), {
      description:
        'Values that claims must have (403); a claim that is a list must hold one. realm.tenant looks inside.',
    }),
  ),
  consumerClaim: Claim('The claim that names the consumer. Default: consumers say which tokens are theirs.'),
  groupsClaim: Type.Optional(
    Type.Union([Text('The claim that lists groups.'), Type.Literal(false)], {
      description: 'The claim that lists groups, or false: only the consumer’s count. Default: groups.',
    }),
  ),
  scopesClaim: Claim('The claim that lists scopes, as text with spaces or as a list. Default: scope.'),
};

const ProviderSchema = object(provider, 'An issuer; what it leaves out is as beside providers.');

const JwtSchema = object(
  {
    ...provider,
    providers: Type.Optional(
      Type.Array(ProviderSchema, { minItems: 1, description: 'Several issuers: the claim iss says which decides.' }),
    ),
    header: Type.String({
      default: 'authorization',
      pattern: "^[A-Za-z0-9!#$%&'*+.^_`|~-]+$",
      title: 'field name',
      examples: ['authorization'],
      description: 'The field that carries the token; in authorization after "Bearer".',
    }),
    cookie: Type.Optional(Text('A cookie that may carry it instead. Think of CSRF.')),
    query: Type.Optional(Text('A parameter that may carry it instead. URLs end up in logs: prefer a header.')),
    forward: Type.Optional(
      Type.Boolean({
        description:
          'Whether the upstream gets the token too. Default: one from a field, but not from a cookie or URL.',
      }),
    ),
    cacheTokens: Type.Integer({
      minimum: 0,
      maximum: 1_000_000,
      default: 4096,
      description: 'Verified tokens that each thread remembers, so that they are not verified again.',
    }),
  },
  'Tokens of an issuer (RFC 7519).',
);

type Decoded = StaticDecode<typeof ProviderSchema>;

export type ProviderOptions = Omit<Decoded, 'algorithms'> & { algorithms?: Algorithm[] };
export type JwtOptions = ProviderOptions & {
  providers?: ProviderOptions[];
  header: string;
  cookie?: string;
  query?: string;
  forward?: boolean;
  cacheTokens: number;
};

export default JwtSchema;
