/** Tokens that are bound to their client (RFC 7800): whoever has stolen one has nothing. They are no bearer tokens. */
import type { ClientCertificate } from '../../../src/data/client-certificate.ts';
import type { Refusal } from '../refusal.ts';
import type { JsonObject } from '../token-json.ts';
import { invalidToken } from '../bearer-refusals.ts';

const CERTIFICATE = invalidToken('the token is bound to another certificate than the client shows');
const PROOF = invalidToken(
  'the token is bound to a key of the client: it needs a proof (DPoP), which is not supported',
);

/** @returns why it is not this client's; undefined when it is, or is anybody's. */
export function judgeBinding(
  { cnf }: JsonObject,
  client: { readonly certificate: ClientCertificate | undefined },
): Refusal | undefined {
  if (typeof cnf !== 'object' || cnf === null) return undefined;
  const { 'x5t#S256': thumbprint, jkt } = cnf as JsonObject;
  // RFC 9449 §7.2: as a bearer token it would be worth what its proof was meant to prevent.
  if (jkt !== undefined) return PROOF;
  if (thumbprint === undefined) return undefined;
  const { fingerprint256 } = client.certificate ?? {};
  // RFC 8705 §3: of the connection that the token came on.
  const isShown =
    fingerprint256 !== undefined && Buffer.from(fingerprint256, 'hex').toString('base64url') === thumbprint;
  return isShown ? undefined : CERTIFICATE;
}
