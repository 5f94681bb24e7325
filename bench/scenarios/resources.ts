/** What a gateway needs to stand: memory under load, and time until it serves. */
import { setTimeout as pause } from 'node:timers/promises';
import { pool } from '../contestants/aya.ts';
import type { Place } from '../contestants/contestant.ts';
import { startGateway } from '../gateway.ts';
import { CONNECTIONS, load } from '../load.ts';
import { residentMiB } from '../process.ts';
import { median } from '../race.ts';
import { fixed, thousands, type Scenario } from './scenario.ts';

/** What starting took is given back by then. */
const AT_REST_AFTER_MS = 3_000;

const PROCESS = { threads: 2, accessLog: false };
const hello = (place: Place) => ({
  'hello.yaml': `${pool('hello', place)}routes: [{ name: hello, match: { path: /* }, pool: hello }]\n`,
});

export const memory: Scenario = {
  name: 'memory',
  title: `Memory of an Aya with two threads, ${CONNECTIONS} connections`,
  async run(bench) {
    const gateway = await startGateway(bench, PROCESS, hello, '/');
    try {
      await pause(AT_REST_AFTER_MS);
      const idle = residentMiB(gateway.pid).now;
      const { requests } = await load({ url: `${gateway.origin}/`, seconds: bench.seconds * bench.rounds });
      const { peak } = residentMiB(gateway.pid);
      return {
        columns: ['idle MiB', 'peak MiB', 'after requests'],
        rows: [[fixed(idle), fixed(peak), thousands(requests)]],
        budgets: [{ promise: 'peak of resident memory, MiB', atMost: 300, found: peak }],
        figures: { idle, peak, requests },
      };
    } finally {
      await gateway.stop();
    }
  },
};

export const startUp: Scenario = {
  name: 'start',
  title: 'From starting the process to its first answer',
  async run(bench) {
    const times: number[] = [];
    for (let round = 0; round < bench.rounds; round++) {
      const begun = performance.now();
      const gateway = await startGateway(bench, PROCESS, hello, '/');
      times.push(performance.now() - begun);
      await gateway.stop();
    }
    times.sort((a, b) => a - b);
    const best = times[0] ?? NaN;
    return {
      columns: ['best ms', 'median ms'],
      rows: [[fixed(best, 0), fixed(median(times), 0)]],
      budgets: [{ promise: 'start to first answer, ms (median)', atMost: 1000, found: median(times) }],
      figures: times,
    };
  },
};
