/** Metrics of what the gateway refuses because it has too much to do itself. */
import type { MetricsPage } from './metrics-page.ts';
import type { ThreadSample } from '../memory/metric-table.ts';

export function overload(page: MetricsPage, now: () => { readonly samples: readonly ThreadSample[] }): void {
  page.gauge(
    'aya_shedding',
    'How much a thread refuses: up to 1 the share of requests with a low priority, up to 2 also of normal ones, up to 3 of all.',
    ['thread'],
    (add) => now().samples.forEach(({ shedding }, thread) => add({ thread: String(thread) }, shedding)),
  );
  page.counter('aya_shed_total', 'Requests that it refused, by their priority.', ['priority'], (add) => {
    for (const { shedHigh, shedNormal, shedLow } of now().samples) {
      add({ priority: 'high' }, shedHigh);
      add({ priority: 'normal' }, shedNormal);
      add({ priority: 'low' }, shedLow);
    }
  });
}
