/** A new key and the request that an authority signs for it (PKCS #10, RFC 2986). */
import { createPublicKey, generateKeyPair, sign, type KeyObject } from 'node:crypto';
import { promisify } from 'node:util';
import type { AcmeConfig } from '../../config/acme-schema.ts';

const SIGNATURES = {
  ec256: { hash: 'sha256', algorithm: '1.2.840.10045.4.3.2' },
  ec384: { hash: 'sha384', algorithm: '1.2.840.10045.4.3.3' },
  rsa2048: { hash: 'sha256', algorithm: '1.2.840.113549.1.1.11' },
  rsa4096: { hash: 'sha256', algorithm: '1.2.840.113549.1.1.11' },
} as const;

/** RFC 2985 §5.4.2: extensions that the certificate is to have. */
const EXTENSION_REQUEST = '1.2.840.113549.1.9.14';

const generate = promisify(generateKeyPair);

export async function newKey(keyType: AcmeConfig['keyType']): Promise<KeyObject> {
  if (keyType === 'ec256') return (await generate('ec', { namedCurve: 'P-256' })).privateKey;
  if (keyType === 'ec384') return (await generate('ec', { namedCurve: 'P-384' })).privateKey;
  return (await generate('rsa', { modulusLength: keyType === 'rsa2048' ? 2048 : 4096 })).privateKey;
}

/** @returns DER. The names are in the extension alone: a subject has been of no use since RFC 2818. */
export async function certificateRequest(domains: readonly string[], key: KeyObject, keyType: AcmeConfig['keyType']) {
  // Loaded here: most gateways never ask, and the others once in weeks.
  const [{ AsnConvert, OctetString }, x509, pkcs10] = await Promise.all([
    import('@peculiar/asn1-schema'),
    import('@peculiar/asn1-x509'),
    import('@peculiar/asn1-csr'),
  ]);
  const names = new x509.SubjectAlternativeName(domains.map((dNSName) => new x509.GeneralName({ dNSName })));
  const extension = new x509.Extension({
    extnID: x509.id_ce_subjectAltName,
    extnValue: new OctetString(AsnConvert.serialize(names)),
  });
  const wanted = new x509.Attribute({
    type: EXTENSION_REQUEST,
    values: [AsnConvert.serialize(new x509.Extensions([extension]))],
  });
  const publicKey = createPublicKey(key).export({ type: 'spki', format: 'der' });
  const info = new pkcs10.CertificationRequestInfo({
    subjectPKInfo: AsnConvert.parse(publicKey, x509.SubjectPublicKeyInfo),
    attributes: new pkcs10.Attributes([wanted]),
  });
  const { hash, algorithm } = SIGNATURES[keyType];
  const signature = sign(hash, Buffer.from(AsnConvert.serialize(info)), key);
  const request = new pkcs10.CertificationRequest({
    certificationRequestInfo: info,
    signatureAlgorithm: new x509.AlgorithmIdentifier({
      algorithm,
      ...(keyType.startsWith('rsa') && { parameters: null }),
    }),
    signature: new Uint8Array(signature).buffer,
  });
  return Buffer.from(AsnConvert.serialize(request));
}
