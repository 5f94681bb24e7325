/** How users write who may call: methods by their names, and what holds for all of them. */
import Type from 'typebox';
import { Duration } from '../../src/config/units.ts';
import { object } from '../../src/config/shapes.ts';
import ForwardAuthSchema, { type ForwardAuthOptions } from './forward-auth/schema.ts';
import ApiKeySchema, { type ApiKeyOptions } from './api-key/schema.ts';
import JwtSchema, { type JwtOptions } from './jwt/schema.ts';
import BasicSchema, { type BasicOptions } from './basic/schema.ts';

import MtlsSchema, { type MtlsOptions } from './mtls/schema.ts';
import OidcSchema, { type OidcOptions } from './oidc/schema.ts';
import SignatureSchema, { type SignatureOptions } from './signature/schema.ts';

const FailuresSchema = object(
  {
    max: Type.Integer({ minimum: 1, default: 20, description: 'Refused credentials from one address …' }),
    per: Duration('… within this time; then it is not listened to any more (429).', '1m'),
  },
  'How often one client may guess.',
);

export interface AuthConfig {
  optional: boolean;
  failures: { max: number; per: number } | false;
  apiKey?: ApiKeyOptions;
  forwardAuth?: ForwardAuthOptions;
  signature?: SignatureOptions;
  mtls?: MtlsOptions;
  jwt?: JwtOptions;
  basic?: BasicOptions;
  oidc?: OidcOptions;
}

declare module '../../src/config/schema.ts' {
  interface RouteConcerns {
    auth: AuthConfig | false;
  }
}

const AuthSchema = Type.Object(
  {
    apiKey: Type.Optional(ApiKeySchema),
    signature: Type.Optional(SignatureSchema),
    mtls: Type.Optional(MtlsSchema),
    forwardAuth: Type.Optional(ForwardAuthSchema),
    jwt: Type.Optional(JwtSchema),
    basic: Type.Optional(BasicSchema),
    oidc: Type.Optional(OidcSchema),
    optional: Type.Boolean({ default: false, description: 'Requests without credentials pass too.' }),
    failures: Type.Union([FailuresSchema, Type.Literal(false)], {
      default: {},
      description: 'Bounds guessing; false for no bound.',
    }),
  },
  { additionalProperties: false },
);

export default Type.Union([AuthSchema, Type.Literal(false)], {
  description:
    'Who may call. Of several methods the one whose credentials the request carries decides; none carried is 401.',
});
