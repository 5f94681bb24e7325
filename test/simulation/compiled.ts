/** A scenario as the gateway's own loader understands it: checked, with every default of the language in its place. */
import type { BalanceConfig, Config } from '../../src/config/schema.ts';
import { scanLanguage } from '../../src/config/language.ts';
import { assemble } from '../../src/config/load.ts';
import { PLUGIN_ORDER } from '../../src/data/phases.ts';
import type { AnyPlugin } from '../../src/extension.ts';
import { balancerNames, scanBalancers } from '../../src/upstream/balance.ts';
import type { BalancerDefinition } from '../../src/upstream/endpoint.ts';
import { ORACLE } from './oracle.ts';
import type { Scenario } from './scenarios.ts';

/** As `balance:` has it, or the oracle. */
export type Balance = BalanceConfig;

export interface Compiled {
  readonly config: Config;
  readonly plugins: readonly AnyPlugin[];
  readonly balancers: ReadonlyMap<string, BalancerDefinition>;
}

export interface Overrides {
  readonly pool?: object | undefined;
  readonly route?: object | undefined;
}

const known = new Map<string, Promise<Compiled>>();

/** Compiled once for all seeds. @throws what the loader says is wrong. */
export function compiled(scenario: Scenario, balance: Balance, overrides: Overrides = {}): Promise<Compiled> {
  const key = JSON.stringify([scenario.name, balance, overrides]);
  const compiling = known.get(key) ?? compile(scenario, balance, overrides);
  known.set(key, compiling);
  return compiling;
}

/** All that the folder holds and that one word chooses. */
export async function allBalances(): Promise<readonly string[]> {
  return balancerNames(await scanBalancers());
}

async function compile(scenario: Scenario, balance: Balance, { pool, route }: Overrides): Promise<Compiled> {
  const [language, balancers] = await Promise.all([scanLanguage(), scanBalancers()]);
  const written = {
    pools: {
      service: {
        endpoints: scenario.servers.map(({ weight = 1, priority = 0 }, number) => ({
          url: urlOf(number),
          weight,
          priority,
        })),
        ...scenario.pool,
        ...pool,
        balance: balance === ORACLE ? 'random' : balance,
      },
    },
    routes: [{ name: 'all', match: { path: '/*' }, pool: 'service', ...scenario.route, ...route }],
  };
  // JSON is YAML.
  const source = { file: `routes.d/${scenario.name}.yaml`, bytes: Buffer.from(JSON.stringify(written)) };
  const { config, problems } = assemble('/', [source], { language });
  if (config === undefined) throw new Error(problems.map(({ message }) => `${scenario.name}: ${message}`).join('\n'));
  const plugins = [...language.plugins].sort((a, b) => PLUGIN_ORDER.indexOf(a.name) - PLUGIN_ORDER.indexOf(b.name));
  return { config: balance === ORACLE ? allKnowing(config) : config, plugins, balancers };
}

export function urlOf(number: number): string {
  return `http://10.0.0.${number + 1}:8080`;
}

/** Who knows everything needs nobody to be ejected for him, and nobody to stand by. */
function allKnowing(config: Config): Config {
  const pools = config.pools.map(({ breaker: _breaker, health, endpoints, ...pool }) => {
    const { active: _active, ...rest } = health;
    return {
      ...pool,
      endpoints: endpoints.map((endpoint) => ({ ...endpoint, priority: 0 })),
      balance: ORACLE,
      health: { ...rest, passive: false as const },
    };
  });
  return { ...config, pools };
}
