/** Runs that are short and many: what must hold in each of them, whatever happens in it. */
import { beforeAll, describe, expect, it } from 'vitest';
import { allBalances, type Balance } from './compiled.ts';
import { brokenPromises, replayOf } from './promises.ts';
import { SCENARIOS } from './scenarios.ts';
import { simulate, type Run, type Setting } from './simulate.ts';
import { nameOf } from './summary.ts';

const BALANCES: readonly Balance[] = [...(await allBalances()), { hash: 'header:x-user' }];

/** What runs are played with beside the scenarios' own settings. */
const SETTINGS: readonly Pick<Setting, 'pool' | 'route'>[] = [
  {},
  {},
  { pool: { breaker: {} } },
  { pool: { breaker: { scope: 'both', minRequests: 5, openFor: '200ms', consecutive: 3, slow: { over: '400ms' } } } },
  { pool: { health: { active: { path: '/healthz', interval: '1s' }, passive: { ejectFor: '500ms' } } } },
  { pool: { health: { passive: { window: '1s', slow: {}, failurePercentage: {}, successRate: {} } } } },
  {
    pool: { health: { passive: { maxEjected: '100%' }, panic: { then: 'fail' } }, connections: { max: 8, pending: 4 } },
  },
  { route: { retry: { on: ['connect', 'reset', 'timeout', 500, 503], attempts: 3 }, timeout: { perTry: '300ms' } } },
  { route: { retry: false, timeout: { total: '2s' } } },
  { route: { hedge: {} } },
  { pool: { sticky: { on: 'header:x-user', ttl: '10s' } } },
];

beforeAll(() => {
  // Refusals are errors; where they were made is of no interest, and costs more than all the rest.
  Error.stackTraceLimit = 0;
});

/** A small part of the scenario, played with something else for each seed; longer where shares are to be fair. */
function shortRun(seed: number): Promise<Run> {
  const played = SCENARIOS[seed % SCENARIOS.length]!;
  const part = played.name === 'identical' ? 9 : 45;
  const setting = SETTINGS[seed % SETTINGS.length]!;
  const balance = BALANCES[seed % BALANCES.length]!;
  // The language has it so: only one of the two can say where a client goes.
  const isHashed = 'sticky' in (setting.pool ?? {}) && nameOf(balance).includes('hash');
  return simulate({
    scenario: played,
    balance: isHashed ? 'least-connections' : balance,
    ...setting,
    threads: 1 + (seed % 4),
    seconds: played.seconds / part,
    seed,
  });
}

describe('two thousand short runs, whatever happens in them and however the gateway is set', () => {
  it.each(Array.from({ length: 20 }, (_, hundreds) => 1 + hundreds * 100))(
    'lose no request, leave nothing behind, keep the budget and starve nobody, from seed %i',
    async (first) => {
      const broken: string[] = [];
      for (let seed = first; seed < first + 100; seed++) {
        const run = await shortRun(seed);
        broken.push(...brokenPromises(run).map((sentence) => `${sentence}\n  ${replayOf(run)}`));
      }
      expect(broken).toEqual([]);
    },
  );
});

describe('a broken promise', () => {
  it('is told with the command that plays it again', async () => {
    const run = await shortRun(1234);
    const broken = { ...run, asked: run.asked + 1, left: { ...run.left, inFlight: 2 } };
    expect(brokenPromises(broken)).toEqual([
      `${run.asked + 1} requests were sent, and ${run.asked} ended`,
      '2 requests in the shared table are left when all is over',
    ]);
    expect(replayOf(broken)).toMatch(/^npm run simulate -- --scenario [\w-]+ --balance \S+ --seed 1234 /);
  });
});
