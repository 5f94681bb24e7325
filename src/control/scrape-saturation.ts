/** Metrics of pools that take no more than so much at once. */
import { REFUSALS } from '../memory/place-table.ts';
import type { MetricsPage } from './metrics-page.ts';
import type { PoolView, SaturationView } from './view.ts';

interface Upstreams {
  readonly pools: readonly { readonly label: string; readonly view: PoolView }[];
}

export function saturation(page: MetricsPage, now: () => Upstreams): void {
  const each = (use: (pool: string, view: SaturationView) => void) => {
    for (const { label, view } of now().pools) if (view.saturation !== undefined) use(label, view.saturation);
  };
  page.gauge('aya_pool_in_flight', 'Requests that a pool with a limit has now.', ['pool'], (add) => {
    each((pool, { inFlight }) => add({ pool }, inFlight));
  });
  page.gauge(
    'aya_pool_limit',
    'The most that it is given at once; of one that adapts, as it is now.',
    ['pool'],
    (add) => {
      each((pool, { limit }) => limit !== undefined && add({ pool }, limit));
    },
  );
  page.gauge('aya_pool_waiting', 'Requests that wait for a place.', ['pool'], (add) => {
    each((pool, { waiting }) => add({ pool }, waiting));
  });
  page.counter('aya_pool_waited_total', 'Requests that waited for a place and got one.', ['pool'], (add) => {
    each((pool, { waited }) => add({ pool }, waited));
  });
  page.counter('aya_pool_waited_seconds_total', 'How long those waited, in all.', ['pool'], (add) => {
    each((pool, { waitedMs }) => add({ pool }, waitedMs / 1000));
  });
  page.counter(
    'aya_pool_refused_total',
    'Requests that got no place: the queue was full, they were late, it stood still, or another took their place in it.',
    ['pool', 'reason'],
    (add) => {
      each((pool, { refused }) => {
        for (const reason of REFUSALS) add({ pool, reason }, refused[reason]);
      });
    },
  );
}
