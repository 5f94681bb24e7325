/** The page /certificates: until when those are good that listeners show, and how the orders of the others stand. */
import type { AdminView } from '../view.ts';

export function certificatesPage(view: Pick<AdminView, 'certificates' | 'managedCertificates'>): object {
  return {
    certificates: view.certificates().map(({ listener, file, leftMs }) => ({
      listener,
      file,
      daysLeft: Math.floor(leftMs / 8_640_000) / 10,
    })),
    acme: view.managedCertificates().map(({ validTo, renewAt, tryAgainAt, ...rest }) => ({
      ...rest,
      validTo: time(validTo),
      renewAt: time(renewAt),
      tryAgainAt: time(tryAgainAt),
    })),
  };
}

const time = (wallMs: number | undefined) => (wallMs === undefined ? undefined : new Date(wallMs).toISOString());
