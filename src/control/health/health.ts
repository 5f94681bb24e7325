/**
 * The health of all endpoints, in one place: active probes, agents, passive ejection, panic, what is known of breakers, and
 * what load they report. Each writes its own bit of the shared table through the registry; every change is logged here, once, with its reason.
 */
import type { Clock, Random } from '../../clock.ts';
import type { Config } from '../../config/schema.ts';
import { ENDPOINT, type EndpointTable } from '../../memory/endpoint-table.ts';
import type { EndpointChange, EndpointRegistry } from '../endpoint-registry.ts';
import type { ControlLog } from '../log.ts';
import { AgentWatch } from './agents.ts';
import { BreakerWatch } from './breakers.ts';
import type { CreateChecker } from './checker.ts';
import { LoadWatch } from './loads.ts';
import { HealthMonitor } from './monitor.ts';
import { OutlierWatch } from './outliers.ts';
import { PanicWatch } from './panic.ts';
import { PassiveHealth } from './passive.ts';

export interface HealthParts {
  readonly registry: EndpointRegistry;
  readonly table: EndpointTable;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: ControlLog;
  readonly createChecker?: CreateChecker;
}

export class Health {
  readonly passive: PassiveHealth;
  readonly panic: PanicWatch;
  readonly breakers: BreakerWatch;
  readonly agents: AgentWatch;
  readonly loads: LoadWatch;
  readonly #outliers: OutlierWatch;
  readonly #monitor: HealthMonitor;

  constructor(parts: HealthParts) {
    parts.registry.onChange((change) => announce(change, parts.log));
    this.panic = new PanicWatch(parts.registry, parts.log);
    this.passive = new PassiveHealth({ ...parts, onNobodyThere: (endpoint) => this.#monitor.foundNobody(endpoint) });
    this.#outliers = new OutlierWatch({ ...parts, passive: this.passive });
    this.breakers = new BreakerWatch(parts);
    this.agents = new AgentWatch(parts);
    this.loads = new LoadWatch(parts);
    this.#monitor = new HealthMonitor({ ...parts, onRecovered: (endpoint) => this.passive.recovered(endpoint) });
  }

  /** Follows the registry's serving configuration. */
  update(config: Config): void {
    this.panic.update(config.pools);
    this.#monitor.update();
    this.passive.update();
    this.#outliers.update();
    this.breakers.update();
    this.agents.update();
    this.loads.update();
  }

  close(): void {
    this.#monitor.close();
    this.#outliers.close();
    this.agents.close();
    this.loads.close();
    this.passive.close();
  }
}

/** The event and its level, by bit: what it means when it is set, and when it is cleared. */
const EVENTS: Readonly<Record<number, readonly [on: string, off: string]>> = {
  [ENDPOINT.unhealthy]: ['endpoint_unhealthy', 'endpoint_healthy'],
  [ENDPOINT.ejected]: ['endpoint_ejected', 'endpoint_returned'],
  [ENDPOINT.draining]: ['endpoint_draining', 'endpoint_undrained'],
  [ENDPOINT.down]: ['endpoint_down', 'endpoint_up'],
  [ENDPOINT.resting]: ['endpoint_resting', 'endpoint_resumed'],
  [ENDPOINT.joining]: ['endpoint_joining', 'endpoint_joined'],
};

function announce({ endpoint, bit, on, reason }: EndpointChange, log: ControlLog): void {
  const [whenOn, whenOff] = EVENTS[bit]!;
  const fields = { event: on ? whenOn : whenOff, pool: endpoint.pool.name, endpoint: endpoint.url, reason };
  const message = `${fields.event.replace('_', ' ')}: ${endpoint.url}`;
  if (on && bit !== ENDPOINT.joining) log.warn(fields, message);
  else log.info(fields, message);
}
