/** Metrics of retries, hedges and what bounds them. */
import type { RouteSums } from '../memory/metric-table.ts';
import type { MetricsPage } from './metrics-page.ts';
import type { PoolView } from './view.ts';

interface Tried {
  readonly routes: readonly { readonly route: string; readonly sums: RouteSums }[];
  readonly pools: readonly { readonly label: string; readonly view: PoolView }[];
}

export function furtherTries(page: MetricsPage, now: () => Tried): void {
  page.counter('aya_retries_total', 'Tries after the first.', ['route'], (add) => {
    for (const { route, sums } of now().routes) add({ route }, sums.retries);
  });
  page.gauge('aya_pool_further_tries_active', 'Retries and hedges whose answer has not begun.', ['pool'], (add) => {
    for (const { label, view } of now().pools) add({ pool: label }, view.furtherTries?.underWay ?? 0);
  });
  page.gauge(
    'aya_pool_p95_seconds',
    'The time within which 95 % of answers begin, as routes with hedge have learnt it.',
    ['pool'],
    (add) => {
      for (const { label, view } of now().pools) {
        // A sum of times means nothing: pools that share `__other__` have none.
        const p95Ms = label === view.name ? view.furtherTries?.p95Ms : undefined;
        if (p95Ms !== undefined) add({ pool: label }, p95Ms / 1000);
      }
    },
  );
}
