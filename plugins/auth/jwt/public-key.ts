/** Public keys, as files and as JWK sets (RFC 7517) hold them: those that may verify, and what. */
import { createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto';
import { algorithmsOf, type Algorithm } from '../../../src/config/signature-algorithms.ts';
import type { KeyMaterial } from './verifiers.ts';

export interface SigningKey extends KeyMaterial {
  readonly kid: string | undefined;
}

/** Each is a verifier to be built; issuers have a handful. */
const MOST_KEYS = 100;

/** @throws Error with a sentence for a key that cannot be used. */
export function keyFromPem(pem: string, accepted: readonly Algorithm[]): SigningKey {
  if (pem.includes('PRIVATE KEY-----')) throw new Error('holds a private key: give the public one');
  let key: KeyObject;
  try {
    key = createPublicKey(pem);
  } catch {
    throw new Error('holds no public key or certificate in PEM');
  }
  const fitting = algorithmsOf(key);
  if (fitting.length === 0)
    throw new Error('holds a key that is too weak, too large, or of a kind that signs no tokens');
  const algorithms = fitting.filter((algorithm) => accepted.includes(algorithm));
  if (algorithms.length === 0) throw new Error(`holds a key for ${fitting.join(', ')}, none of which is accepted`);
  return signingKey(key, undefined, algorithms);
}

/** The keys of the set that may be used; empty when there is none. @throws when it is no JWK set. */
export function keysFromSet(text: string, accepted: readonly Algorithm[]): SigningKey[] {
  const { keys } = JSON.parse(text) as { keys?: unknown };
  if (!Array.isArray(keys)) throw new Error('no list of keys');
  if (keys.length > MOST_KEYS) throw new Error(`more than ${MOST_KEYS} keys`);
  return keys.flatMap((jwk: unknown) => keyFromJwk(jwk, accepted) ?? []);
}

interface Jwk extends JsonWebKey {
  kid?: string;
  alg?: string;
  use?: string;
  key_ops?: unknown;
}

/** What its owner did not mean for verifying is not used for it, nor what everybody could sign with. */
function keyFromJwk(value: unknown, accepted: readonly Algorithm[]): SigningKey | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const jwk = value as Jwk;
  const { kid, alg, use, key_ops: operations } = jwk;
  const isForSignatures = use === undefined || use === 'sig';
  const mayVerify = operations === undefined || (Array.isArray(operations) && operations.includes('verify'));
  const isPublic = jwk.kty !== 'oct' && jwk.d === undefined;
  if (!isForSignatures || !mayVerify || !isPublic || (kid !== undefined && typeof kid !== 'string')) return undefined;
  let key: KeyObject;
  try {
    key = createPublicKey({ format: 'jwk', key: jwk });
  } catch {
    return undefined;
  }
  const algorithms = algorithmsOf(key).filter(
    (algorithm) => accepted.includes(algorithm) && (alg === undefined || alg === algorithm),
  );
  return algorithms.length === 0 ? undefined : signingKey(key, kid, algorithms);
}

function signingKey(key: KeyObject, kid: string | undefined, algorithms: readonly Algorithm[]): SigningKey {
  return { key: key.export({ type: 'spki', format: 'pem' }) as string, isSecret: false, kid, algorithms };
}
