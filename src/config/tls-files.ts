/**
 * What the files of a listener's `tls` hold. The control plane reads them, once for each change, and hands the contents to
 * the threads: one that starts later must not depend on what stands on the disk then.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { hashOf } from './read.ts';
import type { Config, ListenerConfig, ListenerTlsConfig } from './schema.ts';

/** PEM; OCSP responses DER. */
export interface TlsFiles {
  readonly certificates: readonly { readonly cert: string; readonly key: string; readonly ocsp?: Uint8Array }[];
  readonly clientCa: string | undefined;
  readonly digest: string;
}

/** @throws when one of them cannot be read. */
export function readTlsFiles({ certificates: files, clientCa: caFile }: ListenerTlsConfig): TlsFiles {
  const read = (file: string) => readFileSync(file, 'utf8');
  const certificates = files.map(({ cert, key, ocsp }) => ({
    cert: read(cert),
    key: read(key),
    ...(ocsp && { ocsp: readFileSync(ocsp) }),
  }));
  const clientCa = caFile === undefined ? undefined : read(caFile);
  const contents = certificates.flatMap(({ cert, key, ocsp }) =>
    ocsp === undefined ? [cert, key] : [cert, key, ocsp],
  );
  return { certificates, clientCa, digest: digestOf(clientCa === undefined ? contents : [...contents, clientCa]) };
}

/**
 * Those that were checked when the configuration was loaded.
 * @param held what serves now.
 * @throws when they cannot be read, or have changed since.
 */
export function checkedTlsFiles({ tls, tlsDigest }: ListenerConfig, held: TlsFiles | undefined): TlsFiles | undefined {
  if (tls === undefined) return undefined;
  if (held !== undefined && held.digest === tlsDigest) return held;
  const files = readTlsFiles(tls);
  if (tlsDigest !== undefined && files.digest !== tlsDigest)
    throw new Error('the files of a listener have changed while they were read');
  return files;
}

/** The same with one that was ordered: behind the others, before those who ask for no name if there is no other. */
export function withIssued(files: TlsFiles, issued: { readonly chain: string; readonly key: string }): TlsFiles {
  const { chain: cert, key } = issued;
  return { ...files, certificates: [...files.certificates, { cert, key }], digest: digestOf([files.digest, cert]) };
}

/** Digests of every certificate, key and authority that a configuration names, by full path; of what is gone, ''. */
export function tlsFileDigests({ gateway, pools }: Config): Map<string, string> {
  const listeners = gateway.listen.flatMap(({ tls }) =>
    tls === undefined ? [] : [...tls.certificates.flatMap(({ cert, key, ocsp }) => [cert, key, ocsp]), tls.clientCa],
  );
  const upstreams = pools.flatMap(({ tls }) => [tls?.ca, tls?.cert, tls?.key]);
  const paths = new Set([...listeners, ...upstreams].filter((path) => path !== undefined));
  return new Map([...paths].map((path) => [path, digestOfFile(path)]));
}

function digestOfFile(path: string): string {
  try {
    return hashOf(readFileSync(path));
  } catch {
    return '';
  }
}

export function digestOf(contents: readonly (Buffer | string)[]): string {
  const hash = createHash('sha256');
  for (const part of contents) hash.update(part);
  return hash.digest('hex').slice(0, 12);
}
