/** Metrics of the process, under the names that every Prometheus client uses for them. */
import type { MetricsPage } from './metrics-page.ts';
import type { AdminView } from './view.ts';

export function ownProcess(page: MetricsPage, { startedAt }: Pick<AdminView, 'startedAt'>): void {
  page.counter('process_cpu_seconds_total', 'User and system CPU time of all threads.', [], (add) => {
    const { user, system } = process.cpuUsage();
    add({}, (user + system) / 1e6);
  });
  page.gauge('process_resident_memory_bytes', 'Resident memory of all threads.', [], (add) => {
    add({}, process.memoryUsage.rss());
  });
  page.gauge('process_start_time_seconds', 'When the process started.', [], (add) => {
    add({}, startedAt / 1000);
  });
}
