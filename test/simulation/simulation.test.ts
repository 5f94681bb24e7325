import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, it } from 'vitest';
import { allBalances, type Balance } from './compiled.ts';
import { ORACLE } from './oracle.ts';
import { main } from './run.ts';
import { SCENARIOS, type Scenario } from './scenarios.ts';
import { simulate, type Run } from './simulate.ts';
import { summarise, type Summary } from './summary.ts';

const BALANCES: readonly Balance[] = [...(await allBalances()), { hash: 'header:x-user' }];

beforeAll(() => {
  // Refusals are errors; where they were made is of no interest, and costs more than all the rest.
  Error.stackTraceLimit = 0;
});

const scenario = (name: string): Scenario => SCENARIOS.find((each) => each.name === name)!;

async function summaryOf(name: string, balance: Balance, seeds: number, pool?: object): Promise<Summary> {
  const runs: Run[] = [];
  for (let seed = 1; seed <= seeds; seed++) {
    runs.push(await simulate({ scenario: scenario(name), balance, seed, pool }));
  }
  return summarise(runs);
}

describe('least-response-time', () => {
  it('with one of five ten times slower has a p99 within 15 % of an oracle’s', async () => {
    const oracle = await summaryOf('one-slow', ORACLE, 10);
    const shipped = await summaryOf('one-slow', 'least-response-time', 10);
    expect(shipped.p99Ms / oracle.p99Ms).toBeLessThan(1.15);
    expect(shipped.shares[4]).toBeLessThan(0.01);
    expect(shipped.recoveredMs).toBeLessThan(1_000);
  });

  it('shuts nobody out for single failures, which would leave the others with too much', async () => {
    const route = { retry: { on: ['connect', 'reset', 'timeout'] }, timeout: { perTry: '300ms' } };
    const runs = [];
    for (const seed of [1, 2, 3]) {
      runs.push(await simulate({ scenario: scenario('identical'), balance: 'least-response-time', seed, route }));
    }
    const { failed, shares } = summarise(runs);
    expect(failed).toBeLessThan(0.005);
    expect(Math.min(...shares)).toBeGreaterThan(0.15);
  });

  it('finds out who can do how much', async () => {
    const oracle = await summaryOf('heterogeneous', ORACLE, 3);
    const shipped = await summaryOf('heterogeneous', 'least-response-time', 3);
    expect(shipped.p99Ms / oracle.p99Ms).toBeLessThan(1.5);
  });
});

describe('every balancer', () => {
  it.each(BALANCES.map((balance) => [balance]))(
    '%j gives each of five equal endpoints at least half of a fair share',
    async (balance) => {
      const { shares } = await summaryOf('identical', balance, 1);
      expect(Math.min(...shares)).toBeGreaterThanOrEqual(0.5 / shares.length);
    },
  );

  it.each(['least-connections', 'least-response-time', 'round-robin', 'random'])(
    '%s is rid of a black hole within a second',
    async (balance) => {
      const { recoveredMs, failed } = await summaryOf('black-hole', balance, 3);
      expect(recoveredMs).toBeLessThan(1_000);
      expect(failed).toBeLessThan(0.002);
    },
  );
});

describe('ejection', () => {
  const OFF = { health: { passive: false } };

  it.each(['brown-out', 'outage'])('does no harm in a(n) %s, which all endpoints have', async (name) => {
    const shipped = await summaryOf(name, 'least-connections', 2);
    const without = await summaryOf(name, 'least-connections', 2, OFF);
    expect(shipped.failed).toBeLessThan(without.failed + 0.005);
    expect(shipped.recoveredMs).toBeLessThan(1_000);
  });

  it('holds off whoever is worse than the others, though all do badly', async () => {
    const shipped = await summaryOf('one-worse', 'least-connections', 2);
    const without = await summaryOf('one-worse', 'least-connections', 2, OFF);
    expect(shipped.failed).toBeLessThan(without.failed * 0.6);
    // Whoever was ejected just before the end sits that out.
    expect(shipped.recoveredMs).toBeLessThan(15_000);
  });
});

describe('retries', () => {
  it.each(['brown-out', 'outage'])('in a(n) %s add no more than their budget, in any ten seconds', async (name) => {
    for (const balance of ['least-connections', 'random']) {
      const { amplification } = await summaryOf(name, balance, 2);
      // A fifth, and what falls over the edges of the ten seconds.
      expect(amplification).toBeLessThanOrEqual(1.21);
      expect(amplification).toBeGreaterThan(1.05);
    }
  });

  it('carry all requests through a rolling deploy, the death of one of two, and of half of a level', async () => {
    for (const name of ['rolling-deploy', 'two-endpoints', 'spill']) {
      const { failed, left, refused } = await summaryOf(name, 'least-connections', 3);
      expect([failed, left, refused]).toEqual([0, 0, 0]);
    }
  });
});

describe('a limit', () => {
  it('keeps a flash crowd from becoming anybody’s failure', async () => {
    const { failed, refused, p99Ms } = await summaryOf('flash-crowd', 'least-connections', 2);
    expect(failed).toBe(0);
    expect(refused).toBeGreaterThan(0.1);
    expect(p99Ms).toBeLessThan(300);
  });
});

describe('npm run simulate', () => {
  const printed = async (...args: string[]) => {
    let text = '';
    const code = await main(args, (part) => (text += part));
    return { code, text };
  };

  it('prints the same, byte for byte, for the same seed, in this process and in another', async () => {
    const args = ['--scenario', 'brown-out,flash-crowd,rolling-deploy', '--seed', '1234', '--seconds', '6'];
    const { code, text } = await printed(...args);
    expect(code).toBe(0);
    expect(text).toContain('brown-out');
    expect((await printed(...args)).text).toBe(text);
    const path = fileURLToPath(new URL('run.ts', import.meta.url));
    expect((await promisify(execFile)(process.execPath, [path, ...args])).stdout).toBe(text);
  });

  it('prints something else for another seed', async () => {
    const of = (seed: string) => printed('--scenario', 'identical', '--seconds', '2', '--seed', seed);
    expect((await of('1')).text).not.toBe((await of('2')).text.replace('seed 2', 'seed 1'));
  });

  it('gives figures as JSON', async () => {
    const { text } = await printed('--scenario', 'two-endpoints', '--balance', 'random', '--seconds', '2', '--json');
    const figures = JSON.parse(text) as Summary[];
    expect(figures.map(({ balance }) => balance)).toEqual(['oracle', 'random']);
    expect(figures[1]!.shares).toHaveLength(2);
  });

  it('plays the same with settings of one’s own', async () => {
    const bare = ['--scenario', 'black-hole', '--balance', 'random', '--seconds', '4', '--json'];
    const failedOf = async (...further: string[]) =>
      (JSON.parse((await printed(...bare, ...further)).text) as Summary[])[1]!.failed;
    expect(await failedOf('--pool', '{ health: { passive: false } }')).toBeGreaterThan((await failedOf()) * 3);
  });

  it('says what is wrong with its options', async () => {
    await expect(printed('--scenario', 'brownout')).rejects.toThrow(/no scenario is named 'brownout': identical/);
    await expect(printed('--seed', 'x')).rejects.toThrow('--seed x: not a number above 0');
    await expect(printed('--pool', '{ balnce: random }')).rejects.toThrow(/balnce/);
    await expect(printed('--balance', 'fastest')).rejects.toThrow(/got 'fastest'/);
  });
});
