/** Whether a reload is felt: a client that checks every answer, while one of a thousand routes' files is rewritten. */
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fleet, fleetFile } from '../contestants/aya.ts';
import { startGateway, type Gateway } from '../gateway.ts';
import { verify, type VerifiedReport } from '../load.ts';
import { fixed, thousands, type Scenario } from './scenario.ts';

const ROUTES = 1_000;
const CONNECTIONS = 16;
/** Each connection rests between requests: a queue behind a busy processor would hide what the reload costs. */
const PAUSE_MS = 5;
const EVERY_MS = 750;
const PATH = '/service-7/orders';

export const reload: Scenario = {
  name: 'reload',
  title: `Reloads of ${thousands(ROUTES)} routes under load, ${CONNECTIONS} connections`,
  async run(bench) {
    const reloads = bench.quick ? 4 : 12;
    const seconds = Math.ceil((reloads * EVERY_MS) / 1000) + 2;
    const routes = (place: Parameters<typeof fleet>[0]) => fleet(place, ROUTES, '0');
    const gateway = await startGateway(bench, { threads: 2, accessLog: false }, routes, PATH);
    try {
      const client = () =>
        verify({ url: `${gateway.origin}${PATH}`, seconds, connections: CONNECTIONS, pauseMs: PAUSE_MS });
      const calm = await client();
      const [reloading] = await Promise.all([client(), rewrite(gateway, reloads)]);
      return {
        columns: ['', 'requests', 'failures', 'generations seen', 'p50 ms', 'p99 ms', 'slowest ms'],
        rows: [row('without', calm), row(`${reloads} reloads`, reloading)],
        budgets: [
          { promise: 'failures during reloads', atMost: 0, found: reloading.failures },
          { promise: 'reloads that no answer showed', atMost: 0, found: reloads + 1 - reloading.revisions },
          { promise: 'slowest request during reloads, ms', atMost: 50, found: reloading.maxMs },
        ],
        figures: { calm, reloading },
      };
    } finally {
      await gateway.stop();
    }
  },
};

/** As an editor saves: a new file takes the old one's name. */
async function rewrite({ dir }: Gateway, reloads: number): Promise<void> {
  await pause(1000);
  for (let revision = 1; revision <= reloads; revision++) {
    writeFileSync(join(dir, 'next.yaml'), fleetFile(0, 100, String(revision)));
    renameSync(join(dir, 'next.yaml'), join(dir, 'routes.d', 'services-0.yaml'));
    await pause(EVERY_MS);
  }
}

function row(name: string, report: VerifiedReport): string[] {
  const why = Object.entries(report.reasons).map(([reason, count]) => `${count} × ${reason}`);
  const failures = report.failures === 0 ? '0' : `${report.failures} (${why.join(', ')})`;
  const times = [report.p50Ms, report.p99Ms, report.maxMs].map((ms) => fixed(ms, 2));
  return [name, thousands(report.requests), failures, String(report.revisions), ...times];
}
