/**
 * Whom an https endpoint must prove to be, and how we prove who we are: the same for requests and for health checks. The
 * name asked for is the endpoint's, never the client's Host.
 */
import { readFileSync } from 'node:fs';
import { createSecureContext, type ConnectionOptions, type PeerCertificate } from 'node:tls';
import ipaddr from 'ipaddr.js';
import type { UpstreamTlsConfig } from '../config/schema.ts';
import { subjectAltNames, type SubjectAltName } from '../subject-alt-names.ts';

/** @param host of the endpoint, as URLs have it. @throws when a file cannot be read or used. */
export function upstreamTls(host: string, config: UpstreamTlsConfig | undefined): ConnectionOptions {
  const isAddress = host.startsWith('[') || /^[\d.]+$/.test(host);
  return { servername: isAddress ? '' : host, ...poolTls(config) };
}

/**
 * Its files are read and parsed here, once for all connections.
 * @returns without a name to ask for, unless the configuration has one.
 * @throws when a file cannot be read or used.
 */
export function poolTls(config: UpstreamTlsConfig | undefined): ConnectionOptions {
  const { ca, cert, key, serverName, subjectAltNames: pins, minVersion = '1.2', verify = true } = config ?? {};
  const read = (file: string | undefined) => (file === undefined ? undefined : readFileSync(file));
  const pinned = pins?.map(parsePin);
  return {
    rejectUnauthorized: verify,
    secureContext: createSecureContext({
      ca: read(ca),
      cert: read(cert),
      key: read(key),
      minVersion: `TLSv${minVersion}`,
    }),
    ...(serverName === undefined ? {} : { servername: serverName }),
    ...(pinned === undefined ? {} : { checkServerIdentity: (_, certificate) => mismatch(certificate, pinned) }),
  };
}

/** `DNS:a.internal`, `URI:spiffe://…`, `IP:10.0.0.1`; of one without a type it is plain to see. */
export function parsePin(written: string): SubjectAltName {
  const [, type, rest = written] = /^(DNS|URI|IP):(.*)$/.exec(written) ?? [];
  if (type === 'URI' || (type === undefined && rest.includes('://'))) return { type: 'URI', value: rest };
  const isAddress = ipaddr.isValid(rest);
  if (type === 'IP' || (type === undefined && isAddress)) {
    return { type: 'IP', value: isAddress ? ipaddr.parse(rest).toString() : rest };
  }
  return { type: 'DNS', value: rest.toLowerCase() };
}

/** In the words of Node's own check, so that nobody has to tell the two apart. */
function mismatch(certificate: PeerCertificate, pinned: readonly SubjectAltName[]): Error | undefined {
  const shown = subjectAltNames(certificate.subjectaltname);
  if (pinned.some((pin) => shown.some((name) => isSame(pin, name)))) return undefined;
  const reason = `none of the names in the certificate is in tls.subjectAltNames: ${certificate.subjectaltname ?? 'it has none'}`;
  return Object.assign(new Error(reason), { code: 'ERR_TLS_CERT_ALTNAME_INVALID' });
}

/** Only host names have no case. */
function isSame(pin: SubjectAltName, { type, value }: SubjectAltName): boolean {
  return type === pin.type && (type === 'DNS' ? value.toLowerCase() : value) === pin.value;
}
