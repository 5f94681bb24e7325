/**
 * Panic: so few endpoints of a pool are available that the verdicts are less credible than the endpoints. The data
 * threads find that out by themselves, from the same table by the same rule; here it is only noticed, said and counted.
 */
import type { PoolConfig } from '../../config/schema.ts';
import { chooseCandidates, choiceRules, isAvailable } from '../../upstream/candidates.ts';
import type { EndpointRegistry, RegisteredEndpoint } from '../endpoint-registry.ts';
import type { ControlLog } from '../log.ts';

interface PanicState {
  isOn: boolean;
  count: number;
}

export class PanicWatch {
  readonly #registry: EndpointRegistry;
  readonly #log: ControlLog;
  #states = new Map<string, PanicState>();

  constructor(registry: EndpointRegistry, log: ControlLog) {
    this.#registry = registry;
    this.#log = log;
    registry.onChange(({ endpoint }) => this.#look(endpoint.pool, registry.pools.get(endpoint.pool.name) ?? []));
  }

  /** Follows the serving configuration. */
  update(pools: readonly PoolConfig[]): void {
    this.#states = new Map(pools.map(({ name }) => [name, this.#states.get(name) ?? { isOn: false, count: 0 }]));
    for (const pool of pools) this.#look(pool, this.#registry.pools.get(pool.name) ?? []);
  }

  isOn(pool: string): boolean {
    return this.#states.get(pool)?.isOn ?? false;
  }

  /** How often the pool went into panic. */
  count(pool: string): number {
    return this.#states.get(pool)?.count ?? 0;
  }

  #look(pool: PoolConfig, members: readonly RegisteredEndpoint[]): void {
    const state = this.#states.get(pool.name);
    if (state === undefined) return;
    const standings = members.map((member) => {
      const { weight, priority, backup } = member.config;
      return { weight, priority, backup, status: this.#registry.status(member) };
    });
    // Breakers, slow starts and zones have no part in it.
    const { panic: isOn } = chooseCandidates(standings, choiceRules(pool, undefined), ({ status }) => ({
      status,
      isClosed: true,
      part: 1,
    }));
    if (isOn === state.isOn) return;
    state.isOn = isOn;
    const available = standings.filter(({ status }) => isAvailable(status)).length;
    const fields = { pool: pool.name, available, endpoints: members.length };
    if (!isOn) {
      this.#log.info({ event: 'pool_panic_over', ...fields }, `pool '${pool.name}' is out of panic`);
      return;
    }
    state.count += 1;
    const then = pool.health.panic.then === 'spread' ? 'spreading over all' : 'using the available only';
    this.#log.warn({ event: 'pool_panic', ...fields }, `pool '${pool.name}' is in panic: ${then}`);
  }
}
