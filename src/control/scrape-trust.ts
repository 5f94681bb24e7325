/** Metrics of what trust hangs on and what ages meanwhile: certificates, and documents of other servers. */
import type { MetricsPage } from './metrics-page.ts';
import type { AdminView } from './view.ts';

export type TrustView = Pick<AdminView, 'certificates' | 'managedCertificates' | 'documents'>;

export function trust(page: MetricsPage, view: TrustView): void {
  certificates(page, view);
  orders(page, view);
  documents(page, view);
}

function certificates(page: MetricsPage, view: TrustView): void {
  page.gauge(
    'aya_tls_certificate_expiry_seconds',
    'Until the certificate of a listener expires; negative when it has.',
    ['listener', 'file'],
    (add) => {
      for (const { listener, file, leftMs } of view.certificates()) add({ listener, file }, leftMs / 1000);
    },
  );
}

/** Of certificates that the gateway orders itself (ACME). */
function orders(page: MetricsPage, view: TrustView): void {
  page.gauge(
    'aya_acme_failures',
    'Orders of the certificate that have failed since the last that has not, on any gateway.',
    ['certificate'],
    (add) => {
      for (const { name, failures } of view.managedCertificates()) add({ certificate: name }, failures);
    },
  );
  page.counter(
    'aya_acme_orders_total',
    'Orders of the certificate that this gateway has placed, by outcome.',
    ['certificate', 'outcome'],
    (add) => {
      for (const { name, orders: count } of view.managedCertificates()) {
        add({ certificate: name, outcome: 'ok' }, count.ok);
        add({ certificate: name, outcome: 'failed' }, count.failed);
      }
    },
  );
}

/** Old keys are what a forged token would be waiting for, and what an outage of the issuer looks like. */
function documents(page: MetricsPage, view: TrustView): void {
  // Without what follows `?`, which may be nobody's business.
  const labelled = () => view.documents().map((document) => ({ ...document, url: document.url.split('?')[0]! }));
  page.counter(
    'aya_document_fetches_total',
    'Fetches of documents of other servers (keys of issuers), by outcome.',
    ['url', 'outcome'],
    (add) => {
      for (const { url, fetches } of labelled()) {
        add({ url, outcome: 'ok' }, fetches.ok);
        add({ url, outcome: 'failed' }, fetches.failed);
      }
    },
  );
  page.gauge('aya_document_age_seconds', 'Since the document was last fetched.', ['url'], (add) => {
    for (const { url, ageMs } of labelled()) if (ageMs !== undefined) add({ url }, ageMs / 1000);
  });
}
