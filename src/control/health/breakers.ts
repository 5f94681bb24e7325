/**
 * What the control plane knows of circuit breakers. The data threads move them, and each move is told here by the thread that
 * made it: it is logged, counted, and shown with its reason. The state itself is read where it is, in shared memory.
 */
import type { Clock } from '../../clock.ts';
import type { PoolConfig } from '../../config/schema.ts';
import { BREAKER, stateOf, type BreakerState } from '../../memory/breaker-table.ts';
import type { EndpointTable } from '../../memory/endpoint-table.ts';
import { hasBreaker, type BreakerMove, type OpeningCause } from '../../upstream/breaker.ts';
import { BREAKER_NAMES, breakerWord } from '../../upstream/reasons.ts';
import type { EndpointRegistry, RegisteredEndpoint } from '../endpoint-registry.ts';
import type { ControlLog } from '../log.ts';
import type { BreakerView } from '../view.ts';

interface Known {
  reason: string;
  /** Milliseconds since the epoch. */
  since: number;
  readonly openedBy: Partial<Record<OpeningCause, number>>;
}

export interface BreakerWatchParts {
  readonly registry: EndpointRegistry;
  readonly table: EndpointTable;
  readonly clock: Clock;
  readonly log: ControlLog;
}

export class BreakerWatch {
  readonly #parts: BreakerWatchParts;
  /** Of endpoints, by identity: a row may be another's later. */
  readonly #endpoints = new Map<RegisteredEndpoint, Known>();
  readonly #pools = new Map<string, Known>();

  constructor(parts: BreakerWatchParts) {
    this.#parts = parts;
  }

  moved(row: number, { to: state, cause, reason }: BreakerMove): void {
    const { registry } = this.#parts;
    const endpoint = registry.at(row);
    const pool = endpoint?.pool.name ?? registry.poolAt(row);
    if (pool === undefined) return;
    const known = endpoint === undefined ? knownOf(this.#pools, pool) : knownOf(this.#endpoints, endpoint);
    known.reason = reason;
    known.since = this.#parts.clock.wall();
    if (cause !== undefined) known.openedBy[cause] = (known.openedBy[cause] ?? 0) + 1;
    registry.note(row, `${breakerWord(BREAKER_NAMES[state])}: ${reason}`);
    this.#tell(pool, endpoint?.url, state, reason);
  }

  /** Follows the registry's serving configuration. */
  update(): void {
    const { registry } = this.#parts;
    for (const endpoint of this.#endpoints.keys()) {
      if (registry.at(endpoint.row) !== endpoint) this.#endpoints.delete(endpoint);
    }
    for (const pool of this.#pools.keys()) if (!registry.pools.has(pool)) this.#pools.delete(pool);
  }

  /** undefined: it has none. */
  ofEndpoint(endpoint: RegisteredEndpoint): BreakerView | undefined {
    const { breaker } = endpoint.pool;
    if (breaker === undefined || !hasBreaker(breaker, 'endpoint')) return undefined;
    return this.#view(endpoint.row, this.#endpoints.get(endpoint));
  }

  ofPool({ name, breaker }: PoolConfig): BreakerView | undefined {
    if (breaker === undefined || !hasBreaker(breaker, 'pool')) return undefined;
    const row = this.#parts.registry.rowOfPool(name);
    return row === undefined ? undefined : this.#view(row, this.#pools.get(name));
  }

  #view(row: number, known: Known | undefined): BreakerView {
    const { table } = this.#parts;
    const openedBy = known?.openedBy ?? {};
    return {
      state: BREAKER_NAMES[stateOf(table.breakers.word(row))],
      reason: known?.reason ?? '',
      since: known?.since,
      opened: Object.values(openedBy).reduce((sum, count) => sum + count, 0),
      openedBy,
      probes: table.breakers.probes(row),
    };
  }

  #tell(pool: string, endpoint: string | undefined, state: BreakerState, reason: string): void {
    const { log } = this.#parts;
    const fields = { event: `breaker_${BREAKER_NAMES[state].replace('-', '_')}`, pool, endpoint, reason };
    const message = `breaker ${BREAKER_NAMES[state]}: ${endpoint ?? `pool '${pool}'`}`;
    if (state === BREAKER.open) log.warn(fields, message);
    else log.info(fields, message);
  }
}

function knownOf<Key>(all: Map<Key, Known>, key: Key): Known {
  const found = all.get(key) ?? { reason: '', since: 0, openedBy: {} };
  all.set(key, found);
  return found;
}
