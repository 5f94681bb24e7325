/** What the gateway knows of a client's certificate, wherever it was shown: in the handshake, or to a trusted proxy. */
import type { X509Certificate } from 'node:crypto';
import { subjectAltNames, type SubjectAltName } from '../subject-alt-names.ts';

export interface ClientCertificate {
  /** RFC 4514: `CN=mobile,O=Example`. Empty when there is none, or when a proxy did not say. */
  readonly subject: string;
  readonly subjectAltNames: readonly SubjectAltName[];
  /** SHA-256 of the whole, in lower-case hex. */
  readonly fingerprint256: string;
  /** Lower-case hex. Empty when a proxy did not say. */
  readonly serialNumber: string;
  /** As `subject`. */
  readonly issuer: string;
  /** Whether it goes back to the listener's `clientCa`, or, by a trusted proxy, to what that one trusts. */
  readonly verified: boolean;
}

export function describeCertificate(certificate: X509Certificate, verified: boolean): ClientCertificate {
  return {
    subject: distinguishedName(certificate.subject),
    subjectAltNames: subjectAltNames(certificate.subjectAltName),
    fingerprint256: hex(certificate.fingerprint256),
    serialNumber: certificate.serialNumber.toLowerCase(),
    issuer: distinguishedName(certificate.issuer),
    verified,
  };
}

const hex = (fingerprint: string) => fingerprint.replaceAll(':', '').toLowerCase();

/** Node has a line for each part, escaped as RFC 4514 wants it, in the certificate's order: the text has the reverse. */
function distinguishedName(lines: string | undefined): string {
  return lines === undefined ? '' : lines.split('\n').reverse().join(',');
}
