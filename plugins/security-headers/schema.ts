/** How users write what browsers are told to be careful about. */
import Type, { type StaticDecode } from 'typebox';
import { complete } from '../../src/config/complete.ts';
import { Duration } from '../../src/config/units.ts';

const REFERRER_POLICIES = [
  'no-referrer',
  'no-referrer-when-downgrade',
  'origin',
  'origin-when-cross-origin',
  'same-origin',
  'strict-origin',
  'strict-origin-when-cross-origin',
  'unsafe-url',
] as const;

const SecurityHeadersObject = Type.Object(
  {
    noSniff: Type.Boolean({ default: true, description: 'X-Content-Type-Options: nosniff. Types are not guessed.' }),
    frameOptions: Type.Optional(
      Type.Enum(['deny', 'sameorigin'], { description: 'X-Frame-Options. Who may show it in a frame.' }),
    ),
    referrerPolicy: Type.Optional(
      Type.Enum([...REFERRER_POLICIES], { description: 'Referrer-Policy. What other sites learn of the address.' }),
    ),
    contentSecurityPolicy: Type.Optional(
      Type.String({ minLength: 1, description: 'Content-Security-Policy, as it is sent.' }),
    ),
    permissionsPolicy: Type.Optional(Type.String({ minLength: 1, description: 'Permissions-Policy, as it is sent.' })),
    crossOriginOpenerPolicy: Type.Optional(
      Type.Enum(['same-origin', 'same-origin-allow-popups', 'noopener-allow-popups', 'unsafe-none'], {
        description: 'Cross-Origin-Opener-Policy. Whether windows of other origins can reach it.',
      }),
    ),
    crossOriginEmbedderPolicy: Type.Optional(
      Type.Enum(['require-corp', 'credentialless', 'unsafe-none'], {
        description: 'Cross-Origin-Embedder-Policy. What of other origins it may embed.',
      }),
    ),
    crossOriginResourcePolicy: Type.Optional(
      Type.Enum(['same-origin', 'same-site', 'cross-origin'], {
        description: 'Cross-Origin-Resource-Policy. Who may embed it.',
      }),
    ),
    hsts: Type.Optional(
      Type.Object(
        {
          maxAge: Duration('How long.', '365d'),
          includeSubDomains: Type.Boolean({ default: false, description: 'All names below this one too.' }),
          preload: Type.Boolean({ default: false, description: 'May be built into browsers.' }),
        },
        {
          additionalProperties: false,
          description: 'Strict-Transport-Security, over TLS only. Browsers come back over TLS alone.',
        },
      ),
    ),
    override: Type.Boolean({
      default: false,
      description: 'Whether these replace what the service itself says under the same names.',
    }),
    removeBanners: Type.Boolean({
      default: true,
      description:
        'Removes what names the software behind: Server, X-Powered-By, X-AspNet-Version, X-AspNetMvc-Version.',
    }),
  },
  { additionalProperties: false },
);

export type SecurityHeadersConfig = StaticDecode<typeof SecurityHeadersObject>;

declare module '../../src/config/schema.ts' {
  interface RouteConcerns {
    securityHeaders: SecurityHeadersConfig | false;
  }
}

const On = Type.Codec(Type.Literal(true))
  .Decode(() => complete(SecurityHeadersObject, {}) as SecurityHeadersConfig)
  .Encode(() => true as const);

export default Type.Union([SecurityHeadersObject, On, Type.Literal(false)], {
  description: 'Tells browsers to be careful, and nobody what runs behind; true for the defaults.',
});
