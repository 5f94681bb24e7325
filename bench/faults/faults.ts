/** What breaks, and when: each begins at the same moment of a run and is over, or not, by its end. */
import { setTimeout as pause } from 'node:timers/promises';
import { PROXY_CORE, start } from '../process.ts';
import { CAPACITY, type Fleet } from './fleet.ts';

/** A quarter of what the fleet can do: one endpoint of three carries it. */
const USUAL_RATE = CAPACITY / 4;
const BACK_AFTER_MS = 3_000;
const HANG_MS = 5_000;
/** A new version needs so long to start. */
const DEPLOY_MS = 500;

export interface Stage {
  readonly fleet: Fleet;
  readonly dir: string;
  /** The contestant takes a new configuration. */
  reload(revision: number): Promise<void>;
  /** How long the client goes on from now. */
  readonly lastsMs: number;
}

export interface Fault {
  readonly name: string;
  readonly title: string;
  readonly perSecond: number;
  happen(stage: Stage): Promise<void>;
}

export const FAULTS: readonly Fault[] = [
  { name: 'quiet', title: 'Nothing', perSecond: USUAL_RATE, happen: async () => {} },
  {
    name: 'kill',
    title: `One of three endpoints is killed (kill -9), and is back after ${BACK_AFTER_MS / 1000} s`,
    perSecond: USUAL_RATE,
    async happen({ fleet }) {
      fleet.signal(0, 'SIGKILL');
      await pause(BACK_AFTER_MS);
      await fleet.begin(0);
    },
  },
  {
    name: 'hang',
    title: `One of three hangs (it accepts and never answers) for ${HANG_MS / 1000} s`,
    perSecond: USUAL_RATE,
    async happen({ fleet }) {
      fleet.signal(0, 'SIGSTOP');
      await pause(HANG_MS);
      fleet.signal(0, 'SIGCONT');
    },
  },
  {
    name: 'slow',
    title: 'One of three is ten times slower',
    perSecond: USUAL_RATE,
    async happen({ fleet, lastsMs }) {
      fleet.signal(0, 'SIGUSR2');
      await pause(lastsMs);
      fleet.signal(0, 'SIGUSR2');
    },
  },
  {
    name: 'rolling',
    title: 'All three are restarted, one after the other',
    perSecond: USUAL_RATE,
    async happen({ fleet, lastsMs }) {
      for (const at of fleet.ports.keys()) {
        const nextAt = performance.now() + lastsMs / 4;
        await fleet.end(at);
        await pause(DEPLOY_MS);
        await fleet.begin(at);
        await pause(Math.max(0, nextAt - performance.now()));
      }
    },
  },
  {
    name: 'reload',
    title: 'The configuration is reloaded each second',
    perSecond: USUAL_RATE,
    async happen({ reload, lastsMs }) {
      for (let revision = 1; revision * 1000 < lastsMs; revision++) {
        await reload(revision);
        await pause(1_000);
      }
    },
  },
  {
    name: 'outage',
    title: 'All three answer 503 at once, though their health checks pass',
    perSecond: USUAL_RATE,
    async happen({ fleet }) {
      for (const at of fleet.ports.keys()) fleet.signal(at, 'SIGHUP');
    },
  },
  {
    name: 'overload',
    title: `Twice as many requests as the fleet can answer (${CAPACITY} a second)`,
    perSecond: 2 * CAPACITY,
    happen: async () => {},
  },
  {
    name: 'starved',
    title: 'Two busy processes on the processor of the proxy',
    perSecond: USUAL_RATE,
    async happen({ dir, lastsMs }) {
      const busy = { argv: [process.execPath, '-e', 'for (;;);'] } as const;
      const loops = ['busy-0', 'busy-1'].map((name) => start(name, busy, dir, PROXY_CORE));
      await pause(lastsMs);
      await Promise.all(loops.map((loop) => loop.stop()));
    },
  },
];
