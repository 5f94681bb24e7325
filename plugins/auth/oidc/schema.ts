/** How users write which OpenID provider a route trusts, how its sessions are kept, and where they begin and end. */
import Type, { type StaticDecode } from 'typebox';
import { object, oneOrMany, Text } from '../../../src/config/shapes.ts';
import { Duration } from '../../../src/config/units.ts';

const CookieSchema = object(
  {
    name: Type.String({
      default: 'aya-session',
      pattern: "^[A-Za-z0-9!#$%&'*+.^`|~-][A-Za-z0-9!#$%&'*+.^_`|~-]*$",
      maxLength: 64,
      title: 'cookie name',
      examples: ['aya-session'],
      description: 'Its name; where TLS is spoken __Host- (with a domain __Secure-) stands before it.',
    }),
    secret: Text('What sessions are encrypted with, 32 bytes or more: ${file:/run/secrets/session}.'),
    previousSecret: Type.Optional(Text('The one before: sessions that it has encrypted go on. For rotation.')),
    domain: Type.Optional(Text('Shares sessions with all hosts below it: example.com. Default: this host alone.')),
    sameSite: Type.Enum(['lax', 'none'], {
      default: 'lax',
      description: 'none for pages that other sites embed; then turn on csrf.',
    }),
    maxAge: Duration('How long a session may last, however busy.', '8h'),
    idle: Duration('How long it may last without a request.', '1h'),
  },
  'The cookie that is the session: encrypted, so that nothing is stored and every gateway with the secret can read it.',
);

const IntrospectionSchema = object(
  {
    cacheFor: Duration('How long an answer is remembered at most; that is how late a revocation can be seen.', '30s'),
    audience: Type.Optional(
      oneOrMany(
        Text('A name of this service.'),
        'One of them must be in aud. Left out, tokens for any service of the issuer are accepted.',
      ),
    ),
  },
  'Bearer tokens too: the issuer is asked about each (RFC 7662).',
);

const Claim = (description: string) => Type.Optional(Text(description));

const OidcSchema = object(
  {
    issuer: Text('The provider, as it names itself. Its /.well-known/openid-configuration says everything else.'),
    clientId: Text('The client that is registered there for this gateway.'),
    clientSecret: Type.Optional(Text('${file:/run/secrets/oidc}. Left out: a public client; PKCE protects all.')),
    clientAuthentication: Type.Enum(['basic', 'post'], {
      default: 'basic',
      description: 'How the secret is sent: client_secret_basic or client_secret_post.',
    }),
    scopes: Type.Array(
      Type.String({ pattern: '^[!#-[\\]-~]+$', title: 'scope', examples: ['openid'], description: 'A scope.' }),
      { default: ['openid', 'profile', 'email'], description: 'What is asked for at login; openid is needed.' },
    ),
    authorizationParameters: Type.Record(Type.String(), Type.String(), {
      default: {},
      description: 'More of it: prompt, acr_values, resource …',
    }),
    login: Type.Boolean({
      default: true,
      description: 'Sends browsers without a session to the login. false: 401, for APIs that pages call.',
    }),
    path: Type.String({
      default: '/oidc',
      pattern: '^/',
      title: 'path',
      examples: ['/oidc', '/shop/oidc'],
      description:
        'Has /callback (register it with the provider), /login and /logout below it. The route must match it.',
    }),
    origin: Type.Optional(
      Text('https://shop.example.com, where it is not what this gateway is asked by: TLS ends before it.'),
    ),
    afterLogout: Type.Optional(
      Type.String({
        pattern: '^/',
        title: 'path',
        examples: ['/goodbye'],
        description:
          'Where the provider is to send browsers then; register its URL there. Default: the provider’s page.',
      }),
    ),
    cookie: Type.Optional(CookieSchema),
    introspection: Type.Union([IntrospectionSchema, Type.Literal(false)], {
      default: false,
      description: 'Bearer tokens that the issuer is asked about; false: none are accepted.',
    }),
    forward: Type.Optional(
      Type.Enum(['access-token', 'id-token', 'none'], {
        description:
          'What the upstream gets in Authorization. Default: a bearer token as it came, of sessions nothing.',
      }),
    ),
    consumerClaim: Claim('The claim that names the consumer. Default: consumers say which tokens are theirs.'),
    groupsClaim: Type.Optional(
      Type.Union([Text('The claim that lists groups.'), Type.Literal(false)], {
        description: 'The claim that lists groups, or false: only the consumer’s count. Default: groups.',
      }),
    ),
    scopesClaim: Claim('The claim that lists scopes. Default: what the issuer has granted.'),
  },
  'Logins at an OpenID provider, and tokens that only it can read.',
);

export type CookieOptions = StaticDecode<typeof CookieSchema>;
export type IntrospectionOptions = StaticDecode<typeof IntrospectionSchema>;
export type OidcOptions = StaticDecode<typeof OidcSchema>;

export default OidcSchema;
