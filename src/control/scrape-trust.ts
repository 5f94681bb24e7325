/** Metrics of what trust hangs on and what ages meanwhile: certificates, and documents of other servers. */
import type { MetricsPage } from './metrics-page.ts';
import type { AdminView } from './view.ts';

export type TrustView = Pick<AdminView, 'certificates' | 'documents'>;

export function trust(page: MetricsPage, view: TrustView): void {
  certificates(page, view);
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
