/** Signature algorithms (RFC 7518 §3, RFC 8037), and which keys they may be used with. */
import type { KeyObject } from 'node:crypto';

export const ALGORITHMS = [
  'HS256',
  'HS384',
  'HS512',
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
] as const;
export type Algorithm = (typeof ALGORITHMS)[number];

export const isSymmetric = (algorithm: Algorithm): boolean => algorithm.startsWith('HS');

/** RFC 7518 §3.2: a secret is at least as long as what the hash puts out. */
export const secretBytes = (algorithm: Algorithm): number => Number(algorithm.slice(2)) / 8;

const CURVES: Readonly<Record<string, Algorithm>> = { prime256v1: 'ES256', secp384r1: 'ES384', secp521r1: 'ES512' };
const RSA = ALGORITHMS.filter((algorithm) => algorithm.startsWith('RS') || algorithm.startsWith('PS'));
const RSA_PSS = ALGORITHMS.filter((algorithm) => algorithm.startsWith('PS'));

/** RFC 7518 §3.3. */
const FEWEST_RSA_BITS = 2048;
/** A larger one only costs whoever verifies with it. */
const MOST_RSA_BITS = 8192;

/** What a public key may verify; empty for keys that nothing may be verified with. */
export function algorithmsOf(key: KeyObject): readonly Algorithm[] {
  const { modulusLength = 0, publicExponent = 0n, namedCurve = '' } = key.asymmetricKeyDetails ?? {};
  switch (key.asymmetricKeyType) {
    case 'rsa':
    case 'rsa-pss': {
      // With an exponent of 1 whatever is sent verifies.
      const isSound = modulusLength >= FEWEST_RSA_BITS && modulusLength <= MOST_RSA_BITS && publicExponent >= 3n;
      if (!isSound) return [];
      return key.asymmetricKeyType === 'rsa' ? RSA : RSA_PSS;
    }
    case 'ec': {
      const algorithm = CURVES[namedCurve];
      return algorithm === undefined ? [] : [algorithm];
    }
    case 'ed25519':
    case 'ed448':
      return ['EdDSA'];
    default:
      return [];
  }
}
