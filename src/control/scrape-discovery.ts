/** Metrics of where pools find their endpoints. */
import type { MetricsPage } from './metrics-page.ts';
import type { AdminView, DiscoveryView } from './view.ts';

export function discovery(page: MetricsPage, view: Pick<AdminView, 'pools'>): void {
  const each = (): { readonly pool: string; readonly found: DiscoveryView }[] =>
    view.pools().flatMap(({ name, discovery: found }) => (found === undefined ? [] : [{ pool: name, found }]));
  page.gauge(
    'aya_discovery_endpoints',
    'Endpoints that the source of a pool has told of, and that serve.',
    ['pool'],
    (add) => {
      for (const { pool, found } of each()) add({ pool }, found.endpoints);
    },
  );
  page.gauge(
    'aya_discovery_failing',
    '1 while the latest answer of the source was none to serve with.',
    ['pool'],
    (add) => {
      for (const { pool, found } of each()) add({ pool }, found.failure === undefined ? 0 : 1);
    },
  );
  page.counter(
    'aya_discovery_failures_total',
    'Answers of the source that were none to serve with.',
    ['pool'],
    (add) => {
      for (const { pool, found } of each()) add({ pool }, found.failures);
    },
  );
  page.gauge('aya_discovery_age_seconds', 'Since the last good answer of the source.', ['pool'], (add) => {
    for (const { pool, found } of each()) if (found.ageMs !== undefined) add({ pool }, found.ageMs / 1000);
  });
}
