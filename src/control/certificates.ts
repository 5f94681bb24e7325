/** Until when the certificates are good that listeners show. */
import { X509Certificate } from 'node:crypto';
import { relative } from 'node:path';
import type { Config } from '../config/schema.ts';
import type { TlsFiles } from '../config/tls-files.ts';
import type { CertificateView } from './view.ts';

/** @param files of each listener, those that serve. @param wall milliseconds since the epoch. */
export function viewCertificates(
  { gateway, dir }: Config,
  files: readonly (TlsFiles | undefined)[],
  wall: number,
): CertificateView[] {
  return gateway.listen.flatMap(({ host, port, tls }, at) =>
    (files[at]?.certificates ?? []).map(({ cert }, index) => {
      const { validToDate } = new X509Certificate(cert);
      const leftMs = validToDate.getTime() - wall;
      // Behind those of files stands the one that was ordered.
      const written = tls?.certificates[index]?.cert;
      const file = written === undefined ? `acme:${tls?.acme?.domains[0]}` : relative(dir, written);
      return { listener: `${host}:${port}`, file, leftMs };
    }),
  );
}
