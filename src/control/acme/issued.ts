/** A certificate that an authority has issued, with its key: how it is kept, and whether it is what was ordered. */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { subjectAltNames } from '../../subject-alt-names.ts';

export interface Issued {
  /** PEM, the certificate first. */
  readonly chain: string;
  /** PEM. */
  readonly key: string;
  /** Milliseconds since the epoch. */
  readonly validFrom: number;
  readonly validTo: number;
}

/** @throws when it could not be shown to clients of these domains. */
export function readIssued(
  { chain, key }: { readonly chain?: unknown; readonly key?: unknown },
  domains: readonly string[],
): Issued {
  if (typeof chain !== 'string' || typeof key !== 'string') throw new Error('there is no certificate with its key');
  const certificate = new X509Certificate(chain);
  if (!certificate.checkPrivateKey(createPrivateKey(key))) throw new Error('the key is not that of the certificate');
  const names = new Set(
    subjectAltNames(certificate.subjectAltName).map(({ type, value }) => (type === 'DNS' ? value.toLowerCase() : '')),
  );
  const missing = domains.find((domain) => !names.has(domain));
  if (missing !== undefined) throw new Error(`the certificate is not for ${missing}`);
  return { chain, key, validFrom: certificate.validFromDate.getTime(), validTo: certificate.validToDate.getTime() };
}
