import { expect, it } from 'vitest';
import { adminView } from '../../../test/support/admin-view.ts';
import { certificatesPage } from './certificates-page.ts';

it('the page of certificates tells times as people read them, and why an order has failed', () => {
  const at = Date.UTC(2026, 0, 1);
  const view = adminView({
    certificates: () => [{ listener: '0.0.0.0:443', file: 'acme:api.test', leftMs: 3.25 * 86_400_000 }],
    managedCertificates: () => [
      {
        name: 'api.test',
        domains: ['api.test'],
        directory: 'https://ca.test/dir',
        state: 'issued',
        validTo: at,
        renewAt: undefined,
        failures: 2,
        failure: 'api.test: dns: no such name',
        tryAgainAt: at,
        orders: { ok: 1, failed: 2 },
      },
    ],
  });
  expect(certificatesPage(view)).toMatchObject({
    certificates: [{ listener: '0.0.0.0:443', file: 'acme:api.test', daysLeft: 3.2 }],
    acme: [
      { validTo: '2026-01-01T00:00:00.000Z', renewAt: undefined, tryAgainAt: '2026-01-01T00:00:00.000Z', failures: 2 },
    ],
  });
});
