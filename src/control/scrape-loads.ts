/** Metrics of what endpoints and their agents say of their load. */
import type { Labels, MetricsPage } from './metrics-page.ts';
import type { AgentView, EndpointView, LoadView } from './view.ts';

interface Measured {
  readonly endpoints: readonly { readonly labels: Labels; readonly view: EndpointView }[];
}

export function loads(page: MetricsPage, now: () => Measured): void {
  const ENDPOINT = ['pool', 'endpoint'];
  // Endpoints that share `__other__` have no load in common.
  const named = () => now().endpoints.filter(({ labels, view }) => labels.endpoint === view.url);
  const load = (name: string, help: string, valueOf: (load: LoadView) => number) =>
    page.gauge(name, help, ENDPOINT, (add) => {
      for (const { labels, view } of named()) if (view.load !== undefined) add(labels, valueOf(view.load));
    });
  load('aya_endpoint_utilization', 'What the endpoint reports of its utilisation.', ({ utilization }) => utilization);
  load('aya_endpoint_weight', 'What its share follows from, under balance: adaptive.', ({ weight }) => weight);
  page.counter(
    'aya_endpoint_load_reports_total',
    'Load reports in answers: counted, or malformed.',
    [...ENDPOINT, 'result'],
    (add) => {
      for (const { labels, view } of now().endpoints) {
        add({ ...labels, result: 'counted' }, view.load?.reports ?? 0);
        add({ ...labels, result: 'malformed' }, view.load?.malformed ?? 0);
      }
    },
  );
  const agent = (name: string, help: string, valueOf: (agent: AgentView) => number) =>
    page.gauge(name, help, ENDPOINT, (add) => {
      for (const { labels, view } of named()) if (view.agent !== undefined) add(labels, valueOf(view.agent));
    });
  agent('aya_endpoint_agent_share', 'How much of its weight its agent leaves the endpoint.', ({ share }) => share);
  page.counter('aya_endpoint_agent_failures_total', 'Times that its agent could not be asked.', ENDPOINT, (add) => {
    for (const { labels, view } of now().endpoints) add(labels, view.agent?.failures ?? 0);
  });
}
