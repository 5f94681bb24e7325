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
    (tls?.certificates ?? []).map(({ cert }, index) => {
      const { validToDate } = new X509Certificate(files[at]!.certificates[index]!.cert);
      const leftMs = validToDate.getTime() - wall;
      return { listener: `${host}:${port}`, file: relative(dir, cert), leftMs };
    }),
  );
}
