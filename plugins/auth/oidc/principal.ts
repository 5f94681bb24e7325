/** Whom claims are about: those of an ID token, and those that the issuer says of a token it was asked about. */
import type { ConsumerDirectory } from '../../../src/data/consumers.ts';
import type { Principal } from '../../../src/data/principal.ts';
import { describes, scopesOf, textsOf } from '../token-claims.ts';
import { memberAt, type JsonObject } from '../token-json.ts';
import type { OidcOptions } from './schema.ts';

export type ClaimNames = Pick<OidcOptions, 'consumerClaim' | 'groupsClaim' | 'scopesClaim'>;

export interface Proven {
  readonly claims: JsonObject;
  readonly subject: string;
  /** What the issuer has granted. */
  readonly scope: string;
  readonly ambient: boolean;
}

export function principalOf(
  { claims, subject, scope, ambient }: Proven,
  { consumerClaim, groupsClaim = 'groups', scopesClaim }: ClaimNames,
  consumers: ConsumerDirectory,
): Principal {
  const name = consumerClaim === undefined ? undefined : memberAt(claims, consumerClaim);
  const consumer =
    consumerClaim === undefined
      ? consumers.byToken((token) => describes(token, claims))
      : typeof name === 'string'
        ? consumers.byName(name)
        : undefined;
  return {
    method: 'oidc',
    subject,
    consumer,
    groups: [
      ...new Set([
        ...(consumer?.groups ?? []),
        ...(groupsClaim === false ? [] : textsOf(memberAt(claims, groupsClaim))),
      ]),
    ],
    scopes: scopesClaim === undefined ? scopesOf({ scope }, 'scope') : scopesOf(claims, scopesClaim),
    claims,
    ambient,
  };
}
