/**
 * Passive health: what real traffic tells. The data threads count failures in a row and report an endpoint as suspect;
 * here, where the whole pool is seen, it is decided whether the pool can spare it. An ejection ends by itself, and on
 * probation: one more failure ejects again, and for longer. A good active probe alone does not end it: a health endpoint
 * that answers 200 while requests fail must not have the last word. Probes that failed and then pass again do: the
 * endpoint was away, and whatever is back need not wait for the sentence of what it was.
 */
import type { Clock, Timer } from '../../clock.ts';
import type { PassiveHealthConfig } from '../../config/schema.ts';
import { ENDPOINT, type EndpointTable } from '../../memory/endpoint-table.ts';
import type { EndpointRegistry, RegisteredEndpoint } from '../endpoint-registry.ts';
import type { ControlLog } from '../log.ts';

/** What is remembered of an endpoint that was suspect at least once. */
interface Suspect {
  /** Why it was suspect the last time: `status 500`, `connection_refused`. */
  suspicion: string;
  /** It was suspect and the pool could not spare it: said once. */
  isSpared: boolean;
  /** Ejections in a row when it was last ejected; decays from `returnedAt` on. */
  inARow: number;
  returnedAt: number;
  total: number;
  timer: Timer | undefined;
}

export interface PassiveParts {
  readonly registry: EndpointRegistry;
  readonly table: EndpointTable;
  readonly clock: Clock;
  readonly log: ControlLog;
}

export class PassiveHealth {
  readonly #parts: PassiveParts;
  readonly #records = new Map<RegisteredEndpoint, Suspect>();

  constructor(parts: PassiveParts) {
    this.#parts = parts;
    // When an endpoint comes back, the pool may be able to spare one that it could not spare before.
    parts.registry.onChange(({ endpoint, on }) => {
      if (!on) this.#reconsider(endpoint.pool.name);
    });
  }

  /** A data thread saw the endpoint fail as often in a row as its pool allows. */
  suspect(row: number, reason: string): void {
    const endpoint = this.#parts.registry.at(row);
    if (endpoint === undefined || !this.#parts.registry.isServing(endpoint)) return;
    const passive = settings(endpoint);
    if (passive === undefined) return;
    this.#recordOf(endpoint).suspicion = reason;
    this.#consider(endpoint, passive);
  }

  /** Its active check has seen it go and come back. */
  recovered(endpoint: RegisteredEndpoint): void {
    const record = this.#records.get(endpoint);
    if (record !== undefined)
      this.#return(endpoint, record, 'passive: its active check saw it come back; on probation');
  }

  /** Follows the registry's serving configuration. */
  update(): void {
    const { registry } = this.#parts;
    for (const [endpoint, record] of this.#records) {
      if (registry.at(endpoint.row) !== endpoint) this.#forget(endpoint, record);
      else if (settings(endpoint) === undefined) this.#return(endpoint, record, 'passive: no longer watched');
    }
    for (const pool of registry.pools.keys()) this.#reconsider(pool);
  }

  /** Passive ejections since the endpoint is known. */
  ejections(endpoint: RegisteredEndpoint): number {
    return this.#records.get(endpoint)?.total ?? 0;
  }

  close(): void {
    for (const [endpoint, record] of this.#records) this.#forget(endpoint, record);
  }

  #reconsider(pool: string): void {
    for (const endpoint of this.#parts.registry.pools.get(pool) ?? []) {
      const passive = settings(endpoint);
      const isSpared = this.#records.get(endpoint)?.isSpared ?? false;
      if (isSpared && passive !== undefined) this.#consider(endpoint, passive);
    }
  }

  #consider(endpoint: RegisteredEndpoint, passive: PassiveHealthConfig): void {
    const { registry, table, log } = this.#parts;
    const record = this.#recordOf(endpoint);
    const failures = table.failures(endpoint.row);
    if (registry.has(endpoint, ENDPOINT.ejected)) return;
    if (failures < passive.consecutiveFailures) {
      // It has answered well since, or a reload has raised the threshold.
      record.isSpared = false;
      return;
    }
    const obstacle = this.#obstacle(endpoint, passive);
    if (obstacle === undefined) {
      this.#eject(endpoint, passive, record, failures);
      return;
    }
    if (!record.isSpared) {
      const where = { pool: endpoint.pool.name, endpoint: endpoint.url };
      log.warn(
        { event: 'endpoint_not_ejected', ...where, reason: record.suspicion },
        `not ejected because ${obstacle}`,
      );
    }
    record.isSpared = true;
  }

  /** Why the pool cannot spare the endpoint; undefined when it can. */
  #obstacle(endpoint: RegisteredEndpoint, { maxEjected }: PassiveHealthConfig): string | undefined {
    const { registry } = this.#parts;
    const members = registry.pools.get(endpoint.pool.name) ?? [];
    const ejected = members.filter((member) => registry.has(member, ENDPOINT.ejected)).length;
    // A share of a small pool rounds to none, which would turn ejection off exactly where one bad endpoint hurts most.
    const allowed = Math.max(1, Math.floor(members.length * maxEjected));
    if (ejected >= allowed) return `${ejected} of ${members.length} endpoints are ejected already, ${allowed} may be`;
    if (maxEjected >= 1) return undefined;
    const hasOther = members.some(
      (member) => member !== endpoint && member.config.weight > 0 && registry.status(member) === 0,
    );
    return hasOther ? undefined : 'no other endpoint of the pool is available';
  }

  #eject(endpoint: RegisteredEndpoint, passive: PassiveHealthConfig, record: Suspect, failures: number): void {
    const { registry, clock } = this.#parts;
    record.isSpared = false;
    record.inARow = this.#decayed(record, passive) + 1;
    record.total += 1;
    const forMs = Math.min(passive.ejectFor * record.inARow, Math.max(passive.maxEjectFor, passive.ejectFor));
    record.timer = clock.after(forMs, () => this.#return(endpoint, record, 'passive: on probation'));
    const reason = `passive: ${failures} failures in a row, last ${record.suspicion}; ejected for ${forMs / 1000} s`;
    registry.set(endpoint, ENDPOINT.ejected, true, reason);
  }

  /** One ejection is forgotten for each `ejectFor` that the endpoint has stayed in since. */
  #decayed(record: Suspect, { ejectFor }: PassiveHealthConfig): number {
    const stayedMs = this.#parts.clock.now() - record.returnedAt;
    return Math.max(0, record.inARow - Math.floor(stayedMs / ejectFor));
  }

  #return(endpoint: RegisteredEndpoint, record: Suspect, reason: string): void {
    const { registry, table, clock } = this.#parts;
    record.timer?.cancel();
    record.timer = undefined;
    record.isSpared = false;
    if (!registry.has(endpoint, ENDPOINT.ejected)) return;
    record.returnedAt = clock.now();
    table.setFailures(endpoint.row, Math.max(0, (settings(endpoint)?.consecutiveFailures ?? 1) - 1));
    registry.set(endpoint, ENDPOINT.ejected, false, reason);
  }

  #forget(endpoint: RegisteredEndpoint, record: Suspect): void {
    record.timer?.cancel();
    this.#records.delete(endpoint);
  }

  #recordOf(endpoint: RegisteredEndpoint): Suspect {
    const known = this.#records.get(endpoint);
    if (known !== undefined) return known;
    const record = { suspicion: '', isSpared: false, inARow: 0, returnedAt: 0, total: 0, timer: undefined };
    this.#records.set(endpoint, record);
    return record;
  }
}

function settings(endpoint: RegisteredEndpoint): PassiveHealthConfig | undefined {
  const { passive } = endpoint.pool.health;
  return passive === false ? undefined : passive;
}
