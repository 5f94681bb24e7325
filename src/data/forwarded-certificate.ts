/**
 * The client certificate that a trusted proxy has seen and says so: `Client-Cert` (RFC 9440) or Envoy's
 * `x-forwarded-client-cert`. Whoever asks must have made sure that the peer is trusted: anybody can write these fields.
 */
import { X509Certificate } from 'node:crypto';
import { GatewayError } from '../errors.ts';
import type { SubjectAltName } from '../subject-alt-names.ts';
import { describeCertificate, type ClientCertificate } from './client-certificate.ts';
import type { RequestHead } from './head.ts';

/** @returns undefined when the proxy names none. @throws GatewayError when what it says cannot be read with certainty. */
export function forwardedCertificate({
  clientCert,
  xfcc,
}: Partial<Pick<RequestHead, 'clientCert' | 'xfcc'>>): ClientCertificate | undefined {
  if (clientCert !== undefined) return fromClientCert(clientCert);
  return xfcc === undefined ? undefined : fromXfcc(xfcc);
}

// --- RFC 9440 §2.2: one byte sequence (RFC 8941 §3.3.5), the certificate as DER ---

function fromClientCert(field: string): ClientCertificate {
  const base64 = /^:([A-Za-z0-9+/]+={0,2}):$/.exec(field.trim())?.[1];
  if (base64 === undefined) throw malformed('Client-Cert is not one byte sequence');
  const der = Buffer.from(base64, 'base64');
  const certificate = parse(der, 'Client-Cert');
  // Neither PEM nor anything behind the certificate.
  if (!certificate.raw.equals(der)) throw malformed('Client-Cert holds more than one certificate in DER');
  return describeCertificate(certificate, true);
}

// --- Envoy: elements by comma, of pairs by semicolon, of KEY=VALUE; values may be quoted ---

type Pair = readonly [key: string, value: string];

/** Of several proxies each adds an element: the last is by the one that we know, about whom it spoke to. */
function fromXfcc(field: string): ClientCertificate {
  const pairs = parseXfcc(field).at(-1)!;
  const hash = only(pairs, 'hash')?.toLowerCase();
  if (hash !== undefined && !/^[0-9a-f]{64}$/.test(hash))
    throw malformed('the Hash of X-Forwarded-Client-Cert is no SHA-256');
  const pem = only(pairs, 'cert');
  if (pem !== undefined) return fromPem(pem, hash);
  if (hash === undefined) throw malformed('X-Forwarded-Client-Cert has neither Cert nor Hash');
  return {
    subject: only(pairs, 'subject') ?? '',
    subjectAltNames: pairs.flatMap(altName),
    fingerprint256: hash,
    serialNumber: '',
    issuer: '',
    verified: true,
  };
}

function fromPem(encoded: string, hash: string | undefined): ClientCertificate {
  const described = describeCertificate(parse(decoded(encoded), 'X-Forwarded-Client-Cert'), true);
  const isSame = hash === undefined || hash === described.fingerprint256;
  if (!isSame) throw malformed('Cert and Hash of X-Forwarded-Client-Cert are of two certificates');
  return described;
}

function altName([key, value]: Pair): SubjectAltName[] {
  if (value === '') return [];
  return key === 'uri' ? [{ type: 'URI', value }] : key === 'dns' ? [{ type: 'DNS', value }] : [];
}

function only(pairs: readonly Pair[], key: string): string | undefined {
  const [first, second] = pairs.filter(([name]) => name === key);
  if (second !== undefined) throw malformed(`X-Forwarded-Client-Cert has '${key}' twice`);
  return first?.[1];
}

const PAIR = /\s*([A-Za-z]+)=(?:"((?:[^"\\]|\\.)*)"|([^",;]*))([,;]|$)/y;

/** At least one element. */
function parseXfcc(field: string): Pair[][] {
  const elements: Pair[][] = [[]];
  PAIR.lastIndex = 0;
  for (let end = 0; end < field.length; end = PAIR.lastIndex) {
    const [, key, quoted, plain, separator] = PAIR.exec(field) ?? [];
    if (key === undefined) throw malformed('X-Forwarded-Client-Cert is not a list of KEY=VALUE');
    const value = quoted === undefined ? plain!.trim() : quoted.replaceAll(/\\(.)/g, '$1');
    elements.at(-1)!.push([key.toLowerCase(), value]);
    if (separator === ',') elements.push([]);
  }
  return elements;
}

function decoded(encoded: string): string {
  try {
    return decodeURIComponent(encoded);
  } catch {
    throw malformed('the Cert of X-Forwarded-Client-Cert is not URL-encoded');
  }
}

function parse(bytes: Buffer | string, where: string): X509Certificate {
  try {
    return new X509Certificate(bytes);
  } catch {
    throw malformed(`${where} holds no certificate that can be read`);
  }
}

function malformed(detail: string): GatewayError {
  return new GatewayError('http_request_error', detail, { status: 400, detail, close: true });
}
