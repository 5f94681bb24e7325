/**
 * `npm run simulate`: plays scenarios and prints what each balancer makes of them beside an oracle. The output depends on
 * its options alone. Ends with 1 when a promise was broken, and says how to play that run again.
 */
import { parseArgs } from 'node:util';
import { parse as parseYaml } from 'yaml';
import { allBalances, type Balance } from './compiled.ts';
import { ORACLE } from './oracle.ts';
import { brokenPromises, replayOf } from './promises.ts';
import { SCENARIOS, type Scenario } from './scenarios.ts';
import { simulate, type Run, type Setting } from './simulate.ts';
import { summarise, type Summary } from './summary.ts';
import { tableOf } from './table.ts';

const HELP = `npm run simulate -- [options]

  --scenario NAME,…   which; default: all
  --balance NAME,…    which; also hash:header:x-user; default: all that one word chooses
  --seed N            the first seed; default: 1
  --seeds N           how many, put together; default: 4, or 1 where --seed is given
  --seconds N         length of a run, instead of the scenario's own
  --threads N         data threads of the gateway; default: 2
  --pool YAML         settings of the pool over the scenario's: '{ breaker: {} }'
  --route YAML        settings of the route: '{ retry: false }'
  --json              figures instead of tables
  --list              what scenarios there are
`;

interface Options {
  readonly scenarios: readonly Scenario[];
  readonly balances: readonly Balance[];
  readonly seed: number;
  readonly seeds: number;
  readonly further: Pick<Setting, 'seconds' | 'threads' | 'pool' | 'route'>;
  readonly json: boolean;
}

/** @returns the exit code. @param write of what is printed. */
export async function main(args: readonly string[], write: (text: string) => void): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      ...Object.fromEntries(
        ['scenario', 'balance', 'seed', 'seeds', 'seconds', 'threads', 'pool', 'route'].map((name) => [
          name,
          { type: 'string' as const },
        ]),
      ),
      json: { type: 'boolean' },
      list: { type: 'boolean' },
      help: { type: 'boolean' },
    },
  }) as { values: Readonly<Record<string, string | boolean | undefined>> };
  if (values.help === true) return (write(HELP), 0);
  if (values.list === true) return (write(SCENARIOS.map(({ name, what }) => `${name}: ${what}\n`).join('')), 0);
  return play(await optionsOf(values as Readonly<Record<string, string | undefined>>, values.json === true), write);
}

async function play(options: Options, write: (text: string) => void): Promise<number> {
  const { seed, seeds, json } = options;
  const all: Summary[] = [];
  let isBroken = false;
  for (const scenario of options.scenarios) {
    const summaries: Summary[] = [];
    for (const balance of [ORACLE, ...options.balances]) {
      const runs = await runsOf(scenario, balance, options);
      summaries.push(summarise(runs));
      for (const run of runs) {
        for (const broken of brokenPromises(run)) {
          isBroken = true;
          write(`BROKEN: ${broken}\n  ${replayOf(run)}\n`);
        }
      }
    }
    all.push(...summaries);
    const told = seeds === 1 ? `seed ${seed}` : `seeds ${seed} to ${seed + seeds - 1}`;
    if (!json) write(`${tableOf(scenario, summaries, options.further.seconds ?? scenario.seconds, told)}\n`);
  }
  if (json) write(`${JSON.stringify(all, null, 2)}\n`);
  return isBroken ? 1 : 0;
}

async function runsOf(scenario: Scenario, balance: Balance, { seed, seeds, further }: Options): Promise<Run[]> {
  const runs: Run[] = [];
  for (let number = seed; number < seed + seeds; number++) {
    runs.push(await simulate({ scenario, balance, seed: number, ...further }));
  }
  return runs;
}

async function optionsOf(values: Readonly<Record<string, string | undefined>>, json: boolean): Promise<Options> {
  const number = (name: string): number | undefined => {
    const value = values[name];
    if (value === undefined) return undefined;
    if (!/^\d+(\.\d+)?$/.test(value) || Number(value) <= 0) throw new Error(`--${name} ${value}: not a number above 0`);
    return Number(value);
  };
  const settings = (name: string): object | undefined => {
    const value = values[name] === undefined ? undefined : (parseYaml(values[name]) as unknown);
    if (value !== undefined && (typeof value !== 'object' || value === null)) {
      throw new Error(`--${name} wants settings, as in a route file: '{ … }'`);
    }
    return value;
  };
  const balances = values.balance?.split(',').map(balanceOf) ?? (await allBalances());
  return {
    scenarios: values.scenario?.split(',').map(scenarioOf) ?? SCENARIOS,
    balances: balances.filter((balance) => balance !== ORACLE),
    seed: number('seed') ?? 1,
    seeds: number('seeds') ?? (values.seed === undefined ? 4 : 1),
    further: {
      seconds: number('seconds'),
      threads: number('threads'),
      pool: settings('pool'),
      route: settings('route'),
    },
    json,
  };
}

function scenarioOf(name: string): Scenario {
  const found = SCENARIOS.find((scenario) => scenario.name === name);
  if (found !== undefined) return found;
  throw new Error(`no scenario is named '${name}': ${SCENARIOS.map((scenario) => scenario.name).join(', ')}`);
}

function balanceOf(word: string): Balance {
  return word.startsWith('hash:') ? { hash: word.slice('hash:'.length) } : word;
}

if (import.meta.main) {
  // Refusals are errors; where they were made is of no interest, and costs more than all the rest.
  Error.stackTraceLimit = 0;
  try {
    process.exitCode = await main(process.argv.slice(2), (text) => void process.stdout.write(text));
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`);
    process.exitCode = 2;
  }
}
