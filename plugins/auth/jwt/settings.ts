/** Options as they were written → what each issuer's tokens are held to, with every default in its place. */
import type { Algorithm } from '../../../src/config/signature-algorithms.ts';
import type { ClaimRules } from './claims.ts';
import type { JwtOptions, ProviderOptions } from './schema.ts';

/** Where the keys come from. */
export type KeySource =
  | { readonly kind: 'published'; readonly url: string; readonly isDiscovery: boolean }
  | { readonly kind: 'public'; readonly pem: string }
  | { readonly kind: 'secret'; readonly secret: string };

export interface ProviderSettings {
  readonly algorithms: readonly Algorithm[];
  readonly source: KeySource;
  readonly typ: string | undefined;
  readonly rules: ClaimRules;
  readonly consumerClaim: string | undefined;
  readonly groupsClaim: string | false;
}

const DEFAULT_CLOCK_TOLERANCE_MS = 30_000;

/** Each issuer's options: those beside `providers` hold for all of them. */
export function providersOf(options: JwtOptions): readonly ProviderOptions[] {
  const { providers, ...shared } = options;
  return providers === undefined ? [shared] : providers.map((provider) => ({ ...shared, ...provider }));
}

export function algorithmsOf({ algorithms, secret }: ProviderOptions): readonly Algorithm[] {
  return algorithms ?? (secret === undefined ? ['RS256', 'PS256', 'ES256', 'EdDSA'] : ['HS256']);
}

/** The URL that the control plane fetches for it; undefined where the keys are written down. */
export function documentOf({ jwksUri, discovery, issuer }: ProviderOptions): string | undefined {
  if (discovery !== true || issuer === undefined) return jwksUri;
  // OpenID Connect Discovery 1.0 §4: a slash at the end of the issuer is not doubled.
  return `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`;
}

/** Of options that were checked. */
export function settingsOf(options: ProviderOptions): ProviderSettings {
  const { issuer, audience, claims = {}, maxAge } = options;
  const required = options.requiredClaims ?? ['exp'];
  return {
    algorithms: algorithmsOf(options),
    source: sourceOf(options),
    typ: options.typ?.toLowerCase().replace(/^application\//, ''),
    consumerClaim: options.consumerClaim,
    groupsClaim: options.groupsClaim ?? 'groups',
    rules: {
      issuer,
      audience: audience === undefined ? [] : [audience].flat(),
      clockToleranceMs: options.clockTolerance ?? DEFAULT_CLOCK_TOLERANCE_MS,
      requiredClaims: maxAge === undefined ? required : [...required, 'iat'],
      maxAgeMs: maxAge,
      scopes: options.scopes ?? [],
      claims: Object.entries(claims).map(([name, value]) => [name, [value].flat()]),
      scopesClaim: options.scopesClaim ?? 'scope',
    },
  };
}

function sourceOf(options: ProviderOptions): KeySource {
  const { publicKey, secret, discovery = false } = options;
  if (secret !== undefined) return { kind: 'secret', secret };
  if (publicKey !== undefined) return { kind: 'public', pem: publicKey };
  return { kind: 'published', url: documentOf(options)!, isDiscovery: discovery };
}
