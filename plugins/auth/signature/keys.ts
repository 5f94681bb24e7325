/** Verifies a signature with a consumer's key. The key says how, never the message (RFC 9421 §3.2, step 6). */
import { constants, createHmac, createPublicKey, timingSafeEqual, verify, type KeyObject } from 'node:crypto';
import type { SignatureKeyConfig } from '../../../src/config/schema.ts';

type Verify = (base: Buffer, signature: Buffer) => boolean;

const verifiers = new WeakMap<SignatureKeyConfig, Verify>();

/** @throws when the key is none, or does not fit its algorithm. */
export function verifierOf(key: SignatureKeyConfig): Verify {
  let known = verifiers.get(key);
  if (known === undefined) verifiers.set(key, (known = compile(key)));
  return known;
}

function compile({ algorithm, secret, publicKey }: SignatureKeyConfig): Verify {
  if (algorithm === 'hmac-sha256') {
    if (secret === undefined) throw new Error('hmac-sha256 needs a secret');
    return (base, signature) => {
      const expected = createHmac('sha256', secret).update(base).digest();
      return signature.length === expected.length && timingSafeEqual(signature, expected);
    };
  }
  if (publicKey === undefined) throw new Error(`${algorithm} needs a public key`);
  const key = createPublicKey(publicKey);
  const type = TYPES[algorithm];
  const curve = key.asymmetricKeyDetails?.namedCurve;
  if (key.asymmetricKeyType !== type.kty || (type.curve !== undefined && curve !== type.curve)) {
    throw new Error(
      `${algorithm} needs a key of type ${type.curve ?? type.kty}, not ${curve ?? key.asymmetricKeyType}`,
    );
  }
  return type.verify(key);
}

const ecdsa =
  (digest: string) =>
  (key: KeyObject): Verify => {
    return (base, signature) => verify(digest, base, { key, dsaEncoding: 'ieee-p1363' }, signature);
  };

const TYPES = {
  ed25519: {
    kty: 'ed25519',
    curve: undefined,
    verify:
      (key: KeyObject): Verify =>
      (base, signature) =>
        verify(null, base, key, signature),
  },
  'ecdsa-p256-sha256': { kty: 'ec', curve: 'prime256v1', verify: ecdsa('sha256') },
  'ecdsa-p384-sha384': { kty: 'ec', curve: 'secp384r1', verify: ecdsa('sha384') },
  'rsa-pss-sha512': {
    kty: 'rsa',
    curve: undefined,
    verify: (key: KeyObject): Verify => {
      const options = { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 64 };
      return (base, signature) => verify('sha512', base, options, signature);
    },
  },
} as const;
