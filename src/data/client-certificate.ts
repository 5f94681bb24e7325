/** What the gateway knows of a client's certificate, wherever it was shown: in the handshake, or to a trusted proxy. */
import type { X509Certificate } from 'node:crypto';
import ipaddr from 'ipaddr.js';

export interface SubjectAltName {
  readonly type: 'DNS' | 'URI' | 'email' | 'IP';
  /** Of an address, its canonical text; else as the certificate has it. */
  readonly value: string;
}

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

/** Node: `DNS:a.test, URI:"spiffe://a, b", IP Address:10.0.0.1`; what could be misread is in quotes, as in JSON. */
const ALT_NAME = /(?:^|, )([A-Za-z ]+):("(?:[^"\\]|\\.)*"|[^",]*)(?=, |$)/y;
const ALT_NAME_TYPES: ReadonlyMap<string, SubjectAltName['type']> = new Map([
  ['DNS', 'DNS'],
  ['URI', 'URI'],
  ['email', 'email'],
  ['IP Address', 'IP'],
]);

/** @returns those of the types above. Of a list that cannot be read to its end, none. */
export function subjectAltNames(text: string | undefined): SubjectAltName[] {
  if (text === undefined) return [];
  const names: SubjectAltName[] = [];
  ALT_NAME.lastIndex = 0;
  for (let end = 0; end < text.length; end = ALT_NAME.lastIndex) {
    const [, label = '', written = ''] = ALT_NAME.exec(text) ?? [];
    if (label === '') return [];
    const type = ALT_NAME_TYPES.get(label);
    const value = type === undefined ? undefined : valueOf(type, written);
    if (type !== undefined && value !== undefined) names.push({ type, value });
  }
  return names;
}

function valueOf(type: SubjectAltName['type'], written: string): string | undefined {
  const value = written.startsWith('"') ? unquoted(written) : written;
  if (type !== 'IP' || value === undefined) return value;
  return ipaddr.isValid(value) ? ipaddr.parse(value).toString() : undefined;
}

function unquoted(written: string): string | undefined {
  try {
    return JSON.parse(written) as string;
  } catch {
    return undefined;
  }
}
