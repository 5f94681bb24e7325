/** Metrics of circuit breakers, and of what endpoints are ejected for. */
import type { Labels, MetricsPage } from './metrics-page.ts';
import type { BreakerView, EndpointView, PoolView } from './view.ts';

interface Upstreams {
  readonly pools: readonly { readonly label: string; readonly view: PoolView }[];
  readonly endpoints: readonly { readonly labels: Labels; readonly view: EndpointView }[];
}

const STATE: Readonly<Record<BreakerView['state'], number>> = { closed: 0, 'half-open': 1, open: 2 };
const STATES = '0 closed, 1 half-open, 2 open.';

export function breakers(page: MetricsPage, now: () => Upstreams): void {
  const ENDPOINT = ['pool', 'endpoint'];
  page.gauge('aya_endpoint_breaker_state', `The breaker of an endpoint: ${STATES}`, ENDPOINT, (add) => {
    for (const { labels, view } of now().endpoints) {
      // A sum of states means nothing: endpoints that share `__other__` have none.
      if (labels.endpoint === view.url && view.breaker !== undefined) add(labels, STATE[view.breaker.state]);
    }
  });
  page.counter(
    'aya_breaker_opened_total',
    'Times that the breaker of an endpoint opened, by what opened it.',
    [...ENDPOINT, 'cause'],
    (add) => {
      for (const { labels, view } of now().endpoints) {
        for (const [cause, count] of openings(view)) add({ ...labels, cause }, count);
      }
    },
  );
  page.gauge('aya_pool_breaker_state', `The breaker of a pool as a whole: ${STATES}`, ['pool'], (add) => {
    for (const { label, view } of now().pools) {
      if (label !== view.name) continue;
      if (view.breaker !== undefined) add({ pool: label }, STATE[view.breaker.state]);
    }
  });
  page.counter(
    'aya_pool_breaker_opened_total',
    'Times that it opened, by what opened it.',
    ['pool', 'cause'],
    (add) => {
      for (const { label, view } of now().pools) {
        for (const [cause, count] of openings(view)) add({ pool: label, cause }, count);
      }
    },
  );
  page.counter(
    'aya_pool_ejections_total',
    'Endpoints that real traffic had ejected, or with mode log would have, by the rule that they broke.',
    ['pool', 'cause', 'mode'],
    (add) => {
      for (const { label, view } of now().pools) {
        for (const { cause, mode, count } of view.endpoints.flatMap(({ ejectionsBy }) => ejectionsBy)) {
          add({ pool: label, cause, mode }, count);
        }
      }
    },
  );
}

const openings = ({ breaker }: Pick<EndpointView, 'breaker'>) => Object.entries(breaker?.openedBy ?? {});
