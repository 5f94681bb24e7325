/** Metrics of the process as a whole: what it takes, and what it refuses because that is too much. */
import type { MetricsPage } from './metrics-page.ts';
import type { ThreadSample } from '../memory/metric-table.ts';
import type { AdminView } from './view.ts';

/** The names that every Prometheus client uses for these. */
export function ownProcess(page: MetricsPage, view: Pick<AdminView, 'startedAt'>): void {
  page.counter('process_cpu_seconds_total', 'User and system CPU time of all threads.', [], (add) => {
    const { user, system } = process.cpuUsage();
    add({}, (user + system) / 1e6);
  });
  page.gauge('process_resident_memory_bytes', 'Resident memory of all threads.', [], (add) => {
    add({}, process.memoryUsage.rss());
  });
  page.gauge('process_start_time_seconds', 'When the process started.', [], (add) => {
    add({}, view.startedAt / 1000);
  });
}

/** What the gateway refuses because it has too much to do itself. */
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
