/** Metrics of why endpoints are passed over, in the words of decision records, and of the records themselves. */
import type { Labels, MetricsPage } from './metrics-page.ts';
import { againstNow } from './pool-view.ts';
import type { AdminView, EndpointView } from './view.ts';

interface Upstreams {
  readonly endpoints: readonly { readonly labels: Labels; readonly view: EndpointView }[];
}

export function decisions(page: MetricsPage, view: Pick<AdminView, 'decisions'>, now: () => Upstreams): void {
  // Read when the page is, and never counted by request: which requests an endpoint would have had, nobody knows.
  page.gauge(
    'aya_endpoint_status',
    '1 for each reason why the endpoint is passed over, as /pools and decision records word it.',
    ['pool', 'endpoint', 'reason'],
    (add) => {
      for (const { labels, view: endpoint } of now().endpoints) {
        for (const reason of againstNow(endpoint)) add({ ...labels, reason }, 1);
      }
    },
  );
  page.counter('aya_decisions_total', 'Decision records, by what they were made for.', ['recorded'], (add) => {
    const { recorded } = view.decisions.counts;
    for (const [cause, count] of Object.entries(recorded)) add({ recorded: cause }, count);
  });
  page.counter('aya_decisions_dropped_total', 'Decision records that found no room in their thread.', [], (add) => {
    add({}, view.decisions.counts.dropped);
  });
}
