/** Metrics of failover: who serves of a pool, and what that says of the others. */
import type { Labels, MetricsPage } from './metrics-page.ts';
import type { EndpointView, PoolView } from './view.ts';

interface Moment {
  readonly pools: readonly { readonly label: string; readonly view: PoolView }[];
  readonly endpoints: readonly { readonly labels: Labels; readonly view: EndpointView }[];
}

export function failover(page: MetricsPage, now: () => Moment): void {
  page.gauge('aya_pool_panic', '1 while too few endpoints are available to trust the verdicts.', ['pool'], (add) => {
    for (const { label, view } of now().pools) add({ pool: label }, view.panic ? 1 : 0);
  });
  page.counter('aya_pool_panics_total', 'Times that a pool went into panic.', ['pool'], (add) => {
    for (const { label, view } of now().pools) add({ pool: label }, view.panics);
  });
  page.gauge(
    'aya_pool_load_share',
    'Share of a pool’s load, by priority (or backup) and zone: own, others, or empty where zones do not matter.',
    ['pool', 'priority', 'zone'],
    (add) => {
      for (const { label, view } of now().pools) {
        // A sum of shares means nothing: pools that share `__other__` have none.
        if (label !== view.name) continue;
        for (const { priority, zone = '', share } of view.tiers)
          add({ pool: label, priority: String(priority), zone }, share);
      }
    },
  );
  page.gauge(
    'aya_endpoint_slow_start',
    'How much of its weight an endpoint has, while it starts slowly.',
    ['pool', 'endpoint'],
    (add) => {
      for (const { labels, view } of now().endpoints) {
        if (view.slowStart !== undefined && labels.endpoint === view.url) add(labels, view.slowStart.share);
      }
    },
  );
}
